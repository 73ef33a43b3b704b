"""What no order gets past, each refusal with its stable reason and its numbers."""

import re
from pathlib import Path
from typing import Any

import pytest

from arbig.errors import ArbigError, Refused
from arbig.market.v1 import market_pb2
from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import AU, DAY, TICK, Desk, desk_in, order_row, request
from trade_svc.instruments import Status

SELL = {"direction": pb.DIRECTION_SELL}


async def refused(desk: Desk, reason: str, **changed: Any) -> str:
    """Submit an order that must be refused; give the message."""
    sent = len(desk.front.sent)
    with pytest.raises(ArbigError) as raised:
        await desk.trading.submit(request(f"no-{reason}", **changed))
    assert raised.value.reason == reason
    assert len(desk.front.sent) == sent
    assert f"no-{reason}" not in desk.trader.book.orders
    return str(raised.value)


@pytest.mark.parametrize(
    ("limits", "changed", "reason", "words"),
    [
        ({"max_order_volume": 1}, {}, "MAX_ORDER_VOLUME", "2 lots of one order, 1 allowed"),
        ({"max_order_value": 1e6}, {}, "MAX_ORDER_VALUE", "1,600,000 yuan"),
        ({"price_band": 0.01}, {"price": 808.02}, "PRICE_BAND", "808.02 is beyond 808"),
        ({"price_band": 0.01}, {"price": 791.98, **SELL}, "PRICE_BAND", "791.98 is beyond 792"),
        ({"max_side_volume": 1}, {}, "MAX_SIDE_VOLUME", "2 lots of one side, 1 allowed"),
        ({"max_day_volume": 1}, {}, "MAX_DAY_VOLUME", "2 lots opened in a day"),
        ({"min_available": 900_000.0}, {}, "FREE_MARGIN", "160,020.00 yuan, 1,000,000.00 available"),
        ({}, {"volume": 9, "price": 880.0}, "", ""),
        ({}, {"offset": pb.OFFSET_CLOSE_TODAY, **SELL}, "NOT_ENOUGH_LOTS", "close 2 lots of today, 0 free"),
        ({}, {"offset": pb.OFFSET_CLOSE, **SELL}, "NOT_ENOUGH_LOTS", "close 2 lots of earlier days, 0 free"),
    ],
)
async def test_each_limit_names_its_numbers(
    limits: dict[str, Any], changed: dict[str, Any], reason: str, words: str, tmp_path: Path
) -> None:
    """A program can act on the reason, a person on the numbers; nothing is sent and nothing is kept."""
    async with desk_in(tmp_path, **limits) as desk:
        if not reason:  # at the limit is not beyond it
            await desk.trading.submit(request(**changed))
        else:
            assert words in await refused(desk, reason, **changed)


async def test_what_is_away_from_the_price_on_the_cheap_side_passes_the_band(tmp_path: Path) -> None:
    """A buy far below the market rests; it is the dear side that a slip would cost."""
    async with desk_in(tmp_path, price_band=0.01) as desk:
        await desk.trading.submit(request(price=750.0))


async def test_working_orders_count_for_the_side_and_the_day(tmp_path: Path) -> None:
    """Two orders of three lots are six lots, filled or not."""
    async with desk_in(tmp_path, max_side_volume=5, max_day_volume=7) as desk:
        await desk.trading.submit(request(volume=3))
        assert "6 lots of one side" in await refused(desk, "MAX_SIDE_VOLUME", volume=3)
        await desk.trading.submit(request("sells", volume=3, price=800.02, **SELL))
        assert "8 lots opened" in await refused(desk, "MAX_DAY_VOLUME", volume=2)


async def test_open_orders_are_counted(tmp_path: Path) -> None:
    """A final one is open no more."""
    async with desk_in(tmp_path, max_open_orders=1) as desk:
        await desk.trading.submit(request())
        await refused(desk, "MAX_OPEN_ORDERS")
        desk.hear("OnRtnOrder", order_row("5"))
        await desk.trading.submit(request("two"))


async def test_the_same_order_twice_in_a_moment_is_a_mistake(tmp_path: Path) -> None:
    """Under another id; later, or with another price, it is a wish."""
    async with desk_in(tmp_path, duplicate_ms=500) as desk:
        await desk.trading.submit(request())
        desk.clock.ms += 499
        assert "sent 499 ms ago as one" in await refused(desk, "DUPLICATE_ORDER")
        await desk.trading.submit(request("other", price=799.98))
        desk.clock.ms += 1
        await desk.trading.submit(request("again"))


async def test_orders_and_cancels_have_rates_of_their_own(tmp_path: Path) -> None:
    """The broker counts them apart (error 116); within any second, not by the clock's second."""
    async with desk_in(tmp_path, max_inserts_per_second=2, max_cancels_per_second=1) as desk:
        await desk.trading.submit(request("one", price=799.0))
        desk.clock.ms += 600
        await desk.trading.submit(request("two", price=799.02))
        await refused(desk, "INSERT_RATE")
        await desk.trading.cancel("one")
        with pytest.raises(Refused, match="2 cancels within a second, 1 allowed"):
            await desk.trading.cancel("two")
        desk.clock.ms += 400
        await desk.trading.submit(request("three"))


async def test_an_order_that_would_meet_our_own_is_refused(tmp_path: Path) -> None:
    """A self-trade is prevented rather than counted; at another price they do not meet."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        assert "would meet our own one at 800" in await refused(desk, "SELF_CROSS", **SELL)
        await desk.trading.submit(request("beside", price=800.02, **SELL))


async def test_self_crosses_pass_where_they_are_allowed(tmp_path: Path) -> None:
    """Some accounts may."""
    async with desk_in(tmp_path, allow_self_cross=True) as desk:
        await desk.trading.submit(request())
        await desk.trading.submit(request("meets", **SELL))


@pytest.mark.parametrize(
    ("status", "type_", "reason"),
    [
        (market_pb2.INSTRUMENT_STATUS_NO_TRADING, pb.ORDER_TYPE_LIMIT, "SESSION_CLOSED"),
        (market_pb2.INSTRUMENT_STATUS_CLOSED, pb.ORDER_TYPE_LIMIT, "SESSION_CLOSED"),
        (market_pb2.INSTRUMENT_STATUS_AUCTION_MATCH, pb.ORDER_TYPE_LIMIT, "SESSION_CLOSED"),
        (market_pb2.INSTRUMENT_STATUS_AUCTION_ORDERING, pb.ORDER_TYPE_FAK, "AUCTION"),
        (market_pb2.INSTRUMENT_STATUS_AUCTION_ORDERING, pb.ORDER_TYPE_FOK, "AUCTION"),
        (market_pb2.INSTRUMENT_STATUS_AUCTION_ORDERING, pb.ORDER_TYPE_LIMIT, ""),
        (market_pb2.INSTRUMENT_STATUS_UNSPECIFIED, pb.ORDER_TYPE_LIMIT, ""),
    ],
)
async def test_the_exchanges_own_status_opens_and_closes_the_session(
    status: market_pb2.InstrumentStatus.ValueType, type_: pb.OrderType.ValueType, reason: str, tmp_path: Path
) -> None:
    """The auction takes limit orders alone; where the exchange said nothing yet, it decides itself."""
    async with desk_in(tmp_path) as desk:
        desk.instruments.set_status("au", Status(status, "09:00:00", DAY))
        if reason:
            await refused(desk, reason, type=type_)
        else:
            desk.instruments.by_symbol["au2604"].status = status
            await desk.trading.submit(request(type=type_))


async def test_an_order_that_opens_needs_a_fresh_price(tmp_path: Path) -> None:
    """One that closes does not: to get out must always be possible."""
    async with desk_in(tmp_path, max_tick_age_ms=1_000) as desk:
        await desk.hold(2)
        desk.clock.ms += 1_001
        assert "came 1001 ms ago, 1000 ms allowed" in await refused(desk, "STALE_MARKET_DATA")
        await desk.trading.submit(request("out", offset=pb.OFFSET_CLOSE_TODAY, **SELL))


async def test_no_order_opens_on_a_price_that_says_it_is_stale(tmp_path: Path) -> None:
    """It may have come this moment: the link to the exchange broke, or it is hours old."""
    async with desk_in(tmp_path, max_tick_age_ms=1_000) as desk:
        await desk.hold(2)
        desk.trader.ticks["au2604"][0].flags.append(market_pb2.TICK_FLAG_STALE)
        assert "marked STALE" in await refused(desk, "STALE_MARKET_DATA")
        await desk.trading.submit(request("out", offset=pb.OFFSET_CLOSE_TODAY, **SELL))


async def test_without_the_brokers_rates_nothing_opens(tmp_path: Path) -> None:
    """Free margin cannot be judged without them."""
    async with desk_in(tmp_path) as desk:
        desk.trader.terms.clear()
        await refused(desk, "RATES_UNKNOWN")


async def test_margin_that_working_orders_need_is_not_free(tmp_path: Path) -> None:
    """Six orders of two lots take 960,120 of the million; a seventh does not fit."""
    async with desk_in(tmp_path) as desk:
        for number in range(6):
            await desk.trading.submit(request(f"n{number}"))
        assert "160,020.00 yuan, 39,880.00 available" in await refused(desk, "FREE_MARGIN")


async def test_reducing_lets_only_closes_through_and_halted_none(tmp_path: Path) -> None:
    """Cancels pass in every state."""
    async with desk_in(tmp_path) as desk:
        await desk.hold(2)
        await desk.trading.submit(request("rests", price=799.0))
        await desk.trading.set_state(pb.TRADING_STATE_REDUCING, "lunch")
        await refused(desk, "TRADING_REDUCING")
        out = {"offset": pb.OFFSET_CLOSE_TODAY, "volume": 1, "price": 800.02, **SELL}
        await desk.trading.submit(request("out", **out))
        await desk.trading.set_state(pb.TRADING_STATE_HALTED, "enough")
        await refused(desk, "TRADING_HALTED", **out)
        await desk.trading.cancel("rests")
        assert desk.front.cancelled == ["rests"]


async def test_the_trading_state_outlives_a_restart(tmp_path: Path) -> None:
    """A halt is not undone by a crash."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.set_state(pb.TRADING_STATE_HALTED, "enough")
    async with desk_in(tmp_path) as desk:
        assert (desk.trader.state.state, desk.trader.state.reason) == (pb.TRADING_STATE_HALTED, "enough")
        await refused(desk, "TRADING_HALTED")


def test_every_reason_of_the_contract_is_one_of_ours() -> None:
    """The contract's comments name the reasons that programs may rely on."""
    contract = Path(__file__).parents[2] / "protos" / "arbig" / "trade" / "v1" / "trade.proto"
    text = " ".join(line.strip(" /") for line in contract.read_text().splitlines())
    named = set(re.findall(r"[Rr]eason ([A-Z]+_[A-Z_]+)", text))
    sources = "".join(path.read_text() for path in Path(__file__).parents[2].glob("trade_svc/*.py"))
    assert not {name for name in named if f'"{name}"' not in sources}
    assert len(named) > 10


def test_the_sample_instrument_is_what_the_numbers_here_are_about() -> None:
    """800 yuan, 1,000 grams a lot, ten in a hundred as margin."""
    assert (AU.multiplier, TICK.last_price) == (1000, 800.0)
