"""Which sessions a caller asks about: the answer to GetCalendar."""

from collections.abc import Mapping
from datetime import date

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.calendar import Calendar, exchange_second, is_day
from arbig.errors import InvalidField, Refused
from arbig.instrument import check_symbol, product_of
from arbig.market.v1 import market_pb2 as pb

_MOST_DAYS = 366


def answer(
    request: pb.GetCalendarRequest,
    calendar: Calendar,
    instruments: Mapping[str, pb.Instrument],
    newest: Mapping[str, pb.InstrumentStatus.ValueType],
    now: float,
) -> pb.GetCalendarResponse:
    """Answer at `now`, with the `newest` status of each symbol and product.

    Raises InvalidField, and Refused where holidays that are asked about are not known.
    """
    product = _product(request, instruments)
    days = _days(request, calendar, now)
    return pb.GetCalendarResponse(
        days=[_calendar_day(calendar, product, day) for day in days],
        trading_day=_trading_day(calendar, now),
        status=newest.get(request.symbol) or newest.get(product, pb.INSTRUMENT_STATUS_UNSPECIFIED),
    )


def _product(request: pb.GetCalendarRequest, instruments: Mapping[str, pb.Instrument]) -> str:
    if not request.symbol:
        return check_symbol(request.product, "product")
    known = instruments.get(check_symbol(request.symbol))
    return known.product if known else product_of(request.symbol)


def _days(request: pb.GetCalendarRequest, calendar: Calendar, now: float) -> list[str]:
    first = _day("first_day", request.first_day) or calendar.trading_day_at(now)
    last = _day("last_day", request.last_day) or first
    days = (date.fromisoformat(last) - date.fromisoformat(first)).days
    if not 0 <= days <= _MOST_DAYS:
        raise InvalidField("last_day", f"{last} is {days} days after {first}, not 0 to {_MOST_DAYS}", "BAD_DAY")
    return list(calendar.trading_days(first, last))


def _day(field: str, day: str) -> str:
    if day and not is_day(day):
        raise InvalidField(field, f"{day} is no day YYYYMMDD", "BAD_DAY")
    return day


def _calendar_day(calendar: Calendar, product: str, day: str) -> pb.CalendarDay:
    midnight = exchange_second(day, "00:00:00") or 0
    return pb.CalendarDay(
        trading_day=day,
        sessions=[
            pb.Session(
                auction_time=None if one.auction is None else Timestamp(seconds=one.auction),
                begin_time=Timestamp(seconds=one.begin),
                end_time=Timestamp(seconds=one.end),
                night=one.begin < midnight,
            )
            for one in calendar.sessions(product, day)
        ],
    )


def _trading_day(calendar: Calendar, now: float) -> str:
    try:
        return calendar.trading_day_at(now)
    except Refused:  # the days that were asked about may be known all the same
        return ""
