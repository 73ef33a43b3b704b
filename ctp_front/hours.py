"""When an exchange is open: the status of a product at each time of its trading day.

A trading day runs from the evening before. At night and in the morning it opens with an auction:
orders gather, at the last minute they are matched, and then trading is continuous. Only gold's
times come from the exchange's documents; the other products' nights are the field's common
knowledge. Weekends are kept, holidays are not.
"""

import bisect
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from ctp_front.orders import Moment

# InstrumentStatus
NO_TRADING, CONTINUOUS, AUCTION_ORDERING, AUCTION_MATCH, CLOSED = "1", "2", "3", "5", "6"

# The first minute of a trading day's clock, before every night session.
_BEGIN = "20:30:00"
_NIGHT_ENDS = {
    "au": "02:30:00",
    "ag": "02:30:00",
    "sc": "02:30:00",
    **dict.fromkeys(("cu", "al", "zn", "ni"), "01:00:00"),
    **dict.fromkeys(("rb", "hc", "ru", "bu", "m", "i", "CF", "SR", "TA", "MA"), "23:00:00"),
}
_COMMODITIES = (("10:15:00", NO_TRADING), ("10:30:00", CONTINUOUS), ("11:30:00", NO_TRADING), ("13:30:00", CONTINUOUS))
# CFFEX opens later and has no break in the morning.
_DAYS = {
    "IF": (
        ("09:25:00", AUCTION_ORDERING),
        ("09:29:00", AUCTION_MATCH),
        ("09:30:00", CONTINUOUS),
        ("11:30:00", NO_TRADING),
        ("13:00:00", CONTINUOUS),
    )
}


class Change(NamedTuple):
    """The status that begins at this time HH:MM:SS."""

    time: str
    status: str


def timetable(product: str) -> list[Change]:
    """Give a product's changes of one trading day, in their order."""
    changes: list[tuple[str, str]] = []
    night = _NIGHT_ENDS.get(product)
    if night is not None:
        changes += _opening("20:55:00", "20:59:00", "21:00:00")
        changes.append((night, NO_TRADING))
    changes += _DAYS.get(product) or (*_opening("08:55:00", "08:59:00", "09:00:00"), *_COMMODITIES)
    changes.append(("15:00:00", CLOSED))
    return [Change(*change) for change in changes]


def _opening(ordering: str, match: str, start: str) -> list[tuple[str, str]]:
    return [(ordering, AUCTION_ORDERING), (match, AUCTION_MATCH), (start, CONTINUOUS)]


def status_at(product: str, time: str) -> str:
    """Give a product's status at a time of day."""
    before = [change.status for change in timetable(product) if _since_begin(change.time) <= _since_begin(time)]
    return before[-1] if before else NO_TRADING


def is_open_day(day: str, time: str) -> bool:
    """Whether there can be a session: from Monday morning to Saturday's first hours."""
    # A night belongs to the day on whose evening it began.
    weekday = datetime.strptime(day, "%Y%m%d").weekday() - (1 if time < "08:00:00" else 0)  # noqa: DTZ007 - a date
    return 0 <= weekday <= 4


class Timetable:
    """The changes of one trading day for some products, and how far it has come."""

    def __init__(self, products: Iterable[str]) -> None:
        self._products = sorted(products)
        days = ((product, change) for product in self._products for change in timetable(product))
        self._changes = sorted(days, key=lambda one: _since_begin(one[1].time))
        self._positions = [_since_begin(change.time) for _, change in self._changes]
        self._time = ""
        self._position = 0
        self._next = 0

    def pass_to(self, now: Moment) -> list[tuple[str, Change]]:
        """Give what has changed since the last time; the first time, and where time goes back, all as it is."""
        is_first = not self._time
        if now.time == self._time or not (is_first or is_open_day(now.day, now.time)):
            return []
        before, self._position, self._time = self._position, _since_begin(now.time), now.time
        passed = self._next
        self._next = bisect.bisect_right(self._positions, self._position)
        if is_first or self._position < before:
            return [(product, Change(now.time, self._status(product, now))) for product in self._products]
        return self._changes[passed : self._next]

    def _status(self, product: str, now: Moment) -> str:
        return status_at(product, now.time) if is_open_day(now.day, now.time) else NO_TRADING


def _since_begin(time: str) -> int:
    return (_seconds(time) - _seconds(_BEGIN)) % 86_400


def _seconds(time: str) -> int:
    hours, minutes, seconds = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
