"""When the exchange said that an instrument trades."""

from pathlib import Path
from typing import Any, cast

import pytest

from arbig.market.v1 import market_pb2 as pb
from arbig.sessions import second_of_day
from market_svc.instruments import Instruments
from market_svc.status import ExchangeStatus

TODAY, TOMORROW = "20261126", "20261127"
BEFORE, BREAK, OPEN = "BEFORE_TRADING", "NO_TRADING", "CONTINUOUS"
ORDERING, MATCH, CLOSED = "AUCTION_ORDERING", "AUCTION_MATCH", "CLOSED"
NIGHT = [("20:55:00", ORDERING), ("20:59:00", MATCH), ("21:00:00", OPEN), ("02:30:00", BREAK)]
DAY = [("08:55:00", ORDERING), ("08:59:00", MATCH), ("09:00:00", OPEN), ("10:15:00", BREAK), ("10:30:00", OPEN)]


def instrument(since: str, status: str, day: str = TODAY) -> pb.Instrument:
    number = pb.InstrumentStatus.Value(f"INSTRUMENT_STATUS_{status}")
    return pb.Instrument(symbol="au2604", product="au", status=number, status_since=since, status_day=day)


def heard(*statuses: tuple[str, str]) -> ExchangeStatus:
    """Hear statuses, one after the other."""
    exchange = ExchangeStatus()
    for since, status in statuses:
        exchange.note([instrument(since, status)])
    return exchange


def trades(exchange: ExchangeStatus, *times: str, day: str = TODAY) -> list[bool | None]:
    told = [exchange.told_at("au2604", day, second_of_day(time)) for time in times]
    return [one.trades if one else None for one in told]


def test_an_auction_trades_and_a_break_does_not() -> None:
    """From the evening over midnight to the day."""
    exchange = heard(*NIGHT, *DAY)
    assert trades(exchange, "20:55:00", "20:59:30", "00:30:00", "03:00:00", "08:56:00", "10:20:00", "10:30:00") == [
        True, True, True, False, True, False, True,
    ]  # fmt: skip


def test_the_second_in_which_trading_ends_is_part_of_it() -> None:
    """Its snapshot shows the last trades; a second later nothing is traded."""
    assert trades(heard(*NIGHT, *DAY), "02:30:00", "02:30:01", "10:15:00", "10:15:01") == [True, False, True, False]


def test_nothing_is_known_before_the_first_status() -> None:
    """Who began to listen at ten knows nothing of nine, and of other contracts nothing at all."""
    exchange = heard(("10:15:00", BREAK))
    assert trades(exchange, "09:00:00", "10:15:00", "10:20:00") == [None, None, False]
    assert exchange.told_at("rb2605", TODAY, 0) is None
    assert trades(ExchangeStatus(), "10:00:00") == [None]


def test_the_newest_status_holds_until_the_day_ends() -> None:
    """At 20:30 another one begins, of which nothing is known yet."""
    exchange = heard(*DAY)
    assert trades(exchange, "20:29:59", "20:30:00") == [True, None]


def test_a_day_that_is_over_says_nothing_of_the_next() -> None:
    """Its last ticks may come when the exchange speaks of the next one, in a replay; two days are kept."""
    exchange = heard(*NIGHT, *DAY, ("13:30:00", OPEN), ("15:00:00", CLOSED))
    exchange.note([instrument("20:55:00", ORDERING, TOMORROW)])
    assert trades(exchange, "21:30:00", "15:00:00", "15:00:01") == [True, True, False]
    assert trades(exchange, "20:54:59", "20:55:00", "15:00:01", day=TOMORROW) == [None, True, True]
    exchange.note([instrument("20:55:00", ORDERING, "20261130")])
    assert trades(exchange, "21:30:00") == [None]
    assert trades(exchange, "20:55:00", day=TOMORROW) == [True]


def test_a_day_that_is_told_again_is_the_same_day() -> None:
    """At each login CTP repeats it from its beginning."""
    exchange = heard(*NIGHT, *DAY, *NIGHT, *DAY)
    assert trades(exchange, "21:00:00", "02:31:00", "10:20:00", "10:31:00") == [True, False, False, True]


def test_of_two_statuses_of_one_second_the_later_counts() -> None:
    """The exchange opens what it has just closed."""
    assert trades(heard(("20:30:00", CLOSED), ("20:30:00", OPEN)), "20:30:00", "20:31:00") == [True, True]


def test_the_newest_status_is_told_by_symbol_and_by_product() -> None:
    """One without a time was not heard."""
    exchange = heard(("21:00:00", OPEN), ("", CLOSED))
    assert exchange.newest == dict.fromkeys(("au2604", "au"), pb.INSTRUMENT_STATUS_CONTINUOUS)


@pytest.mark.parametrize("status", [ORDERING, "AUCTION_BALANCE", MATCH, OPEN])
def test_every_auction_and_continuous_trading_trade(status: str) -> None:
    """Nothing else does."""
    assert trades(heard(("21:00:00", status)), "21:00:00") == [True]
    for other in (BEFORE, BREAK, CLOSED):
        assert trades(heard(("20:59:00", status), ("21:00:00", other)), "21:00:01") == [False]


def test_who_asks_while_a_status_is_told_asks_again() -> None:
    """Ticks come on another thread, and what they find stays good until `changes` is another number."""
    exchange = heard(*NIGHT)
    found: dict[int, bool | None] = {}

    class Told:
        """An instrument that asks at each look at it, as that thread may."""

        def __getattr__(self, name: str) -> Any:
            found[exchange.changes] = trades(exchange, "09:00:00")[0]
            return getattr(instrument("08:55:00", ORDERING), name)

    exchange.note([cast("pb.Instrument", Told())])
    assert found == {4: False}
    assert (exchange.changes, trades(exchange, "09:00:00")) == (5, [True])


def test_the_exchange_is_heard_while_the_trade_service_is(tmp_path: Path) -> None:
    """Its words come over that link; each change of it is one to be looked at."""
    known = Instruments(tmp_path / "instruments.pb")
    found = []
    for turn in (
        known.link.is_up,
        lambda: known.link.is_down("gone"),
        lambda: known.link.is_down("gone"),
        known.link.is_up,
    ):
        turn()
        found.append((known.status.is_live, known.status.changes))
    assert found == [(True, 0), (False, 1), (False, 1), (True, 2)]
