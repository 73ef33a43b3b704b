"""The exchange's calendar for made-up prices: which trading day it is in Shanghai.

The night session belongs to the next trading day, Friday's to Monday. Holidays are not kept: a
simulation is open on every weekday.
"""

from datetime import datetime, timedelta

from arbig.calendar import SHANGHAI
from ctp_front.orders import Moment

# The books of a day are closed at 20:30, before the night session's auction.
_ROLLOVER = (20, 30)


def trading_day(now: datetime) -> str:
    """Give the trading day YYYYMMDD at a time in Shanghai."""
    day = now.date()
    if (now.hour, now.minute) >= _ROLLOVER:
        day += timedelta(days=1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return f"{day:%Y%m%d}"


def next_day(trading_day: str) -> str:
    """Give the trading day after another."""
    day = datetime.strptime(trading_day, "%Y%m%d").date() + timedelta(days=1)  # noqa: DTZ007 - a date
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return f"{day:%Y%m%d}"


def moment(now: datetime) -> Moment:
    """Give the time in Shanghai as the exchange writes it, in the half seconds of SHFE's snapshots."""
    return Moment(f"{now:%Y%m%d}", f"{now:%H:%M:%S}", 500 if now.microsecond >= 500_000 else 0)


def instant(now: Moment) -> datetime:
    """Give the exchange's time as a point in time."""
    local = datetime.strptime(f"{now.day} {now.time}", "%Y%m%d %H:%M:%S").replace(tzinfo=SHANGHAI)
    return local + timedelta(milliseconds=now.millisec)
