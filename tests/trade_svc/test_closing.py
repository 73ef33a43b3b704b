"""How a close splits, and what AUTO comes to."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.errors import AlreadyExists, Refused
from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import DAY, TERMS, desk_in, detail_row, order_row, request
from trade_svc.closing import Leg, auto_offset, chunks, split_close, today_is_cheaper
from trade_svc.positions import Free, SideKey
from trade_svc.terms import Rate

GOLD = SideKey("au2604", "SHFE", pb.POSITION_SIDE_LONG)
APPLES = SideKey("AP010", "CZCE", pb.POSITION_SIDE_LONG)
OLD, TODAY = pb.OFFSET_CLOSE_YESTERDAY, pb.OFFSET_CLOSE_TODAY
BOTH = Free(yesterday=2, today=2)


def test_close_takes_the_oldest_lots_first() -> None:
    """Unless told otherwise."""
    assert split_close(GOLD, 3, BOTH) == [Leg(OLD, 2), Leg(TODAY, 1)]
    assert split_close(GOLD, 2, BOTH) == [Leg(OLD, 2)]


def test_today_first_takes_todays_lots() -> None:
    """Somebody may want to keep the old ones."""
    assert split_close(GOLD, 3, BOTH, pb.CLOSE_POLICY_TODAY_FIRST) == [Leg(TODAY, 2), Leg(OLD, 1)]


@pytest.mark.parametrize(("cheaper", "first"), [(True, TODAY), (False, OLD)])
def test_cheapest_first_goes_by_the_brokers_rates(cheaper: bool, first: int) -> None:
    """At SHFE closing today's gold is often free."""
    legs = split_close(GOLD, 3, BOTH, pb.CLOSE_POLICY_CHEAPEST_FIRST, today_is_cheaper=cheaper)
    assert legs[0] == Leg(pb.Offset.ValueType(first), 2)
    assert today_is_cheaper(TERMS, 800.0)
    assert not today_is_cheaper(TERMS._replace(close_today=Rate(0.0, 20.0)), 800.0)
    assert not today_is_cheaper(None, 800.0)


def test_no_volume_means_all_that_are_free() -> None:
    """And none free is an error."""
    assert split_close(GOLD, 0, BOTH) == [Leg(OLD, 2), Leg(TODAY, 2)]
    with pytest.raises(Refused, match="close 0 lots of au2604, 0 free"):
        split_close(GOLD, 0, Free(0, 0))


def test_more_than_is_free_is_refused_with_the_numbers() -> None:
    """The exchange would say 50 or 51."""
    with pytest.raises(Refused, match="close 5 lots of au2604, 4 free"):
        split_close(GOLD, 5, BOTH)


def test_elsewhere_one_close_takes_all_lots() -> None:
    """CZCE knows no today."""
    assert split_close(APPLES, 3, BOTH) == [Leg(pb.OFFSET_CLOSE, 3)]


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 20), st.sampled_from(pb.ClosePolicy.values()))
def test_a_split_takes_what_was_asked_from_lots_that_are_there(
    yesterday: int, today: int, volume: int, policy: pb.ClosePolicy.ValueType
) -> None:
    """Whatever the policy."""
    free = Free(yesterday, today)
    wanted = volume or sum(free)
    if not 0 < wanted <= sum(free):
        with pytest.raises(Refused):
            split_close(GOLD, volume, free, policy)
        return
    legs = dict(split_close(GOLD, volume, free, policy))
    assert sum(legs.values()) == wanted
    assert legs.get(OLD, 0) <= yesterday
    assert legs.get(TODAY, 0) <= today


@given(st.integers(1, 1000), st.integers(1, 50))
def test_a_leg_is_cut_into_orders_that_the_instrument_takes(volume: int, most: int) -> None:
    """None is too large, none is empty, and nothing is lost."""
    cut = chunks(Leg(TODAY, volume), most)
    assert sum(leg.volume for leg in cut) == volume
    assert all(0 < leg.volume <= most for leg in cut)


@pytest.mark.parametrize(
    ("volume", "free", "held", "comes_to"),
    [
        (3, Free(0, 0), 0, pb.OFFSET_OPEN),
        (2, Free(2, 0), 2, OLD),
        (2, Free(0, 2), 2, TODAY),
        (2, Free(2, 2), 4, OLD),
        (2, Free(1, 2), 3, TODAY),
    ],
)
def test_auto_closes_what_one_order_can_and_opens_without_lots(
    volume: int, free: Free, held: int, comes_to: int
) -> None:
    """The oldest first, where they cover it all."""
    assert auto_offset(GOLD, volume, free, held) == comes_to


@pytest.mark.parametrize(("volume", "free", "held"), [(3, Free(2, 2), 4), (5, Free(2, 2), 4), (1, Free(0, 0), 1)])
def test_auto_never_does_half_of_it(volume: int, free: Free, held: int) -> None:
    """What would take several orders, or lots that are frozen, is refused with the numbers."""
    with pytest.raises(Refused, match=f"AUTO for {volume} lots") as raised:
        auto_offset(GOLD, volume, free, held)
    assert raised.value.reason == "AUTO_NEEDS_SPLIT"


def close(name: str = "out", **changed: Any) -> pb.ClosePositionRequest:
    values: dict[str, Any] = {"side": pb.POSITION_SIDE_LONG, "price": 800.0, "type": pb.ORDER_TYPE_FAK}
    return pb.ClosePositionRequest(client_order_id=name, symbol="au2604", **{**values, **changed})


async def test_a_close_is_all_of_its_orders_or_none(tmp_path: Path) -> None:
    """Both are on the disk before the first leaves; the same request again sends nothing."""
    async with desk_in(tmp_path, log_in=False) as desk:
        rows = [detail_row(2, open_date="20261120"), detail_row(0)]
        assert not (await desk.log_in(details=rows)).differences
        await desk.hold(3)
        orders = await desk.trading.close_position(close())
        assert [(one.client_order_id, one.offset, one.volume) for one in orders] == [
            ("out.1", OLD, 2),
            ("out.2", TODAY, 3),
        ]
        assert [name for name, _ in desk.front.sent] == ["out.1", "out.2"]
        assert [one.client_order_id for one in await desk.trading.close_position(close())] == ["out.1", "out.2"]
        assert len(desk.front.sent) == 2
        with pytest.raises(AlreadyExists, match="volume was 5, now 1"):
            await desk.trading.close_position(close(volume=1))
        with pytest.raises(Refused, match="0 free"):
            await desk.trading.close_position(close("again"))


async def test_a_close_of_which_one_order_is_not_allowed_sends_none(tmp_path: Path) -> None:
    """Half a close would leave a position that nobody asked for."""
    async with desk_in(tmp_path, log_in=False, max_order_volume=2) as desk:
        assert not (await desk.log_in(details=[detail_row(2, open_date="20261120")])).differences
        await desk.hold(3)
        with pytest.raises(Refused, match="3 lots of one order, 2 allowed"):
            await desk.trading.close_position(close())
        assert desk.front.sent == []
        assert not list(desk.trader.working())


async def test_auto_is_stored_as_what_it_came_to_and_repeats(tmp_path: Path) -> None:
    """A retry repeats AUTO, whatever the position is by then."""
    async with desk_in(tmp_path) as desk:
        await desk.hold(2)
        sell: dict[str, Any] = {"direction": pb.DIRECTION_SELL, "offset": pb.OFFSET_AUTO}
        order = await desk.trading.submit(request(**sell))
        assert (order.offset, order.auto_offset) == (TODAY, True)
        desk.hear("OnRtnOrder", order_row("5", traded=0, Direction="1", CombOffsetFlag="3", ActiveUserID="sim"))
        assert (await desk.trading.submit(request(**sell))).state == pb.ORDER_STATE_CANCELLED
        assert len(desk.front.sent) == 1
        assert order.trading_day == DAY


async def test_a_market_order_is_a_fak_at_a_protected_limit(tmp_path: Path) -> None:
    """SHFE has none; the limit is the other side's best and some ticks, within the day's limits."""
    async with desk_in(tmp_path, market_protection_ticks=5, allow_self_cross=True) as desk:
        market: dict[str, Any] = {"type": pb.ORDER_TYPE_MARKET, "price": 0.0}
        order = await desk.trading.submit(request(**market))
        assert order.price == pytest.approx(800.12)
        assert (await desk.trading.submit(request(**market))).client_order_id == "one"
        desk.trader.limits.market_protection_ticks = 100_000
        sells = await desk.trading.submit(request("sell", direction=pb.DIRECTION_SELL, **market))
        assert sells.price == pytest.approx(720.0)
