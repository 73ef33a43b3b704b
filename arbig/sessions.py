"""When a product is traded, by the exchange's clock: the sessions of a trading day, its night first.

A session may open with an auction: orders gather, at the last minute they are matched, and then
trading is continuous. Only gold's times come from the exchange's documents; the others are the
field's common knowledge. All are today's: in the past some nights ended at other hours.
"""

from typing import NamedTuple

_OPENING = 20 * 3600 + 30 * 60


class Hours(NamedTuple):
    """A session: times HH:MM:SS, and those of the auction where it opens with one."""

    begin: str
    end: str
    ordering: str = ""
    match: str = ""


def _night(end: str, *products: str) -> dict[str, Hours]:
    return dict.fromkeys(products, Hours("21:00:00", end, "20:55:00", "20:59:00"))


_NIGHTS = {
    # SHFE and INE
    **_night("02:30:00", "au", "ag", "sc"),
    **_night("01:00:00", "cu", "al", "zn", "pb", "ni", "sn", "ss", "ao", "ad", "bc"),
    **_night("23:00:00", "rb", "hc", "bu", "ru", "br", "fu", "sp", "op", "nr", "lu"),
    # DCE
    **_night("23:00:00", "a", "b", "m", "y", "p", "c", "cs", "rr", "i", "j", "jm"),
    **_night("23:00:00", "l", "v", "pp", "eg", "eb", "pg", "bz"),
    # CZCE
    **_night("23:00:00", "CF", "CY", "SR", "OI", "RM", "TA", "PX", "PF", "PR", "PL", "MA", "FG", "SA", "SH", "ZC"),
}
_COMMODITIES = (
    Hours("09:00:00", "10:15:00", "08:55:00", "08:59:00"),
    Hours("10:30:00", "11:30:00"),
    Hours("13:30:00", "15:00:00"),
)
# CFFEX opens later and has no break in the morning; bonds close a quarter of an hour later.
_FINANCIAL_MORNING = Hours("09:30:00", "11:30:00", "09:25:00", "09:29:00")
_DAYS = {
    **dict.fromkeys(("IF", "IH", "IC", "IM"), (_FINANCIAL_MORNING, Hours("13:00:00", "15:00:00"))),
    **dict.fromkeys(("T", "TF", "TS", "TL"), (_FINANCIAL_MORNING, Hours("13:00:00", "15:15:00"))),
}


def night(product: str) -> Hours | None:
    """Give a product's night session; None if it has none."""
    return _NIGHTS.get(product)


def day(product: str) -> tuple[Hours, ...]:
    """Give a product's sessions of the day; of a product that is not known, those of most."""
    return _DAYS.get(product, _COMMODITIES)


def second_of_day(time: str) -> int:
    """Give HH:MM:SS in seconds since midnight."""
    hours, minutes, seconds = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def place(second: int) -> int:
    """Give where a second of the day lies in a trading day's clock: that begins at 20:30, before every night."""
    return (second - _OPENING) % 86_400
