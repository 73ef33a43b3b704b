"""The exchange's calendar for made-up prices: which trading day it is in Shanghai.

Holidays are not kept: a simulation is open on every weekday.
"""

from datetime import datetime, timedelta

from arbig.calendar import SHANGHAI, Calendar, NoHolidays
from ctp_front.orders import Moment

_CALENDAR = Calendar(NoHolidays())
# The books of a day are closed at 20:30, so long before the next one's first auction.
_CLOSING = timedelta(minutes=25)


def trading_day(now: datetime) -> str:
    """Give the trading day YYYYMMDD at a time in Shanghai."""
    return _CALENDAR.trading_day_at((now + _CLOSING).timestamp())


def next_day(trading_day: str) -> str:
    """Give the trading day after another."""
    return _CALENDAR.next_day(trading_day)


def moment(now: datetime) -> Moment:
    """Give the time in Shanghai as the exchange writes it, in the half seconds of SHFE's snapshots."""
    return Moment(f"{now:%Y%m%d}", f"{now:%H:%M:%S}", 500 if now.microsecond >= 500_000 else 0)


def instant(now: Moment) -> datetime:
    """Give the exchange's time as a point in time."""
    local = datetime.strptime(f"{now.day} {now.time}", "%Y%m%d %H:%M:%S").replace(tzinfo=SHANGHAI)
    return local + timedelta(milliseconds=now.millisec)
