"""Bars: what was traded of a symbol in a period, derived from its ticks by the exchange's clock.

Of a bar only what its own ticks say is kept; the volume, the turnover and the prices between two
ticks follow from that and from the bar before it of the same trading day. So the order in which
ticks come does not matter, and a late one corrects its bar and the one after it.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.calendar import Session
from arbig.errors import InvalidField
from arbig.market.v1 import bars_pb2 as pb
from arbig.market.v1 import market_pb2
from arbig.market.v1.market_pb2 import Tick

# Seconds of each period but the trading day.
LENGTHS: dict[int, int] = {
    pb.BAR_PERIOD_1S: 1,
    pb.BAR_PERIOD_5S: 5,
    pb.BAR_PERIOD_15S: 15,
    pb.BAR_PERIOD_30S: 30,
    pb.BAR_PERIOD_1M: 60,
    pb.BAR_PERIOD_3M: 180,
    pb.BAR_PERIOD_5M: 300,
    pb.BAR_PERIOD_15M: 900,
    pb.BAR_PERIOD_30M: 1800,
    pb.BAR_PERIOD_1H: 3600,
}
_LEFT_OUT = frozenset(
    {
        market_pb2.TICK_FLAG_DUPLICATE,
        market_pb2.TICK_FLAG_VOLUME_REGRESSION,
        market_pb2.TICK_FLAG_OFF_SESSION,
        market_pb2.TICK_FLAG_STALE,
    }
)
_FOR_EVER = 1 << 62

# The sessions of a symbol on a trading day; none where they are not known.
Hours = Callable[[str, str], Sequence[Session]]
Moment = tuple[int, int, int]


class Name(NamedTuple):
    """Which bar, among those of one period; `place` is where the clock's period begins."""

    trading_day: str
    symbol: str
    place: int


class Span(NamedTuple):
    """Where the clock's period begins, and when its bar begins and ends, in seconds since 1970."""

    place: int
    begin: int
    end: int


def check_period(period: pb.BarPeriod.ValueType) -> pb.BarPeriod.ValueType:
    """Give the period, one minute where none was named; raises InvalidField for none that there is."""
    if period and period not in pb.BarPeriod.values():
        raise InvalidField("period", f"{period} is no period", "UNKNOWN_PERIOD")
    return period or pb.BAR_PERIOD_1M


def period_name(period: pb.BarPeriod.ValueType) -> str:
    """Give the period as people write it: "1M"."""
    return pb.BarPeriod.Name(period).removeprefix("BAR_PERIOD_")


def span_of(second: int, length: int, sessions: Sequence[Session]) -> Span:
    """Say which bar of `length` seconds a moment of a trading day belongs to."""
    moment = _scheduled(second, sessions)
    # Shanghai is eight hours ahead: whole periods, so that its time of day needs no other count.
    place = (second if moment is None else moment) // length * length
    end = place + length
    if moment is None:
        return Span(place, place, end)
    touched = [one for one in sessions if one.begin < end and one.end > place]
    return Span(place, max(place, touched[0].begin), min(end, touched[-1].end))


def _scheduled(second: int, sessions: Sequence[Session]) -> int | None:
    """Give the second inside a session that a moment counts as; None outside of all."""
    for one in sessions:
        if one.begin <= second < one.end:
            return second
    for one in sessions:
        if second == one.end:
            return second - 1  # what closes a session is sent in the second after it
        if one.auction is not None and one.auction <= second < one.begin:
            return one.begin
    return None


class _Heard:
    """What the ticks of one bar say themselves."""

    # There may be a quarter of a million of them.
    __slots__ = (
        *("begin", "end", "first", "last", "open", "high", "low", "close", "open_interest", "ticks", "gap"),
        *("first_turnover", "volume", "turnover", "day_open", "day_high", "day_low"),
    )

    def __init__(self, span: Span, moment: Moment, tick: Tick) -> None:
        self.begin, self.end = span.begin, span.end
        self.first = self.last = moment
        self.open = self.high = self.low = self.close = tick.last_price
        self.open_interest = tick.open_interest if tick.HasField("open_interest") else None
        self.first_turnover = tick.turnover
        self.volume, self.turnover = 0, 0.0
        self.day_open, self.day_high, self.day_low = 0.0, -math.inf, math.inf
        self.ticks, self.gap = 0, False

    def add(self, span: Span, moment: Moment, tick: Tick) -> None:
        price = tick.last_price
        self.ticks += 1
        # Only a tick outside the sessions makes them wider.
        self.begin, self.end = min(self.begin, span.begin), max(self.end, span.end)
        if moment < self.first:
            self.first, self.open, self.first_turnover = moment, price, tick.turnover
        if moment > self.last:
            self.last, self.close = moment, price
            self.open_interest = tick.open_interest if tick.HasField("open_interest") else None
        self.high, self.low = max(self.high, price), min(self.low, price)
        # What the exchange counts over the day never falls.
        self.volume, self.turnover = max(self.volume, tick.volume), max(self.turnover, tick.turnover)
        if tick.HasField("open_price"):
            self.day_open = tick.open_price
        if tick.HasField("high_price"):
            self.day_high = max(self.day_high, tick.high_price)
        if tick.HasField("low_price"):
            self.day_low = min(self.day_low, tick.low_price)

    @property
    def first_volume(self) -> int:
        """What had been traded at its first tick."""
        return self.first[1]


class _Before(NamedTuple):
    """What the exchange had counted of the day when a bar began."""

    volume: int
    turnover: float
    high: float
    low: float


class _Day:
    """The bars of a symbol on a trading day."""

    def __init__(self, period: int, sessions: Sequence[Session]) -> None:
        self.heard: dict[int, _Heard] = {}
        self.places: list[int] = []
        self.unfinished: set[int] = set()
        self._sessions = sessions
        self._length = LENGTHS.get(period)
        self._clock = 0

    def add(self, tick: Tick, *, lost: bool) -> set[int]:
        """Take a tick in, before which others were lost or not; give the places of the bars that changed."""
        second = tick.time.seconds
        moment = (second * 1_000_000_000 + tick.time.nanos, tick.volume, tick.seq)
        span = self._span(second)
        heard = self.heard.get(span.place)
        if heard is None:
            heard = self.heard[span.place] = _Heard(span, moment, tick)
            insort(self.places, span.place)
        heard.add(span, moment, tick)
        heard.gap |= lost or market_pb2.TICK_FLAG_GAP in tick.flags
        self.unfinished.add(span.place)
        changed = {span.place} | self.pass_by(second)
        if span.place != self.places[-1]:
            changed.add(self.places[bisect_left(self.places, span.place) + 1])
        return changed

    def _span(self, second: int) -> Span:
        if self._length:
            return span_of(second, self._length, self._sessions)
        # Without sessions its times are those of its ticks.
        begin, end = (self._sessions[0].begin, self._sessions[-1].end) if self._sessions else (second, second + 1)
        return Span(0, begin, end)

    def lose(self) -> set[int]:
        """Note that what came after the last bar is missing; give its place, if there is one."""
        for place in self.places[-1:]:
            self.heard[place].gap = True
        return set(self.places[-1:])

    def pass_by(self, second: int) -> set[int]:
        """Let the exchange's clock reach a second; give the places of the bars that ended by it."""
        self._clock = max(self._clock, second)
        ended = {place for place in self.unfinished if self.heard[place].end <= self._clock}
        self.unfinished -= ended
        return ended

    def bar(self, place: int) -> pb.Bar:
        """Derive what a bar says: all but its name."""
        heard = self.heard[place]
        at = bisect_left(self.places, place)
        whole = not at and self._is_whole(heard)
        before = self._before(at, heard, whole=whole)
        rose, fell = heard.day_high > before.high, heard.day_low < before.low
        # Before the first trade of a day the last price is that of another one: the day's own prices are this bar's.
        first = whole or (at > 0 and not before.volume)
        return pb.Bar(
            begin_time=Timestamp(seconds=heard.begin),
            end_time=Timestamp(seconds=heard.end),
            open=(first and heard.day_open) or heard.open,
            high=heard.day_high if rose and (first or heard.day_high > heard.high) else heard.high,
            low=heard.day_low if fell and (first or heard.day_low < heard.low) else heard.low,
            close=heard.close,
            volume=max(0, heard.volume - before.volume),
            turnover=max(0.0, heard.turnover - before.turnover),
            open_interest=heard.open_interest,
            ticks=heard.ticks,
            unfinished=place in self.unfinished,
            gap=heard.gap or not (at or whole),
        )

    def _before(self, at: int, heard: _Heard, *, whole: bool) -> _Before:
        if at:
            one = self.heard[self.places[at - 1]]
            return _Before(one.volume, one.turnover, one.day_high, one.day_low)
        if whole:
            return _Before(0, 0.0, -math.inf, math.inf)
        return _Before(heard.first_volume, heard.first_turnover, math.inf, -math.inf)

    def _is_whole(self, heard: _Heard) -> bool:
        """Whether the first bar has all of the day up to its end: it began with it, or nothing was traded before."""
        begins = heard.begin <= self._sessions[0].begin if self._sessions else not self._length
        return begins or not heard.first_volume


class Bars:
    """The bars of one period, of any symbols and trading days.

    A bar is unfinished until a tick of its symbol and trading day has the time at which it ends, or a
    later trading day begins.
    """

    def __init__(self, period: pb.BarPeriod.ValueType, hours: Hours) -> None:
        self.period = period
        self._hours = hours
        self._days: dict[tuple[str, str], _Day] = {}
        # Whose next bar misses something.
        self._lost: set[tuple[str, str]] = set()

    def add(self, tick: Tick) -> list[Name]:
        """Take a tick in; name the bars that changed by it."""
        key = tick.trading_day, tick.symbol
        if not (tick.HasField("time") and tick.HasField("last_price")) or not _LEFT_OUT.isdisjoint(tick.flags):
            return self._leave_out(tick, key)
        ended: list[Name] = []
        if (day := self._days.get(key)) is None:
            ended = self.finish(tick.trading_day)
            day = self._days[key] = _Day(self.period, self._hours(tick.symbol, tick.trading_day))
        lost = key in self._lost
        self._lost.discard(key)
        return [*ended, *(Name(*key, place) for place in sorted(day.add(tick, lost=lost)))]

    def _leave_out(self, tick: Tick, key: tuple[str, str]) -> list[Name]:
        # Unless it says what was known before the hole: then nothing was sent in it.
        if market_pb2.TICK_FLAG_GAP not in tick.flags or market_pb2.TICK_FLAG_DUPLICATE in tick.flags:
            return []
        self._lost.add(key)
        day = self._days.get(key)
        return [Name(*key, place) for place in day.lose()] if day else []

    def finish(self, before: str) -> list[Name]:
        """Let the trading days before one be over; name the bars that were unfinished."""
        over = [(key, day) for key, day in self._days.items() if key[0] < before and day.unfinished]
        return [Name(*key, place) for key, day in over for place in sorted(day.pass_by(_FOR_EVER))]

    def bar(self, name: Name) -> pb.Bar:
        """Give a bar as it is now."""
        bar = self._days[name.trading_day, name.symbol].bar(name.place)
        bar.symbol, bar.period, bar.trading_day = name.symbol, self.period, name.trading_day
        return bar

    def names(self, trading_day: str, symbol: str) -> Iterable[Name]:
        """Name the bars of a symbol on a trading day, the oldest first."""
        day = self._days.get((trading_day, symbol))
        return [Name(trading_day, symbol, place) for place in day.places] if day else []

    def forget(self, trading_day: str) -> None:
        """Drop the bars of a trading day."""
        self._days = {key: day for key, day in self._days.items() if key[0] != trading_day}
        self._lost = {key for key in self._lost if key[0] != trading_day}
