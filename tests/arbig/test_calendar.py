"""The exchange's dates and times."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig import holidays
from arbig.calendar import SHANGHAI, Calendar, NoHolidays, Session, exchange_time

CALENDAR = Calendar(holidays.load())
PRODUCTS = ("au", "cu", "rb", "i", "si", "SR", "AP", "IF", "T", "of nobody")
FIRST, LAST = date(2018, 1, 1), date(2026, 12, 30)
DAYS = [f"{FIRST + timedelta(days=n):%Y%m%d}" for n in range((LAST - FIRST).days + 1)]
any_day = st.sampled_from(DAYS)
any_trading_day = st.sampled_from([day for day in DAYS if CALENDAR.is_trading_day(day)][:-1])
any_product = st.sampled_from(PRODUCTS)


def at(local: str) -> int:
    """Give the instant of "YYYYMMDD HH:MM[:SS]" in Shanghai."""
    form = "%Y%m%d %H:%M:%S" if local.count(":") == 2 else "%Y%m%d %H:%M"
    return int(datetime.strptime(local, form).replace(tzinfo=SHANGHAI).timestamp())


def told(sessions: tuple[Session, ...]) -> list[str]:
    """Say when sessions begin and end, for people."""
    instants = [(datetime.fromtimestamp(one.begin, SHANGHAI), one.end - one.begin) for one in sessions]
    return [f"{begin:%a %H:%M}-{begin + timedelta(seconds=lasts):%H:%M}" for begin, lasts in instants]


def test_a_friday_night_tick_is_on_friday() -> None:
    """ActionDay is the natural day at SHFE: 21:00 in Shanghai is 13:00 UTC."""
    time = exchange_time("20240412", "21:00:00", 500)
    assert time is not None
    assert time.ToDatetime(UTC) == datetime(2024, 4, 12, 13, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(
    ("day", "clock"),
    [("", "09:00:00"), ("20240230", "09:00:00"), ("2024041x", "09:00:00"), ("20240412", ""), ("20240412", "24:00:00"),
     ("20240412", "09:60:00"), ("20240412", "09-00-00"), ("20240412", "0x:00:00")],
)  # fmt: skip
def test_what_is_no_time_is_absent_and_not_guessed(day: str, clock: str) -> None:
    """An exchange that sends no date has no event time."""
    assert exchange_time(day, clock) is None


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [("20261124", "20261123", "20261125"), ("20261128", "20261127", "20261130"), ("20260930", "20260929", "20261008")],
)
def test_the_days_beside_a_day_are_trading_days(day: str, before: str, after: str) -> None:
    """Weekends and holidays are none; the day itself may be one."""
    assert (CALENDAR.previous_day(day), CALENDAR.next_day(day)) == (before, after)


@pytest.mark.parametrize(
    ("local", "day"),
    [
        ("20261124 20:54:59", "20261124"),
        ("20261124 20:55", "20261125"),
        ("20261125 00:00", "20261125"),
        ("20261127 21:00", "20261130"),
        ("20261128 02:00", "20261130"),
        ("20261129 21:00", "20261130"),
        ("20260930 20:54:59", "20260930"),
        ("20260930 20:55", "20261008"),
        ("20261005 10:00", "20261008"),
    ],
)
def test_a_trading_day_begins_at_the_first_auction_after_the_close_of_the_one_before(local: str, day: str) -> None:
    """Friday's night belongs to Monday, and a holiday to the day that follows it."""
    assert CALENDAR.trading_day_at(at(local)) == day


def walked(instant: int) -> str:
    """Find the trading day by going on minute by minute from the rollover before it."""
    local = datetime.fromtimestamp(instant, SHANGHAI)
    day = local.date()
    if (local.hour, local.minute) >= (20, 55):
        day += timedelta(days=1)
    closed = {one for days in holidays.load().closed.values() for one in days}
    while day in closed or day.isoweekday() > 5:
        day += timedelta(days=1)
    return day.strftime("%Y%m%d")


@given(st.integers(at("20180101 00:00"), at("20261231 20:54")))
def test_the_trading_day_at_any_second_is_the_one_that_a_walk_over_the_days_finds(instant: int) -> None:
    """From 2018 on."""
    assert CALENDAR.trading_day_at(instant) == walked(instant)


def test_golds_sessions_are_the_exchanges() -> None:
    """Monday's night is on Friday, and ends on Saturday; night and morning begin with an auction."""
    sessions = CALENDAR.sessions("au", "20261130")
    assert told(sessions) == ["Fri 21:00-02:30", "Mon 09:00-10:15", "Mon 10:30-11:30", "Mon 13:30-15:00"]
    auctions = [one.auction and one.begin - one.auction for one in sessions]
    assert auctions == [300, 300, None, None]
    assert sessions[0].begin == at("20261127 21:00")
    assert sessions[0].end == at("20261128 02:30")


@pytest.mark.parametrize(
    ("product", "day", "first"),
    [
        ("au", "20261124", "Mon 21:00-02:30"),
        ("au", "20261008", "Thu 09:00-10:15"),  # after the National Day
        ("au", "20261009", "Thu 21:00-02:30"),
        ("au", "20240212", ""),  # in the Spring Festival
        ("au", "20240219", "Mon 09:00-10:15"),  # after it
        ("au", "20180102", "Tue 09:00-10:15"),  # the year before is not in the file, and not asked about
        ("au", "20200203", "Mon 09:00-10:15"),
        ("au", "20200204", "Tue 09:00-10:15"),  # nights were suspended
        ("au", "20200506", "Wed 09:00-10:15"),
        ("au", "20200507", "Wed 21:00-02:30"),
        ("AP", "20261124", "Tue 09:00-10:15"),
        ("au", "20261128", ""),
        ("au", "20261399", ""),
    ],
)
def test_a_night_session_is_there_unless_a_holiday_follows_its_evening(product: str, day: str, first: str) -> None:
    """A weekend alone is no holiday; and nothing is traded on a day that is none."""
    assert (told(CALENDAR.sessions(product, day)) or [""])[0] == first


@given(any_product, any_trading_day)
def test_sessions_lie_one_after_the_other_between_the_closes_of_two_days(product: str, day: str) -> None:
    """None overlaps another, of its own day or of the next."""
    following = CALENDAR.sessions(product, CALENDAR.next_day(day))
    instants = [
        instant
        for one in (*CALENDAR.sessions(product, day), *following)
        for instant in (one.begin if one.auction is None else one.auction, one.begin, one.end)
    ]
    assert instants == sorted(instants)
    assert at(f"{day} 15:00") <= following[0].begin <= following[-1].end <= at(f"{CALENDAR.next_day(day)} 15:15")


@given(any_product, any_trading_day, st.data())
def test_every_second_of_a_session_is_of_its_trading_day(product: str, day: str, data: st.DataObject) -> None:
    """From the auction's first to the one that ends it."""
    one = data.draw(st.sampled_from(CALENDAR.sessions(product, day)))
    instant = data.draw(st.integers(one.begin if one.auction is None else one.auction, one.end))
    assert CALENDAR.trading_day_at(instant) == day


@pytest.mark.parametrize(
    ("exchange", "trading_day", "action_day", "clock", "natural"),
    [
        ("SHFE", "20240415", "20240412", "21:00:00", "20240412"),
        ("SHFE", "20240412", "20240412", "21:00:00", "20240412"),  # whatever it says
        ("", "20240415", "20240415", "21:00:00", "20240415"),
        ("DCE", "20240415", "20240415", "21:00:00", "20240412"),
        ("DCE", "20240415", "20240415", "00:30:00", "20240413"),
        ("DCE", "20240415", "20240415", "09:00:00", "20240415"),
        ("DCE", "20240415", "20240411", "21:00:00", "20240411"),  # should it ever say a day of its own
        ("GFEX", "20240416", "20240416", "22:59:59", "20240415"),
        ("DCE", "no day", "no day", "21:00:00", "no day"),
        ("DCE", "20240230", "20240230", "21:00:00", "20240230"),
    ],
)
def test_the_natural_day_of_a_night_is_the_evening_before(
    exchange: str, trading_day: str, action_day: str, clock: str, natural: str
) -> None:
    """DCE and GFEX say the trading day for it; what is no day is not made one."""
    assert CALENDAR.event_day(exchange, trading_day, action_day, clock) == natural


@pytest.mark.parametrize(
    ("exchange", "trading_day", "action_day", "clock", "settled"),
    [
        ("SHFE", "20240415", "20240412", "21:00:00", "20240415"),
        ("SHFE", "20240412", "20240412", "21:00:00", "20240412"),
        ("CZCE", "20240412", "20240412", "21:00:00", "20240415"),
        ("CZCE", "20240412", "20240412", "14:59:59", "20240412"),
        ("CZCE", "20240415", "20240412", "21:00:00", "20240415"),
        ("CZCE", "20240230", "20240230", "21:00:00", "20240230"),
    ],
)
def test_the_trading_day_of_a_night_is_the_next_one(
    exchange: str, trading_day: str, action_day: str, clock: str, settled: str
) -> None:
    """CZCE says the natural day for it."""
    assert CALENDAR.trading_day_of(exchange, trading_day, action_day, clock) == settled


def test_without_holidays_every_weekday_is_a_trading_day() -> None:
    """The simulated exchange never rests."""
    calendar = Calendar(NoHolidays())
    assert list(calendar.trading_days("20261001", "20261006")) == ["20261001", "20261002", "20261005", "20261006"]
    assert told(calendar.sessions("au", "20261002"))[0] == "Thu 21:00-02:30"
