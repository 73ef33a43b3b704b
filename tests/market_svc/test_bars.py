"""Bars: what the ticks of a day come to, in whatever order they are heard."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from arbig.calendar import SHANGHAI, Calendar, NoHolidays, Session
from arbig.errors import InvalidField
from arbig.market.v1 import bars_pb2 as pb
from arbig.market.v1 import market_pb2
from arbig.market.v1.market_pb2 import Tick
from market_svc import bars
from market_svc.bars import LENGTHS, Bars, Name, check_period

DAY = "20260310"
SYMBOL = "au2604"


def at(clock: str) -> int:
    """Give a second of the trading day; its night is that of the day before."""
    date = "2026-03-09" if clock >= "20" else "2026-03-10"
    return int(datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=SHANGHAI).timestamp())


SESSIONS: Sequence[Session] = Calendar(NoHolidays()).sessions("au", DAY)


def gold(_symbol: str, _day: str) -> Sequence[Session]:
    return SESSIONS


def nobody_knows(_symbol: str, _day: str) -> Sequence[Session]:
    return ()


def tick(clock: str | int, price: float, volume: int, **more: Any) -> Tick:
    """Make a tick of "HH:MM:SS", or of a second since 1970."""
    second = at(clock) if isinstance(clock, str) else clock
    values = {"turnover": volume * 800_000.0, "time": Timestamp(seconds=second), **more}
    return Tick(symbol=SYMBOL, trading_day=DAY, last_price=price, volume=volume, **values)


def build(ticks: Sequence[Tick], period: pb.BarPeriod.ValueType = pb.BAR_PERIOD_1M, hours: bars.Hours = gold) -> Bars:
    built = Bars(period, hours)
    for one in ticks:
        built.add(one)
    return built


def listed(built: Bars) -> list[pb.Bar]:
    return [built.bar(name) for name in built.names(DAY, SYMBOL)]


def clock(time: Timestamp) -> str:
    return f"{datetime.fromtimestamp(time.seconds, SHANGHAI):%H:%M:%S}"


@pytest.mark.parametrize(
    ("period", "moment", "begins", "ends"),
    [
        (pb.BAR_PERIOD_1M, "20:59:00", "21:00:00", "21:01:00"),  # the auction's
        (pb.BAR_PERIOD_1M, "21:00:59", "21:00:00", "21:01:00"),
        (pb.BAR_PERIOD_1M, "21:01:00", "21:01:00", "21:02:00"),
        (pb.BAR_PERIOD_1M, "02:30:00", "02:29:00", "02:30:00"),  # a session's last second
        (pb.BAR_PERIOD_1M, "10:15:00", "10:14:00", "10:15:00"),
        (pb.BAR_PERIOD_1S, "15:00:00", "14:59:59", "15:00:00"),
        (pb.BAR_PERIOD_3M, "10:14:59", "10:12:00", "10:15:00"),
        (pb.BAR_PERIOD_30M, "10:00:00", "10:00:00", "10:15:00"),
        (pb.BAR_PERIOD_30M, "10:30:00", "10:30:00", "11:00:00"),
        (pb.BAR_PERIOD_1H, "10:05:00", "10:00:00", "11:00:00"),  # the break is inside
        (pb.BAR_PERIOD_1H, "10:45:00", "10:00:00", "11:00:00"),
        (pb.BAR_PERIOD_1H, "11:30:00", "11:00:00", "11:30:00"),
        (pb.BAR_PERIOD_1H, "13:30:00", "13:30:00", "14:00:00"),
        (pb.BAR_PERIOD_1H, "02:10:00", "02:00:00", "02:30:00"),
        (pb.BAR_PERIOD_1D, "21:00:00", "21:00:00", "15:00:00"),
        (pb.BAR_PERIOD_1D, "15:00:00", "21:00:00", "15:00:00"),
        (pb.BAR_PERIOD_1M, "16:20:30", "16:20:00", "16:21:00"),  # an exchange that does not close
        (pb.BAR_PERIOD_1H, "16:20:30", "16:00:00", "17:00:00"),
    ],
)
def test_a_moment_has_its_bar(period: pb.BarPeriod.ValueType, moment: str, begins: str, ends: str) -> None:
    """Whole multiples of the period in Shanghai's time of day, cut at the sessions."""
    (bar,) = listed(build([tick(moment, 800, 1)], period))
    assert (clock(bar.begin_time), clock(bar.end_time)) == (begins, ends)


@pytest.mark.parametrize(
    ("moments", "begins", "ends"),
    [(("02:10:00", "02:40:00"), "02:00:00", "03:00:00"), (("13:10:00", "13:40:00"), "13:00:00", "14:00:00")],
)
def test_what_trades_out_of_hours_makes_its_bar_wider(moments: tuple[str, str], begins: str, ends: str) -> None:
    """An exchange that does not close has one bar for an hour, not two of the same name."""
    (bar,) = listed(build([tick(moment, 800, 1) for moment in moments], pb.BAR_PERIOD_1H))
    assert (clock(bar.begin_time), clock(bar.end_time), bar.ticks) == (begins, ends, 2)


def test_the_days_first_bar_has_what_the_auction_traded() -> None:
    """Its open is the auction's price, and all that is counted so far is its own."""
    opened = {"open_price": 801.0, "high_price": 803.0, "low_price": 800.0}
    (bar,) = listed(build([tick("20:59:00", 801, 40, **opened), tick("21:00:30", 802, 70, **opened)]))
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (801, 803, 800, 802, 70)
    assert not bar.gap


def test_a_price_between_two_ticks_is_in_the_bar_in_which_the_day_reached_it() -> None:
    """The day's high rose: somebody traded there, though no tick showed it."""
    built = build(
        [
            tick("21:00:10", 800, 10, high_price=800.0, low_price=800.0),
            tick("21:01:10", 800, 20, high_price=805.0, low_price=799.0),
            tick("21:02:10", 800, 30, high_price=805.0, low_price=799.0),
        ]
    )
    assert [(bar.high, bar.low) for bar in listed(built)] == [(800, 800), (805, 799), (800, 800)]


def test_what_was_traded_before_we_listened_is_in_no_bar_but_the_days() -> None:
    """The first bar says that something is missing."""
    ticks = [tick("10:00:10", 800, 1000, high_price=900.0), tick("10:00:20", 801, 1004, high_price=900.0)]
    (minute,), (day,) = listed(build(ticks)), listed(build(ticks, pb.BAR_PERIOD_1D))
    assert (minute.volume, minute.turnover, minute.high, minute.gap) == (4, 4 * 800_000, 801, True)
    assert (day.volume, day.high) == (1004, 900)


def test_the_first_trade_of_a_quiet_symbol_is_no_gap() -> None:
    """Nothing had been traded when it was first heard."""
    (bar,) = listed(build([tick("10:00:10", 800, 0), tick("10:00:20", 801, 3, open_price=801.0)]))
    assert (bar.open, bar.volume, bar.gap) == (801, 3, False)


def test_the_price_of_another_day_is_in_no_bar_in_which_one_of_this_day_was_traded() -> None:
    """Before its first trade a symbol shows the last of the day before."""
    opened = {"open_price": 810.0, "high_price": 811.0, "low_price": 809.0}
    quotes = [tick("09:00:10", 800, 0), tick("10:00:10", 800, 0)]
    ticks = [*quotes, tick("10:00:20", 810, 3, **opened), tick("10:01:20", 808, 4, **(opened | {"low_price": 808.0}))]
    assert [(bar.open, bar.high, bar.low, bar.volume) for bar in listed(build(ticks))] == [
        (800, 800, 800, 0),
        (810, 811, 809, 3),
        (808, 808, 808, 1),
    ]


def test_what_is_traded_during_a_hole_is_in_the_bar_after_it() -> None:
    """And that bar is marked."""
    flags = [market_pb2.TICK_FLAG_GAP]
    built = build([tick("21:00:00", 800, 5), tick("21:07:00", 800, 95, flags=flags), tick("21:08:00", 800, 96)])
    assert [(bar.volume, bar.gap) for bar in listed(built)] == [(5, False), (90, True), (1, False)]


@pytest.mark.parametrize("why", ["STALE", "OFF_SESSION", "VOLUME_REGRESSION"])
def test_a_hole_is_told_though_the_first_snapshot_behind_it_is_left_out(why: str) -> None:
    """By the bar in which it began, and by the next of the day, which has what was traded meanwhile."""
    left_out = [market_pb2.TickFlag.Value(f"TICK_FLAG_{why}"), market_pb2.TICK_FLAG_GAP]
    built = build([tick("10:02:59", 800, 5), tick("10:03:01", 800, 6)])
    (named,) = built.add(tick("10:04:30", 800, 90, flags=left_out))
    assert built.bar(named).gap
    built.add(tick("10:08:10", 801, 95))
    built.add(tick("10:09:10", 801, 96))
    assert [(bar.volume, bar.gap) for bar in listed(built)][1:] == [(1, True), (89, True), (1, False)]


def test_a_hole_before_the_first_bar_of_a_day_is_told_by_that() -> None:
    """And by no other day or symbol."""
    flags = [market_pb2.TICK_FLAG_STALE, market_pb2.TICK_FLAG_GAP]
    built = build([tick("20:58:00", 800, 0, flags=flags), tick("21:00:00", 800, 5), tick("21:01:00", 800, 5)])
    assert [bar.gap for bar in listed(built)] == [True, False]


def test_a_hole_in_which_nothing_was_sent_is_none() -> None:
    """What comes first behind it was known before."""
    flags = [market_pb2.TICK_FLAG_DUPLICATE, market_pb2.TICK_FLAG_GAP]
    built = build([tick("21:00:00", 800, 5), tick("21:00:00", 800, 5, flags=flags), tick("21:01:00", 800, 6)])
    assert [bar.gap for bar in listed(built)] == [False, False]


@pytest.mark.parametrize("flag", ["DUPLICATE", "VOLUME_REGRESSION", "OFF_SESSION", "STALE"])
def test_a_tick_not_to_be_used_is_left_out(flag: str) -> None:
    """Before the open, after the close, twice, or old."""
    flags = [market_pb2.TickFlag.Value(f"TICK_FLAG_{flag}")]
    assert Bars(pb.BAR_PERIOD_1M, gold).add(tick("21:00:00", 800, 5, flags=flags)) == []


@pytest.mark.parametrize("field", ["time", "last_price"])
def test_a_tick_without_time_or_price_is_left_out(field: str) -> None:
    """It says nothing that a bar could say."""
    bare = tick("21:00:00", 800, 5)
    bare.ClearField(field)  # type: ignore[arg-type]
    assert Bars(pb.BAR_PERIOD_1M, gold).add(bare) == []


def test_open_interest_that_the_exchange_does_not_say_is_absent() -> None:
    """It is that of the last tick."""
    (said,) = listed(build([tick("21:00:00", 800, 5), tick("21:00:01", 800, 5, open_interest=7.0)]))
    (unsaid,) = listed(build([tick("21:00:00", 800, 5)]))
    assert (said.open_interest, unsaid.HasField("open_interest")) == (7, False)


def test_a_bar_is_finished_by_the_exchanges_clock() -> None:
    """The tick that shows it names the bar once more; the last second of a session ends its own bar."""
    built = Bars(pb.BAR_PERIOD_1M, gold)
    (first,) = built.add(tick("10:13:30", 800, 5))
    assert built.bar(first).unfinished
    ended, last = built.add(tick("10:14:30", 800, 5))
    assert ended == first
    assert not built.bar(first).unfinished
    assert built.add(tick("10:15:00", 800, 6)) == [last]
    assert not built.bar(last).unfinished


def test_another_trading_day_finishes_the_one_before() -> None:
    """Whoever of the symbols is the first to have a tick in it."""
    built = Bars(pb.BAR_PERIOD_1D, gold)
    (yesterday,) = built.add(tick("14:59:59", 800, 5))
    tomorrow = tick("15:00:01", 800, 5)
    tomorrow.trading_day, tomorrow.symbol = "20260311", "au2606"
    assert built.add(tomorrow)[0] == yesterday
    assert not built.bar(yesterday).unfinished


def test_a_late_tick_corrects_its_bar_and_the_one_after_it() -> None:
    """What it had traded already is no longer in the later one."""
    built = build([tick("21:00:10", 800, 10), tick("21:01:10", 800, 20)])
    changed = [built.bar(name) for name in built.add(tick("21:00:50", 799, 17))]
    assert [(bar.close, bar.volume, bar.unfinished) for bar in changed] == [(799, 17, False), (800, 3, True)]


def test_days_and_symbols_are_apart_and_can_be_forgotten() -> None:
    """A day that is over leaves nothing behind."""
    built = build([tick("21:00:00", 800, 5)])
    other = tick("21:00:00", 900, 7)
    other.symbol = "au2606"
    (name,) = built.add(other)
    assert (built.bar(name).symbol, built.bar(name).volume) == ("au2606", 7)
    built.forget(DAY)
    assert listed(built) == []


def test_a_period_that_is_none_is_refused() -> None:
    """No period means a minute."""
    assert check_period(pb.BAR_PERIOD_UNSPECIFIED) == pb.BAR_PERIOD_1M
    with pytest.raises(InvalidField, match="period: 77"):
        check_period(77)  # type: ignore[arg-type]


# What holds of every day. Prices are whole yuan, so that sums are exact.

MOMENTS = [at("20:59:00"), *(second for one in SESSIONS for second in range(one.begin, one.end + 1))]

ENDS = [MOMENTS.index(one.end) for one in SESSIONS]


@st.composite
def days(draw: st.DrawFn) -> list[Tick]:
    """Make a day that is heard from its beginning: time and counts rise, prices lie in the day's range."""
    made: list[Tick] = []
    place = volume = turnover = 0
    low, high = 10**9, 0
    opened = draw(st.integers(700, 900))
    for number in range(draw(st.integers(1, 25))):
        to_the_end = next(end for end in ENDS if end >= place) - place
        pause = draw(st.sampled_from([0, 0, 1, 7, 31, 59, 60, 61, 299, 3000, to_the_end])) if number else 0
        place = min(place + pause, len(MOMENTS) - 1)
        lots, price = (draw(st.integers(0, 3)), draw(st.integers(700, 900))) if number else (1, opened)
        price = price if lots else int(made[-1].last_price)
        volume, turnover = volume + lots, turnover + lots * price * 1000
        unseen = draw(st.integers(0, 5)) if lots else 0
        low, high = min(low, price - unseen), max(high, price + unseen)
        flags = [market_pb2.TICK_FLAG_GAP] if draw(st.integers(0, 9)) == 9 else []
        prices = {"open_price": opened, "high_price": high, "low_price": low}
        interest = draw(st.none() | st.integers(1, 9))
        more = {"turnover": turnover, "open_interest": interest, "seq": number + 1, "flags": flags, **prices}
        made.append(tick(MOMENTS[place], price, volume, **more))
    return made


def in_any_order(ticks: list[Tick], data: Any, period: Any, hours: bars.Hours) -> None:
    """Give the same bars of the same ticks."""
    mixed = data.draw(st.permutations(ticks))
    assert listed(build(mixed, period, hours)) == listed(build(ticks, period, hours))


def every_change_is_named(ticks: list[Tick], data: Any, period: Any) -> None:
    """Name all that a follower must take again."""
    built = Bars(period, gold)
    known: dict[Name, pb.Bar] = {}
    for one in data.draw(st.permutations(ticks)):
        known |= {name: built.bar(name) for name in built.add(one)}
        assert [known[name] for name in built.names(DAY, SYMBOL)] == listed(built)


def nothing_is_traded_twice_or_lost(ticks: list[Tick], period: Any) -> None:
    """Come to what the exchange counted."""
    made = listed(build(ticks, period))
    assert sum(bar.volume for bar in made) == ticks[-1].volume
    assert sum(bar.turnover for bar in made) == ticks[-1].turnover
    assert sum(bar.ticks for bar in made) == len(ticks)


def minutes_come_to_longer_bars(ticks: list[Tick], period: Any) -> None:
    """Be the same, put together from minutes or from ticks."""
    minutes = listed(build(ticks))
    for long in listed(build(ticks, period)):
        inside = [one for one in minutes if long.begin_time.seconds <= one.begin_time.seconds < long.end_time.seconds]
        assert inside[-1].end_time.seconds <= long.end_time.seconds
        assert (long.open, long.close) == (inside[0].open, inside[-1].close)
        assert (long.high, long.low) == (max(one.high for one in inside), min(one.low for one in inside))
        assert (long.volume, long.turnover) == (sum(one.volume for one in inside), sum(one.turnover for one in inside))
        assert (long.ticks, long.gap) == (sum(one.ticks for one in inside), any(one.gap for one in inside))
        assert long.HasField("open_interest") == inside[-1].HasField("open_interest")
        assert long.open_interest == inside[-1].open_interest


def bars_lie_in_sessions(ticks: list[Tick], period: Any) -> None:
    """Begin and end inside of the sessions, one after the other."""
    made = listed(build(ticks, period))
    for bar, after in pairwise(made):
        assert bar.end_time.seconds <= after.begin_time.seconds
    for bar in made:
        assert any(one.begin <= bar.begin_time.seconds < one.end for one in SESSIONS)
        assert any(one.begin < bar.end_time.seconds <= one.end for one in SESSIONS)


def every_price_was_traded(ticks: list[Tick], period: Any) -> None:
    """Have the day's highest and lowest price, each in the bar in which it was new."""
    made = listed(build(ticks, period))
    assert max(bar.high for bar in made) == ticks[-1].high_price
    assert min(bar.low for bar in made) == ticks[-1].low_price
    shown = {one.last_price for one in ticks}
    for number, bar in enumerate(made):
        assert bar.high in shown or all(bar.high > before.high for before in made[:number])
        assert bar.low in shown or all(bar.low < before.low for before in made[:number])


PERIODS = st.sampled_from([*LENGTHS, pb.BAR_PERIOD_1D])
LONG = st.sampled_from([pb.BAR_PERIOD_5M, pb.BAR_PERIOD_1H, pb.BAR_PERIOD_1D])
PROMISES: dict[Callable[..., None], dict[str, Any]] = {
    in_any_order: {"data": st.data(), "period": PERIODS, "hours": st.sampled_from([gold, nobody_knows])},
    every_change_is_named: {"data": st.data(), "period": PERIODS},
    nothing_is_traded_twice_or_lost: {"period": PERIODS},
    bars_lie_in_sessions: {"period": PERIODS},
    every_price_was_traded: {"period": PERIODS},
    minutes_come_to_longer_bars: {"period": LONG},
}


def prove(promise: Callable[..., None], **options: Any) -> None:
    """Try a promise on many days."""
    settings(max_examples=100, deadline=None, **options)(given(ticks=days(), **PROMISES[promise])(promise))()


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_of_every_day(promise: Callable[..., None]) -> None:
    """What the functions above say."""
    prove(promise)


# Bugs that are planted on purpose.


def _own_second(second: int, sessions: Sequence[Session]) -> int | None:
    return next((max(second, one.begin) for one in sessions if (one.auction or one.begin) <= second < one.end), None)


def _newest_wins(self: Any, span: bars.Span, moment: bars.Moment, tick: Tick) -> None:
    _add(self, span, moment, tick)
    self.close = tick.last_price


def _oldest_wins(self: Any, span: bars.Span, moment: bars.Moment, tick: Tick) -> None:
    opened = self.open
    _add(self, span, moment, tick)
    self.open = opened


_add = bars._Heard.add


def _its_own_bar_only(self: Any, tick: Tick, *, lost: bool) -> set[int]:
    changed: set[int] = _add_day(self, tick, lost=lost) & {self._span(tick.time.seconds).place}
    return changed


def _no_end(self: Any, tick: Tick, *, lost: bool) -> set[int]:
    before: set[int] = set(self.unfinished)
    changed: set[int] = _add_day(self, tick, lost=lost) - (before - self.unfinished)
    return changed


_add_day: Callable[..., set[int]] = bars._Day.add


def _from_own_first(self: Any, at: int, heard: Any, *, whole: bool) -> bars._Before:
    before = _before(self, at, heard, whole=whole)
    return before if whole else before._replace(volume=heard.first_volume)


def _no_price_unseen(self: Any, at: int, heard: Any, *, whole: bool) -> bars._Before:
    return _before(self, at, heard, whole=whole)._replace(high=1e9, low=-1e9)


def _every_day_high(self: Any, at: int, heard: Any, *, whole: bool) -> bars._Before:
    return _before(self, at, heard, whole=whole)._replace(high=-1e9)


_before = bars._Day._before

Plant = Callable[[], AbstractContextManager[Any]]
PLANTED: dict[str, Plant] = {
    "the last second of a session makes a bar": lambda: patch.object(bars, "_scheduled", _own_second),
    "what comes last is the close": lambda: patch.object(bars._Heard, "add", _newest_wins),
    "what comes first is the open": lambda: patch.object(bars._Heard, "add", _oldest_wins),
    "a late tick changes its own bar only": lambda: patch.object(bars._Day, "add", _its_own_bar_only),
    "the end of a bar is not told": lambda: patch.object(bars._Day, "add", _no_end),
    "volume counts from the bar's own first tick": lambda: patch.object(bars._Day, "_before", _from_own_first),
    "prices between two ticks are not seen": lambda: patch.object(bars._Day, "_before", _no_price_unseen),
    "the day's high is every bar's": lambda: patch.object(bars._Day, "_before", _every_day_high),
}


def prove_all() -> None:
    """Try every promise, without a search for the shortest day that breaks it."""
    for promise in PROMISES:
        prove(promise, database=None, phases=[Phase.generate], report_multiple_bugs=False)


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str) -> None:
    """By one of the promises at least."""
    with PLANTED[bug](), pytest.raises(AssertionError):
        prove_all()
