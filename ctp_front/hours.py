"""What the exchange says as it opens and closes: the status of a product at each time of its trading day.

The times are those of `arbig/sessions.py`. Weekends are kept, holidays are not.
"""

import bisect
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from arbig import sessions
from ctp_front.orders import Moment

# InstrumentStatus
NO_TRADING, CONTINUOUS, AUCTION_ORDERING, AUCTION_MATCH, CLOSED = "1", "2", "3", "5", "6"


class Change(NamedTuple):
    """The status that begins at this time HH:MM:SS."""

    time: str
    status: str


def timetable(product: str) -> list[Change]:
    """Give a product's changes of one trading day, in their order."""
    night = sessions.night(product)
    hours = [night, *sessions.day(product)] if night else sessions.day(product)
    changes = [Change(*change) for one in hours for change in _changes(one)]
    return [*changes[:-1], Change(changes[-1].time, CLOSED)]


def _changes(hours: sessions.Hours) -> list[tuple[str, str]]:
    auction = [(hours.ordering, AUCTION_ORDERING), (hours.match, AUCTION_MATCH)] if hours.ordering else []
    return [*auction, (hours.begin, CONTINUOUS), (hours.end, NO_TRADING)]


def place(time: str) -> int:
    """Give where a time of day lies in its trading day, which begins on the evening before."""
    return sessions.place(sessions.second_of_day(time))


def status_at(product: str, time: str) -> str:
    """Give a product's status at a time of day."""
    before = [change.status for change in timetable(product) if place(change.time) <= place(time)]
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
        self._changes = sorted(days, key=lambda one: place(one[1].time))
        self._positions = [place(change.time) for _, change in self._changes]
        self._time = ""
        self._position = 0
        self._next = 0

    def pass_to(self, now: Moment) -> list[tuple[str, Change]]:
        """Give what has changed since the last time; the first time, and where time goes back, all as it is."""
        is_first = not self._time
        if now.time == self._time or not (is_first or is_open_day(now.day, now.time)):
            return []
        before, self._position, self._time = self._position, place(now.time), now.time
        passed = self._next
        self._next = bisect.bisect_right(self._positions, self._position)
        if is_first or self._position < before:
            return [(product, Change(now.time, self._status(product, now))) for product in self._products]
        return self._changes[passed : self._next]

    def _status(self, product: str, now: Moment) -> str:
        return status_at(product, now.time) if is_open_day(now.day, now.time) else NO_TRADING
