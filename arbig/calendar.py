"""When something happened, and on which trading day, by the exchange's own words and clock: Shanghai's, never ours.

A trading day begins on the evening of the one before, so Friday's night belongs to Monday.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from arbig import sessions

# China has had no summer time since 1991.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
_OFFSET = 8 * 3600
_FIRST_DAY, _DAY = date(1970, 1, 1), timedelta(days=1)
# At 20:55 the first auction of the next trading day begins; so many seconds are left of the evening.
_AFTER_ROLLOVER = 86_400 - (20 * 3600 + 55 * 60)
# Clocks after the first and before the second are of a night session.
_EVENING, _MORNING = "20:00:00", "08:00:00"
# At night these say ActionDay for the trading day, and CZCE TradingDay for the natural day.
_TRADING_DAY_TWICE = frozenset({"DCE", "GFEX"})
_NATURAL_DAY_TWICE = "CZCE"


@lru_cache(maxsize=16)
def _midnight(day: str) -> int | None:
    """Seconds since 1970 at which the day YYYYMMDD begins in Shanghai; None if it is no day."""
    if len(day) != 8 or not day.isdigit():
        return None
    try:
        begins = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
    except ValueError:
        return None
    return int(begins.timestamp()) - _OFFSET


@lru_cache(maxsize=4_096)
def exchange_second(day: str, clock: str) -> int | None:
    """Give the instant of `clock` "HH:MM:SS" on the natural day YYYYMMDD, in seconds since 1970.

    None if either is no such thing.
    """
    begins = _midnight(day)
    if begins is None or len(clock) != 8 or clock[2] != ":" or clock[5] != ":":
        return None
    hours, minutes, seconds = clock[:2], clock[3:5], clock[6:]
    if not (hours + minutes + seconds).isdigit() or hours > "23" or minutes > "59" or seconds > "59":
        return None
    return begins + int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def exchange_time(day: str, clock: str, milliseconds: int = 0) -> Timestamp | None:
    """Give the same instant as a Timestamp."""
    second = exchange_second(day, clock)
    return None if second is None else Timestamp(seconds=second, nanos=milliseconds % 1000 * 1_000_000)


def clock_second(instant: int) -> int:
    """Give the second of Shanghai's day at an instant, in seconds since 1970."""
    return (instant + _OFFSET) % 86_400


def is_day(day: str) -> bool:
    """Whether this is a day YYYYMMDD."""
    return _midnight(day) is not None


class Holidays(Protocol):
    """What is to be known from the exchanges' notices; `arbig/holidays.py` has it from a file."""

    def is_closed(self, day: date) -> bool:
        """Whether the exchanges are closed on this weekday."""
        ...

    def has_night(self, evening: date) -> bool:
        """Whether there is a night session on the evening of a trading day, if no holiday follows."""
        ...


class NoHolidays:
    """Every weekday is a trading day."""

    def is_closed(self, day: date) -> bool:
        """Be open."""
        return False

    def has_night(self, evening: date) -> bool:
        """Be open at night too."""
        return True


class Session(NamedTuple):
    """A time in which a product is traded without a break, in seconds since 1970."""

    auction: int | None
    """When the auction before it begins to take orders; None where it begins without one."""
    begin: int
    end: int


class Calendar:
    """The trading days, YYYYMMDD, and what lies on them.

    Holidays that are not known may make any method raise what `holidays` raises.
    """

    def __init__(self, holidays: Holidays) -> None:
        self._holidays = holidays

    def is_trading_day(self, day: str) -> bool:
        """Whether the exchanges are open."""
        return self._is_open(_date(day))

    def _is_open(self, day: date) -> bool:
        return day.weekday() < 5 and not self._holidays.is_closed(day)

    @lru_cache(maxsize=64)  # noqa: B019 - a calendar lives as long as its process
    def next_day(self, day: str) -> str:
        """Give the trading day after a day."""
        return self._first_open(_date(day) + _DAY, _DAY)

    def previous_day(self, day: str) -> str:
        """Give the trading day before a day."""
        return self._first_open(_date(day) - _DAY, -_DAY)

    def _first_open(self, day: date, step: timedelta) -> str:
        while not self._is_open(day):
            day += step
        return f"{day:%Y%m%d}"

    def trading_days(self, first: str, last: str) -> Iterator[str]:
        """Give the trading days from one day to another, both included."""
        day, end = _date(first), _date(last)
        while day <= end:
            if self._is_open(day):
                yield f"{day:%Y%m%d}"
            day += _DAY

    def trading_day_at(self, instant: float) -> str:
        """Give the trading day at an instant, in seconds since 1970: from 20:55 on, and in a pause, the next one."""
        return self._trading_day_from(int(instant + _OFFSET + _AFTER_ROLLOVER) // 86_400)

    @lru_cache(maxsize=1_024)  # noqa: B019
    def _trading_day_from(self, days_since_1970: int) -> str:
        return self._first_open(_FIRST_DAY + days_since_1970 * _DAY, _DAY)

    @lru_cache(maxsize=4_096)  # noqa: B019
    def sessions(self, product: str, trading_day: str) -> tuple[Session, ...]:
        """Give a product's sessions of a trading day in their order, the night first; none of another day."""
        if not is_day(trading_day) or not self._is_open(day := _date(trading_day)):
            return ()
        night, evening = sessions.night(product), _weekday_before(day)
        nights = [_session(night, evening)] if night and self._has_night(evening) else []
        return (*nights, *(_session(hours, day) for hours in sessions.day(product)))

    def _has_night(self, evening: date) -> bool:
        """Whether the night session of the next weekday's trading day is on this weekday's evening."""
        # A holiday before the next trading day leaves no night.
        return self._is_open(evening) and self._holidays.has_night(evening)

    def event_day(self, exchange: str, trading_day: str, action_day: str, clock: str) -> str:
        """Give the natural day of a snapshot: ActionDay, but where the exchange says the trading day for it at night.

        What is no day stays what it is.
        """
        if exchange not in _TRADING_DAY_TWICE or action_day != trading_day or _MORNING <= clock < _EVENING:
            return action_day
        return self._night_before(trading_day, after_midnight=clock < _MORNING)

    @lru_cache(maxsize=64)  # noqa: B019
    def _night_before(self, trading_day: str, *, after_midnight: bool) -> str:
        if not is_day(trading_day):
            return trading_day
        evening = _date(self.previous_day(trading_day))
        return f"{evening + _DAY if after_midnight else evening:%Y%m%d}"

    def trading_day_of(self, exchange: str, trading_day: str, action_day: str, clock: str) -> str:
        """Give the trading day of a snapshot: TradingDay, but where the exchange says the natural day for it at night.

        What is no day stays what it is.
        """
        if exchange != _NATURAL_DAY_TWICE or trading_day != action_day or clock < _EVENING or not is_day(trading_day):
            return trading_day
        return self.next_day(trading_day)


def _date(day: str) -> date:
    return date.fromisoformat(day)


def _weekday_before(day: date) -> date:
    return day - (3 * _DAY if day.weekday() == 0 else _DAY)


def _session(hours: sessions.Hours, day: date) -> Session:
    """Lay a session on the natural day on which it begins."""
    midnight = (day - _FIRST_DAY).days * 86_400 - _OFFSET
    begin, end = (midnight + sessions.second_of_day(time) for time in (hours.begin, hours.end))
    auction = midnight + sessions.second_of_day(hours.ordering) if hours.ordering else None
    return Session(auction, begin, end if begin < end else end + 86_400)
