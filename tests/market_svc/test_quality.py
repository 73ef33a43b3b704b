"""What is to be known about a snapshot before it is used."""

import bisect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.market.v1.market_pb2 import Tick, TickFlag
from market_svc.hours import Span
from market_svc.quality import STALE_SECONDS, Quality

NOON = 1_700_000_000
DAY, HOLIDAY = "20231115", "20231118"


class Open:
    """An exchange that trades but in some seconds, and not on one day."""

    def __init__(self, *closed: int) -> None:
        self.closed = closed
        self.changes = 0

    def span(self, symbol: str, trading_day: str, second: int) -> Span:
        """Say so."""
        edges = [0, *(edge for one in sorted(self.closed) for edge in (one, one + 1)), 1 << 40]
        at = bisect.bisect(edges, second)
        return Span(edges[at - 1], edges[at], second not in self.closed and trading_day != HOLIDAY)


def tick(second: int = NOON, volume: int = 10, **more: Any) -> Tick:
    """Make a snapshot of a market with room on both sides."""
    values = {"symbol": "au2604", "trading_day": DAY, "last_price": 800.0, "bid_prices": [799.98], "bid_volumes": [1]}
    values |= {"ask_prices": [800.02], "ask_volumes": [1], "upper_limit_price": 880.0, "lower_limit_price": 720.0}
    made = Tick(**(values | {"volume": volume} | more))  # type: ignore[arg-type]
    made.time.FromSeconds(second)
    return made


def flags(quality: Quality, one: Tick) -> list[str]:
    """Give the names of the flags that a tick gets."""
    told = Tick.FromString(quality.encode(one)).flags
    return [TickFlag.Name(flag).removeprefix("TICK_FLAG_") for flag in told]


def begun(*closed: int, **more: Any) -> Quality:
    """Make one that has heard the first snapshot."""
    quality = Quality(Open(*closed), **more)
    flags(quality, tick(NOON - 1, 9))
    return quality


def test_a_plain_tick_has_no_flags() -> None:
    """Nearly all have none."""
    assert flags(begun(), tick()) == []


def test_the_first_of_a_symbol_says_so() -> None:
    """CTP shows the newest snapshot on subscribing, at any hour."""
    quality = Quality(Open())
    assert flags(quality, tick()) == ["FIRST_SNAPSHOT"]
    assert flags(quality, tick(symbol="au2606")) == ["FIRST_SNAPSHOT"]
    assert flags(quality, tick(NOON + 1)) == []


def test_what_says_the_same_again_is_a_duplicate() -> None:
    """The same time, volume, open interest and levels: not the same time alone."""
    quality = begun()
    flags(quality, tick())
    assert flags(quality, tick()) == ["DUPLICATE"]
    assert flags(quality, tick(bid_volumes=[2])) == []
    assert flags(quality, tick(bid_volumes=[2], open_interest=5.0)) == []
    assert flags(quality, tick(NOON + 1, bid_volumes=[2], open_interest=5.0)) == []


def test_a_time_that_goes_back_is_out_of_order_and_counts_for_nothing_after_it() -> None:
    """Its volume is less by nature: no regression; what follows is held against the newest."""
    quality = begun()
    flags(quality, tick(NOON + 5, 20))
    assert flags(quality, tick(NOON + 3, 15)) == ["OUT_OF_ORDER"]
    assert flags(quality, tick(NOON + 4, 16)) == ["OUT_OF_ORDER"]
    assert flags(quality, tick(NOON + 6, 20)) == []


def test_a_volume_that_falls_is_a_regression_once() -> None:
    """What follows counts on from there."""
    quality = begun()
    flags(quality, tick(NOON, 20))
    assert flags(quality, tick(NOON + 1, 19)) == ["VOLUME_REGRESSION"]
    assert flags(quality, tick(NOON + 2, 19, open_interest=1.0)) == []


def test_a_new_trading_day_begins_at_nothing() -> None:
    """Volume counts from the rollover on, and an exchange may say a time of the evening before."""
    quality = begun()
    flags(quality, tick(NOON, 20_000))
    assert flags(quality, tick(NOON + 30_000, 3, trading_day="20231116")) == []


def test_what_lies_in_no_session_says_so() -> None:
    """Also when the exchange says within a second that it closed."""
    quality = begun(NOON + 2)
    assert flags(quality, tick(NOON + 1)) == []
    assert flags(quality, tick(NOON + 2, 11)) == ["OFF_SESSION"]
    assert flags(quality, tick(NOON + 3, 12)) == []
    quality._hours.closed, quality._hours.changes = (NOON + 3,), 1  # type: ignore[attr-defined,misc]
    assert flags(quality, tick(NOON + 3, 13)) == ["OFF_SESSION"]


def test_each_trading_day_has_its_own_hours() -> None:
    """Though an exchange may say a time of another day."""
    quality = begun()
    assert flags(quality, tick()) == []
    assert flags(quality, tick(NOON, 11, trading_day=HOLIDAY)) == ["OFF_SESSION"]
    assert flags(quality, tick(NOON, 12)) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"bid_prices": [800.02]}, ["CROSSED"]),
        ({"bid_prices": [800.04]}, ["CROSSED"]),
        ({"last_price": 880.0}, ["AT_LIMIT"]),
        ({"last_price": 720.0}, ["AT_LIMIT"]),
        ({"bid_prices": [880.0], "ask_prices": []}, ["AT_LIMIT"]),
        ({"bid_prices": [], "ask_prices": [720.0]}, ["AT_LIMIT"]),
        ({"bid_prices": [879.98], "ask_prices": []}, []),
        ({"bid_prices": [], "ask_prices": []}, []),
        ({"settlement_price": 801.0}, ["SETTLEMENT"]),
    ],
)
def test_prices_say_when_they_are_special(changed: dict[str, Any], expected: list[str]) -> None:
    """A book that crosses, a market at its limit, the day's settlement."""
    assert flags(begun(), tick(**changed)) == expected


def test_a_price_that_is_absent_is_at_no_limit() -> None:
    """Before the open there are neither prices nor limits."""
    bare = Tick(symbol="au2604", trading_day=DAY)
    bare.time.FromSeconds(NOON)
    assert flags(begun(), bare) == ["VOLUME_REGRESSION"]
    assert flags(begun(), Tick(symbol="au2604")) == []


def test_what_lies_far_behind_the_exchanges_clock_is_stale() -> None:
    """In simulation the newest tick is that clock, until the next login; live it is ours."""
    quality = begun()
    flags(quality, tick(NOON, symbol="au2606"))
    assert flags(quality, tick(NOON - STALE_SECONDS, symbol="ag2606")) == ["FIRST_SNAPSHOT"]
    assert flags(quality, tick(NOON - STALE_SECONDS - 1, symbol="ag2607")) == ["FIRST_SNAPSHOT", "STALE"]
    quality.lose()
    assert flags(quality, tick(NOON - 500, symbol="ag2608")) == ["FIRST_SNAPSHOT"]
    live = begun(clock=lambda: NOON + STALE_SECONDS)
    assert flags(live, tick()) == []
    assert flags(begun(clock=lambda: NOON + STALE_SECONDS + 1), tick()) == ["STALE"]


def test_a_broken_link_makes_everything_stale_and_the_next_ticks_gaps() -> None:
    """Once: a link that stays broken says nothing new."""
    quality = begun()
    flags(quality, tick(symbol="au2606"))
    assert [(one.symbol, list(one.flags)) for one in quality.lose()] == [
        (symbol, [TickFlag.TICK_FLAG_STALE]) for symbol in ("au2604", "au2606")
    ]
    assert quality.lose() == []
    assert flags(quality, tick(NOON + 1)) == ["FIRST_SNAPSHOT", "GAP"]
    assert flags(quality, tick(NOON + 2)) == []
    assert [one.symbol for one in quality.lose()] == ["au2604"]


def test_what_is_repeated_as_stale_is_the_newest_and_not_the_last_to_come() -> None:
    """A late snapshot is older than what is known."""
    quality = begun()
    flags(quality, tick(NOON + 5, 20))
    flags(quality, tick(NOON + 3, 15))
    assert [one.volume for one in quality.lose()] == [20]


def test_a_message_that_is_filled_anew_keeps_no_flags() -> None:
    """The service has one message for all snapshots of a symbol."""
    quality, one = Quality(Open()), tick()
    assert flags(quality, one) == ["FIRST_SNAPSHOT"]
    one.time.seconds += 1
    assert flags(quality, one) == []


def test_what_is_subscribed_no_longer_is_stale_and_no_other() -> None:
    """Nothing more comes of it, until it is subscribed again."""
    quality = begun()
    flags(quality, tick(symbol="au2606"))
    assert [one.symbol for one in quality.lose(["au2604", "never heard of"])] == ["au2604"]
    assert flags(quality, tick(NOON + 1, symbol="au2606")) == []
    assert flags(quality, tick(NOON + 1)) == ["FIRST_SNAPSHOT", "GAP"]


def test_a_restart_knows_what_was() -> None:
    """What the tape recalls is what the next ticks are held against."""
    before = begun()
    recalled = [Tick.FromString(before.encode(one)) for one in (tick(NOON, 20), tick(NOON + 1, 30))]
    quality = Quality(Open())
    for one in recalled:
        quality.recall(one)
    assert flags(quality, tick(NOON, 20)) == ["OUT_OF_ORDER", "FIRST_SNAPSHOT", "GAP"]
    assert flags(quality, tick(NOON + 1, 30)) == ["DUPLICATE"]
    assert flags(quality, tick(NOON + 2, 29)) == ["VOLUME_REGRESSION"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_flags_say_what_a_whole_reading_would(snapshots: list[tuple[int, int]]) -> None:
    """Held against all that came before, not only the newest."""
    quality = begun()
    newest = (NOON - 1, 9)
    for offset, volume in snapshots:
        at = (NOON + offset, volume)
        told = flags(quality, tick(*at))
        assert ("OUT_OF_ORDER" in told) == (at[0] < newest[0])
        assert ("VOLUME_REGRESSION" in told) == (at[0] >= newest[0] and volume < newest[1])
        newest = newest if at[0] < newest[0] else at
