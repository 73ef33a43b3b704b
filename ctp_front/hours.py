"""When an exchange is open: the status of a product at each time of its trading day.

A trading day runs from the evening before. At night and in the morning it opens with an auction:
orders gather, at the last minute they are matched, and then trading is continuous. Only gold's
times come from the exchange's documents; the other products' nights are the field's common
knowledge. A holiday's missing night is not known here: without prices nobody notices.
"""

from typing import NamedTuple

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


def changes_between(product: str, before: str, now: str) -> list[Change]:
    """Give the changes after one time of a trading day, up to another."""
    begin, end = _since_begin(before), _since_begin(now)
    return [change for change in timetable(product) if begin < _since_begin(change.time) <= end]


def _since_begin(time: str) -> int:
    return (_seconds(time) - _seconds(_BEGIN)) % 86_400


def _seconds(time: str) -> int:
    hours, minutes, seconds = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
