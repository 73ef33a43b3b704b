"""Whether the exchange trades at a second: by the timetable, and by what the exchange itself says."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arbig.calendar import Calendar, NoHolidays, exchange_second
from arbig.market.v1 import market_pb2 as pb
from market_svc.hours import ExchangeHours
from market_svc.status import ExchangeStatus

DAY = "20261126"
EVENING = exchange_second("20261125", "20:30:00") or 0
# Those of the timetable, a second beside them, and others.
TIMES = ("20:30:00", "20:55:00", "21:00:00", "21:00:01", "02:30:00", "09:00:00", "10:15:00", "11:11:11", "15:00:00")
STATUSES = tuple(pb.InstrumentStatus.values())


class Exchange:
    """Gold's hours on a Thursday, and what the exchange says of them."""

    def __init__(self) -> None:
        self.status = ExchangeStatus()
        self.hours = ExchangeHours(Calendar(NoHolidays()), self.status)

    def says(self, since: str, status: pb.InstrumentStatus.ValueType) -> None:
        """Tell a status."""
        one = pb.Instrument(symbol="au2604", product="au", status=status, status_since=since, status_day=DAY)
        self.status.note([one])

    def is_open(self, clock: str) -> bool:
        """Whether it trades at a time of the trading day."""
        day = "20261125" if clock > "20:00:00" else DAY
        second = exchange_second(day, clock)
        assert second
        return self.hours.is_open("au2604", DAY, second)


@pytest.fixture
def exchange() -> Exchange:
    """Give one that has said nothing yet."""
    return Exchange()


@pytest.mark.parametrize(
    ("clock", "is_open"),
    [("20:54:59", False), ("20:55:00", True), ("21:00:00", True), ("02:30:00", True), ("02:30:01", False),
     ("08:55:00", True), ("10:15:00", True), ("10:15:01", False), ("15:00:00", True), ("15:00:01", False)],
)  # fmt: skip
def test_by_the_timetable_auctions_and_last_seconds_belong_to_the_sessions(
    clock: str, is_open: bool, exchange: Exchange
) -> None:
    """The snapshot of 15:00:00 shows the last trades."""
    assert exchange.is_open(clock) is is_open


def test_a_status_that_confirms_the_timetable_changes_nothing(exchange: Exchange) -> None:
    """It may come later than the ticks: neither is the break open until it is told, nor the next session closed."""
    exchange.says("08:59:00", pb.INSTRUMENT_STATUS_AUCTION_MATCH)
    assert not exchange.is_open("10:20:00")
    exchange.says("09:00:00", pb.INSTRUMENT_STATUS_CONTINUOUS)
    assert not exchange.is_open("10:20:00")
    exchange.says("10:15:00", pb.INSTRUMENT_STATUS_NO_TRADING)
    assert exchange.is_open("10:15:00")
    assert exchange.is_open("10:30:00")


def test_an_exchange_that_keeps_other_hours_wins(exchange: Exchange) -> None:
    """The simulated one never closes; a real one may halt, or open late."""
    exchange.says("14:31:05", pb.INSTRUMENT_STATUS_CONTINUOUS)
    assert exchange.is_open("18:00:00")
    exchange.says("21:00:00", pb.INSTRUMENT_STATUS_NO_TRADING)
    assert not exchange.is_open("21:00:01")
    exchange.says("21:40:00", pb.INSTRUMENT_STATUS_CONTINUOUS)
    assert exchange.is_open("21:40:00")
    assert not exchange.is_open("21:39:59")


def test_a_halt_whose_end_may_not_be_heard_holds_until_the_timetable_changes(exchange: Exchange) -> None:
    """With the trade service the word of the exchange is away; an exchange that trades on does not end."""
    exchange.says("09:50:00", pb.INSTRUMENT_STATUS_NO_TRADING)
    before = exchange.hours.changes
    assert [exchange.is_open(clock) for clock in ("10:10:00", "10:40:00")] == [False, False]
    exchange.status.set_live(is_live=False)
    assert exchange.hours.changes == before + 1
    assert [exchange.is_open(clock) for clock in ("10:10:00", "10:15:00", "10:20:00")] == [False, False, False]
    assert [exchange.is_open(clock) for clock in ("10:30:00", "14:00:00")] == [True, True]
    exchange.status.set_live(is_live=True)
    assert exchange.hours.changes == before + 2
    assert not exchange.is_open("14:00:00")
    exchange.says("14:31:05", pb.INSTRUMENT_STATUS_CONTINUOUS)
    exchange.status.set_live(is_live=False)
    assert exchange.is_open("18:00:00")


@example(told=[("20:57:00", pb.INSTRUMENT_STATUS_NO_TRADING)], second=EVENING + 3_600, is_live=False)
@given(
    told=st.lists(st.tuples(st.sampled_from(TIMES), st.sampled_from(STATUSES)), max_size=6),
    second=st.integers(EVENING, EVENING + 86_399),
    is_live=st.booleans(),
)
def test_a_span_is_as_open_as_its_second_and_both_ends_are_near(
    told: list[tuple[str, Any]], second: int, is_live: bool
) -> None:
    """Whatever the exchange said: so nobody has to ask for each second anew."""
    exchange = Exchange()
    for since, status in told:
        exchange.says(since, status)
    exchange.status.set_live(is_live=is_live)
    begin, end, is_open = exchange.hours.span("au2604", DAY, second)
    assert begin <= second < end <= begin + 86_400
    assert {exchange.hours.is_open("au2604", DAY, one) for one in range(begin, end)} == {is_open}


def test_a_product_that_nobody_knows_is_traded_by_day() -> None:
    """Its symbol tells the product while the trade service does not."""
    hours = ExchangeHours(Calendar(NoHolidays()), ExchangeStatus())
    night, day = exchange_second("20261125", "21:30:00"), exchange_second(DAY, "09:30:00")
    assert night
    assert day
    assert [hours.is_open(symbol, DAY, night) for symbol in ("rb2605", "zz2605")] == [True, False]
    assert hours.is_open("zz2605", DAY, day)
