"""Whose sessions, and when: GetCalendar and GetInstrument."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from arbig import holidays
from arbig.calendar import SHANGHAI, Calendar
from arbig.errors import InvalidField, NotFound, Refused
from arbig.market.v1 import market_pb2 as pb
from market_svc import timetable
from market_svc.instruments import Instruments
from market_svc.rpc import MarketService

CALENDAR = Calendar(holidays.load())
KNOWN = {"au2604": pb.Instrument(symbol="au2604", product="au"), "au-IF": pb.Instrument(product="IF")}
# Friday night.
NOW = datetime(2026, 11, 27, 22, 0, tzinfo=SHANGHAI).timestamp()


def asked(now: float = NOW, newest: dict[str, Any] | None = None, **fields: Any) -> pb.GetCalendarResponse:
    """Ask, on that Friday unless told otherwise."""
    return timetable.answer(pb.GetCalendarRequest(**fields), CALENDAR, KNOWN, newest or {}, now)


def days(answer: pb.GetCalendarResponse) -> list[str]:
    return [one.trading_day for one in answer.days]


def test_without_days_it_is_about_the_trading_day_at_this_moment() -> None:
    """On Friday night that is Monday, and its night is on."""
    answer = asked(symbol="au2604")
    assert (answer.trading_day, days(answer)) == ("20261130", ["20261130"])
    night, morning, late_morning, _ = answer.days[0].sessions
    assert (night.night, morning.night) == (True, False)
    assert night.auction_time.ToJsonString() == "2026-11-27T12:55:00Z"
    assert night.begin_time.ToJsonString() == "2026-11-27T13:00:00Z"
    assert night.end_time.ToJsonString() == "2026-11-27T18:30:00Z"
    assert not late_morning.HasField("auction_time")


def test_only_trading_days_are_told() -> None:
    """From the day before a holiday to the one after it."""
    assert days(asked(product="au", first_day="20260930", last_day="20261009")) == ["20260930", "20261008", "20261009"]
    assert days(asked(product="au", first_day="20261001")) == []


@pytest.mark.parametrize(
    ("fields", "sessions"),
    [
        ({"symbol": "au-IF"}, 2),
        ({"symbol": "ag2612"}, 4),
        ({"product": "AP"}, 3),
        ({"symbol": "ag2612", "product": "AP"}, 4),
    ],
)
def test_a_symbol_tells_its_product(fields: dict[str, Any], sessions: int) -> None:
    """As the instrument has it, or by its letters; it counts before the product."""
    assert len(asked(**fields).days[0].sessions) == sessions


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({}, "product", "MISSING"),
        ({"symbol": "';--"}, "symbol", "BAD_SYMBOL"),
        ({"product": "';--"}, "product", "BAD_SYMBOL"),
        ({"product": "au", "first_day": "20260230"}, "first_day", "BAD_DAY"),
        ({"product": "au", "first_day": "2026-01-05"}, "first_day", "BAD_DAY"),
        ({"product": "au", "last_day": "soon"}, "last_day", "BAD_DAY"),
        ({"product": "au", "first_day": "20260105", "last_day": "20260104"}, "last_day", "BAD_DAY"),
        ({"product": "au", "first_day": "20250104", "last_day": "20260106"}, "last_day", "BAD_DAY"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(fields: dict[str, Any], field: str, reason: str) -> None:
    """More than 366 days at once too."""
    with pytest.raises(InvalidField) as refused:
        asked(**fields)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_a_leap_year_can_be_asked_at_once() -> None:
    """366 days after the first day."""
    assert len(asked(product="au", first_day="20240101", last_day="20250101").days) == 242


def test_a_year_without_holidays_is_refused_and_the_others_are_not() -> None:
    """Also when it is that year already."""
    later = datetime(2027, 3, 1, 10, 0, tzinfo=SHANGHAI).timestamp()
    answer = asked(later, product="au", first_day="20261231")
    assert (answer.trading_day, days(answer)) == ("", ["20261231"])
    for first, last in (("", ""), ("20270104", ""), ("20261230", "20270104")):
        with pytest.raises(Refused, match=r"holidays\.toml has no holidays of 2027"):
            asked(later, product="au", first_day=first, last_day=last)


def test_the_exchanges_own_word_is_told_beside_it() -> None:
    """Of the symbol, or else of its product."""
    closed, trading = pb.INSTRUMENT_STATUS_CLOSED, pb.INSTRUMENT_STATUS_CONTINUOUS
    newest = {"au": closed, "au2604": trading}
    assert asked(newest=newest, symbol="au2604").status == trading
    assert asked(newest=newest, symbol="au2606").status == closed
    assert asked(newest=newest, product="AP").status == pb.INSTRUMENT_STATUS_UNSPECIFIED


def service(directory: Path) -> MarketService:
    """Make the service with what it remembers of a day before, and nothing else."""
    cache = directory / "instruments.pb"
    known = pb.Instrument(
        symbol="au2604", product="au", status=pb.INSTRUMENT_STATUS_CONTINUOUS, status_since="21:00:00"
    )
    cache.write_bytes(pb.ListInstrumentsResponse(instruments=[known]).SerializeToString())
    nothing: Any = None
    others: dict[str, Any] = dict.fromkeys(("bars", "history", "config"), nothing)
    return MarketService(nothing, nothing, nothing, Instruments(cache), calendar=CALENDAR, links=[], **others)


async def test_an_instrument_is_told_as_it_was_last_reported(tmp_path: Path) -> None:
    """One that is none is NOT_FOUND."""
    answer = await service(tmp_path).GetInstrument(pb.GetInstrumentRequest(symbol="au2604"), None)
    assert answer.instrument.product == "au"
    with pytest.raises(NotFound, match="au9999 is no instrument"):
        await service(tmp_path).GetInstrument(pb.GetInstrumentRequest(symbol="au9999"), None)
    with pytest.raises(InvalidField):
        await service(tmp_path).GetInstrument(pb.GetInstrumentRequest(), None)


async def test_a_delivery_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    """A newer client would get another one than it asked for."""
    replies = service(tmp_path).SubscribeTicks(pb.SubscribeTicksRequest(delivery=99), None)  # type: ignore[arg-type]
    with pytest.raises(InvalidField, match="delivery: 99 is no delivery"):
        await anext(replies)


async def test_a_status_that_is_only_remembered_is_not_the_exchanges_word(tmp_path: Path) -> None:
    """It is of another day."""
    request = pb.GetCalendarRequest(symbol="au2604", first_day="20261124")
    answer = await service(tmp_path).GetCalendar(request, None)
    assert (days(answer), answer.status) == (["20261124"], pb.INSTRUMENT_STATUS_UNSPECIFIED)
