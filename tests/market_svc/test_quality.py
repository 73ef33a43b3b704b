"""What is to be known about a snapshot before it is used."""

import bisect
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.calendar import SHANGHAI
from arbig.market.v1.market_pb2 import Tick, TickFlag
from market_svc.depth import TickMaker
from market_svc.hours import Span
from market_svc.quality import STALE_SECONDS, Quality
from tests.market_svc.test_depth import CALENDAR, DBL_MAX, raw

NOON = 1_700_000_000
DAY, HOLIDAY = b"20231115", b"20231118"
# One message for all snapshots of a symbol, as the service has it.
TICKS = TickMaker({}, CALENDAR)


class Open:
    """An exchange that trades but in some seconds, and not on one day."""

    def __init__(self, *closed: int) -> None:
        self.closed = closed
        self.changes = 0

    def span(self, symbol: str, trading_day: str, second: int) -> Span:
        """Say so."""
        edges = [0, *(edge for one in sorted(self.closed) for edge in (one, one + 1)), 1 << 40]
        at = bisect.bisect(edges, second)
        return Span(edges[at - 1], edges[at], second not in self.closed and trading_day != HOLIDAY.decode())


def shown(second: int = NOON, volume: int = 10, **more: Any) -> bytes:
    """Lay out a snapshot of a market with room on both sides; `more` by the names of CTP."""
    clock = f"{datetime.fromtimestamp(second, SHANGHAI):%H:%M:%S}".encode()
    values = {"TradingDay": DAY, "ActionDay": DAY, "UpdateTime": clock, "Volume": volume, "LastPrice": 800.0}
    values |= {"BidPrice1": 799.98, "BidVolume1": 1, "AskPrice1": 800.02, "AskVolume1": 1}
    return raw(**(values | {"UpperLimitPrice": 880.0, "LowerLimitPrice": 720.0} | more))


def encoded(quality: Quality, data: bytes) -> Tick:
    """Give the tick that becomes of a snapshot."""
    return Tick.FromString(quality.encode(TICKS.make(data, 1, 0)))


def flags(quality: Quality, data: bytes) -> list[str]:
    """Give the names of the flags that it gets."""
    return [TickFlag.Name(flag).removeprefix("TICK_FLAG_") for flag in encoded(quality, data).flags]


def begun(*closed: int, **more: Any) -> Quality:
    """Make one that has heard the first snapshot."""
    quality = Quality(Open(*closed), **more)
    flags(quality, shown(NOON - 1, 9))
    return quality


def test_a_plain_tick_has_no_flags() -> None:
    """Nearly all have none."""
    assert flags(begun(), shown()) == []


def test_the_first_of_a_symbol_says_so() -> None:
    """CTP shows the newest snapshot on subscribing, at any hour."""
    quality = Quality(Open())
    assert flags(quality, shown()) == ["FIRST_SNAPSHOT"]
    assert flags(quality, shown(InstrumentID=b"au2606")) == ["FIRST_SNAPSHOT"]
    assert flags(quality, shown(NOON + 1)) == []


def test_what_says_the_same_again_is_a_duplicate() -> None:
    """The same time, volume, open interest and levels: not the same time alone."""
    quality = begun()
    flags(quality, shown())
    assert flags(quality, shown()) == ["DUPLICATE"]
    assert flags(quality, shown(BidVolume1=2)) == []
    assert flags(quality, shown(BidVolume1=2, OpenInterest=5.0)) == []
    assert flags(quality, shown(NOON + 1, BidVolume1=2, OpenInterest=5.0)) == []


def test_a_time_that_goes_back_is_out_of_order_and_counts_for_nothing_after_it() -> None:
    """Its volume is less by nature: no regression; what follows is held against the newest."""
    quality = begun()
    flags(quality, shown(NOON + 5, 20))
    assert flags(quality, shown(NOON + 3, 15)) == ["OUT_OF_ORDER"]
    assert flags(quality, shown(NOON + 4, 16)) == ["OUT_OF_ORDER"]
    assert flags(quality, shown(NOON + 6, 20)) == []
    flags(quality, shown(NOON + 7, 21, UpdateMillisec=500))
    assert flags(quality, shown(NOON + 7, 21, UpdateMillisec=499)) == ["OUT_OF_ORDER"]


def test_a_volume_that_falls_is_a_regression_once() -> None:
    """What follows counts on from there."""
    quality = begun()
    flags(quality, shown(NOON, 20))
    assert flags(quality, shown(NOON + 1, 19)) == ["VOLUME_REGRESSION"]
    assert flags(quality, shown(NOON + 2, 19, OpenInterest=1.0)) == []


def test_a_new_trading_day_begins_at_nothing() -> None:
    """Volume counts from the rollover on, and an exchange may say a time of the evening before."""
    quality = begun()
    flags(quality, shown(NOON, 20_000))
    assert flags(quality, shown(NOON + 30_000, 3, TradingDay=b"20231116")) == []


def test_what_lies_in_no_session_says_so() -> None:
    """Also when the exchange says within a second that it closed."""
    quality = begun(NOON + 2)
    assert flags(quality, shown(NOON + 1)) == []
    assert flags(quality, shown(NOON + 2, 11)) == ["OFF_SESSION"]
    assert flags(quality, shown(NOON + 3, 12)) == []
    quality._hours.closed, quality._hours.changes = (NOON + 3,), 1  # type: ignore[attr-defined,misc]
    assert flags(quality, shown(NOON + 3, 13)) == ["OFF_SESSION"]


def test_each_trading_day_has_its_own_hours() -> None:
    """Though an exchange may say a time of another day."""
    quality = begun()
    assert flags(quality, shown()) == []
    assert flags(quality, shown(NOON, 11, TradingDay=HOLIDAY)) == ["OFF_SESSION"]
    assert flags(quality, shown(NOON, 12)) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"BidPrice1": 800.02}, ["CROSSED"]),
        ({"BidPrice1": 800.04}, ["CROSSED"]),
        ({"LastPrice": 880.0}, ["AT_LIMIT"]),
        ({"LastPrice": 720.0}, ["AT_LIMIT"]),
        ({"BidPrice1": 880.0, "AskPrice1": DBL_MAX}, ["AT_LIMIT"]),
        ({"BidPrice1": DBL_MAX, "AskPrice1": 720.0}, ["AT_LIMIT"]),
        ({"BidPrice1": 879.98, "AskPrice1": DBL_MAX}, []),
        ({"BidPrice1": DBL_MAX, "AskPrice1": DBL_MAX}, []),
        ({"SettlementPrice": 801.0}, ["SETTLEMENT"]),
    ],
)
def test_prices_say_when_they_are_special(changed: dict[str, Any], expected: list[str]) -> None:
    """A book that crosses, a market at its limit, the day's settlement."""
    assert flags(begun(), shown(**changed)) == expected


def test_a_price_that_is_absent_is_at_no_limit() -> None:
    """Before the open there are neither prices nor limits."""
    assert flags(begun(), raw(TradingDay=DAY, ActionDay=DAY, UpdateTime=b"06:13:20")) == ["VOLUME_REGRESSION"]


def test_a_snapshot_without_a_time_is_held_against_no_other() -> None:
    """Nobody can tell whether it is late."""
    assert flags(begun(), raw(TradingDay=DAY, UpdateTime=b"")) == []


def test_what_lies_far_behind_the_exchanges_clock_is_stale() -> None:
    """In simulation the newest tick is that clock, until the next login; live it is ours."""
    quality = begun()
    flags(quality, shown(NOON, InstrumentID=b"au2606"))
    assert flags(quality, shown(NOON - STALE_SECONDS, InstrumentID=b"ag2606")) == ["FIRST_SNAPSHOT"]
    assert flags(quality, shown(NOON - STALE_SECONDS - 1, InstrumentID=b"ag2607")) == ["FIRST_SNAPSHOT", "STALE"]
    quality.lose()
    assert flags(quality, shown(NOON - 500, InstrumentID=b"ag2608")) == ["FIRST_SNAPSHOT"]
    live = begun(clock=lambda: NOON + STALE_SECONDS)
    assert flags(live, shown()) == []
    assert flags(begun(clock=lambda: NOON + STALE_SECONDS + 1), shown()) == ["STALE"]


def test_a_time_ahead_of_the_exchanges_clock_is_stale_and_counts_for_nothing_after_it() -> None:
    """Before the night some exchanges send the afternoon's snapshot with the next day's date; after a restart too."""
    live = begun(clock=lambda: NOON)
    told = encoded(live, shown(volume=900, InstrumentID=b"m2605", UpdateTime=b"15:00:00"))
    assert [TickFlag.Name(flag)[10:] for flag in told.flags] == ["FIRST_SNAPSHOT", "STALE"]
    assert [one.symbol for one in live.lose()] == ["au2604"]
    again = Quality(Open(), clock=lambda: NOON)
    again.recall(told)
    for quality in (live, again):
        assert flags(quality, shown(NOON, 10, InstrumentID=b"m2605")) == ["FIRST_SNAPSHOT", "GAP"]
        assert flags(quality, shown(NOON + STALE_SECONDS, 11, InstrumentID=b"m2605")) == []
        assert flags(quality, shown(NOON + STALE_SECONDS + 1, 12, InstrumentID=b"m2605")) == ["STALE"]
        assert flags(quality, shown(NOON + 1, 11, InstrumentID=b"m2605")) == ["OUT_OF_ORDER"]


def test_a_broken_link_makes_everything_stale_and_the_next_ticks_gaps() -> None:
    """Once: a link that stays broken says nothing new."""
    quality = begun()
    flags(quality, shown(InstrumentID=b"au2606"))
    assert [(one.symbol, list(one.flags)) for one in quality.lose()] == [
        (symbol, [TickFlag.TICK_FLAG_STALE]) for symbol in ("au2604", "au2606")
    ]
    assert quality.lose() == []
    assert flags(quality, shown(NOON + 1)) == ["FIRST_SNAPSHOT", "GAP"]
    assert flags(quality, shown(NOON + 2)) == []
    assert [one.symbol for one in quality.lose()] == ["au2604"]


def test_what_is_repeated_as_stale_is_the_newest_and_not_the_last_to_come() -> None:
    """A late snapshot is older than what is known."""
    quality = begun()
    flags(quality, shown(NOON + 5, 20))
    flags(quality, shown(NOON + 3, 15))
    assert [one.volume for one in quality.lose()] == [20]


def test_a_message_has_no_flags_of_another() -> None:
    """Each trading day has its own, filled anew by every snapshot."""
    quality, tomorrow = begun(), b"20231117"
    assert flags(quality, shown(LastPrice=880.0)) == ["AT_LIMIT"]
    assert flags(quality, shown(NOON + 1, TradingDay=tomorrow, LastPrice=880.0)) == ["AT_LIMIT"]
    assert flags(quality, shown(NOON + 2, TradingDay=tomorrow)) == []
    assert flags(quality, shown(NOON + 3)) == []


def test_what_is_subscribed_no_longer_is_stale_and_no_other() -> None:
    """Nothing more comes of it, until it is subscribed again."""
    quality = begun()
    flags(quality, shown(InstrumentID=b"au2606"))
    assert [one.symbol for one in quality.lose(["au2604", "never heard of"])] == ["au2604"]
    assert flags(quality, shown(NOON + 1, InstrumentID=b"au2606")) == []
    assert flags(quality, shown(NOON + 1)) == ["FIRST_SNAPSHOT", "GAP"]


def test_a_restart_knows_what_was() -> None:
    """What the tape recalls is what the next ticks are held against."""
    before = begun()
    recalled = [encoded(before, one) for one in (shown(NOON, 20), shown(NOON + 1, 30))]
    quality = Quality(Open())
    for one in recalled:
        quality.recall(one)
    assert flags(quality, shown(NOON, 20)) == ["OUT_OF_ORDER", "FIRST_SNAPSHOT", "GAP"]
    assert flags(quality, shown(NOON + 1, 30)) == ["DUPLICATE"]
    assert flags(quality, shown(NOON + 2, 29)) == ["VOLUME_REGRESSION"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_flags_say_what_a_whole_reading_would(snapshots: list[tuple[int, int]]) -> None:
    """Held against all that came before, not only the newest."""
    quality = begun()
    newest = (NOON - 1, 9)
    for offset, volume in snapshots:
        at = (NOON + offset, volume)
        told = flags(quality, shown(*at))
        assert ("OUT_OF_ORDER" in told) == (at[0] < newest[0])
        assert ("VOLUME_REGRESSION" in told) == (at[0] >= newest[0] and volume < newest[1])
        newest = newest if at[0] < newest[0] else at
