"""What CTP's depth snapshot says, as a tick."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.calendar import Calendar, NoHolidays
from arbig.market.v1.market_pb2 import Instrument, Tick
from market_svc.depth import _LAYOUT, FIELDS, BadDepthError, TickMaker

DBL_MAX = sys.float_info.max
GOLD = Instrument(symbol="au2604", exchange="SHFE", product="au", multiplier=1000)
APPLE = Instrument(symbol="AP010", exchange="CZCE", product="AP", multiplier=10)
CALENDAR = Calendar(NoHolidays())
INSTRUMENTS = {one.symbol: one for one in (GOLD, APPLE)}


def raw(**changed: Any) -> bytes:
    """Lay out a struct as CTP does; prices are DBL_MAX unless given."""
    texts = {"TradingDay": b"20261123", "ActionDay": b"20261120", "UpdateTime": b"21:00:00", "InstrumentID": b"au2604"}
    values: list[Any] = []
    for name in FIELDS:
        volume = name in ("Volume", "UpdateMillisec") or "Volume" in name
        text = name in texts or name in ("reserve1", "reserve2", "ExchangeID", "ExchangeInstID")
        values.append(changed.get(name, texts.get(name, b"" if text else 0 if volume else DBL_MAX)))
    return _LAYOUT.pack(*values)


def made(*snapshots: bytes) -> Tick:
    """Make the tick of the last of some snapshots."""
    ticks = TickMaker(INSTRUMENTS, CALENDAR)
    return [ticks.make(snapshot, 1, 0) for snapshot in snapshots][-1].tick


def test_an_absent_price_is_absent_and_never_zero() -> None:
    """DBL_MAX, zero, NaN and infinity all mean that the exchange gave none."""
    tick = made(raw(OpenPrice=0.0, HighestPrice=float("nan"), LowestPrice=float("inf"), ClosePrice=-1.0))
    told = {field.name for field, _ in tick.ListFields()}
    assert told == {"seq", "symbol", "exchange", "trading_day", "time", "receive_time"}
    assert not tick.bid_prices
    assert not tick.ask_prices


DOUBLES = [name for name in FIELDS if "Price" in name or name in ("Turnover", "OpenInterest", "PreOpenInterest")]
BAD = st.sampled_from([0.0, -1.0, DBL_MAX, float("nan"), float("inf"), float("-inf")])
PRICES = st.fixed_dictionaries({name: st.one_of(st.floats(1.0, 1e9), BAD) for name in DOUBLES})
CLOCKS = st.sampled_from([b"21:00:00", b"00:30:00", b"09:30:00", b"9:30", b""])


@given(st.lists(PRICES, min_size=1, max_size=4))
def test_nothing_of_the_snapshot_before_is_left(days: list[dict[str, float]]) -> None:
    """The message is filled anew: it says what it would say if it were the first."""
    snapshots = [raw(**one) for one in days]
    tick = made(*snapshots)
    assert tick == made(snapshots[-1])
    doubles = [value for field, value in tick.ListFields() if field.type == field.TYPE_DOUBLE and not field.is_repeated]
    for value in [*doubles, *tick.bid_prices, *tick.ask_prices]:
        assert 0.0 < value < 1e300
    assert len(tick.bid_volumes) == len(tick.bid_prices)
    assert len(tick.ask_volumes) == len(tick.ask_prices)


@given(st.lists(st.tuples(PRICES, CLOCKS, st.integers(0, 999), st.integers(0, 9)), min_size=1, max_size=4))
def test_what_is_beside_the_message_is_what_it_says(told: list[tuple[dict[str, float], bytes, int, int]]) -> None:
    """It is what the flags are judged by; also where the snapshot before said more, or less."""
    ticks = TickMaker(INSTRUMENTS, CALENDAR)
    for prices, clock, milliseconds, volume in told:
        made = ticks.make(raw(**prices, UpdateTime=clock, UpdateMillisec=milliseconds, Volume=volume), 1, 0)
        tick = made.tick
        assert (made.symbol, made.trading_day, made.volume) == (tick.symbol, tick.trading_day, tick.volume)
        assert made.moment == ((tick.time.seconds, tick.time.nanos) if tick.HasField("time") else None)
        for name in ("last_price", "upper_limit_price", "lower_limit_price", "settlement_price"):
            assert getattr(made, name) == getattr(tick, name)
        assert (made.best_bid, made.best_ask) == (sum(tick.bid_prices[:1]), sum(tick.ask_prices[:1]))


EXCHANGES = st.sampled_from(["SHFE", "DCE", "CZCE"])


@given(st.lists(st.tuples(CLOCKS, st.sampled_from([0, 500]), EXCHANGES), min_size=1, max_size=4))
def test_nothing_of_the_time_before_is_left(told: list[tuple[bytes, int, str]]) -> None:
    """Nor of another exchange, as which the instrument may become known: each has its own use of the two days."""
    known: dict[str, Instrument] = {}
    ticks, tick, fresh = TickMaker(known, CALENDAR), Tick(), Tick()
    for clock, milliseconds, exchange in told:
        known["au2604"] = Instrument(symbol="au2604", exchange=exchange)
        snapshot = raw(ActionDay=b"20261123", UpdateTime=clock, UpdateMillisec=milliseconds)
        tick, fresh = ticks.make(snapshot, 1, 0).tick, TickMaker(known, CALENDAR).make(snapshot, 1, 0).tick
    assert tick == fresh
    assert fresh.trading_day


def test_the_average_is_a_price_per_gram() -> None:
    """CTP's is turnover / volume, but at CZCE; without a multiplier nobody can tell."""
    assert made(raw(AveragePrice=805_123.4)).average_price == 805.1234
    assert made(raw(AveragePrice=7093.0, InstrumentID=b"AP010")).average_price == 7093.0
    assert not TickMaker({}, CALENDAR).make(raw(AveragePrice=805_123.4), 1, 0).tick.HasField("average_price")


@given(st.floats(0.01, 1e12))
def test_the_average_has_four_places(average: float) -> None:
    """As stored prices have: the nearest of them, as the same number that its text reads as."""
    told = made(raw(AveragePrice=average)).average_price
    assert told == float(f"{told:.4f}")
    assert abs(told - average / 1000) <= 0.000_05 + 1e-15 * average


def test_an_instrument_that_becomes_known_counts_from_the_next_snapshot() -> None:
    """The trade service may come later than the first ticks."""
    known: dict[str, Instrument] = {}
    ticks = TickMaker(known, CALENDAR)
    assert not ticks.make(raw(AveragePrice=805_000.0), 1, 0).tick.exchange
    known["au2604"] = GOLD
    tick = ticks.make(raw(AveragePrice=805_000.0), 2, 0).tick
    assert (tick.exchange, tick.average_price) == ("SHFE", 805.0)
    known["au2604"] = Instrument(symbol="au2604", exchange="INE", multiplier=100)
    tick = ticks.make(raw(AveragePrice=805_000.0), 3, 0).tick
    assert (tick.exchange, tick.average_price) == ("INE", 8050.0)


def test_levels_end_at_the_first_without_a_price() -> None:
    """Exchanges that show one level show one."""
    tick = made(raw(BidPrice1=800.0, BidVolume1=3, BidPrice2=799.98, BidVolume2=5))
    assert list(tick.bid_prices) == [800.0, 799.98]
    assert list(tick.bid_volumes) == [3, 5]


def test_the_exchange_comes_from_the_instrument() -> None:
    """CTP's TCP front leaves ExchangeID empty."""
    assert made(raw()).exchange == "SHFE"
    assert not TickMaker({}, CALENDAR).make(raw(), 1, 0).tick.exchange


def test_the_time_is_the_natural_day_and_the_trading_day_its_own() -> None:
    """Friday night belongs to Monday."""
    tick = made(raw(UpdateMillisec=500))
    assert tick.trading_day == "20261123"
    assert tick.time.ToJsonString() == "2026-11-20T13:00:00.500Z"


@pytest.mark.parametrize(
    ("exchange", "trading_day", "action_day", "clock", "told_day", "time"),
    [
        ("SHFE", b"20240415", b"20240412", b"21:00:00", "20240415", "2024-04-12T13:00:00Z"),
        ("DCE", b"20240415", b"20240415", b"21:00:00", "20240415", "2024-04-12T13:00:00Z"),
        ("DCE", b"20240415", b"20240415", b"09:00:00", "20240415", "2024-04-15T01:00:00Z"),
        ("CZCE", b"20240412", b"20240412", b"21:00:00", "20240415", "2024-04-12T13:00:00Z"),
        ("CZCE", b"20240412", b"20240412", b"09:00:00", "20240412", "2024-04-12T01:00:00Z"),
    ],
)
def test_each_exchange_uses_the_two_days_in_its_own_way(  # noqa: PLR0917 - a row of a table
    exchange: str, trading_day: bytes, action_day: bytes, clock: bytes, told_day: str, time: str
) -> None:
    """At night DCE writes the trading day twice, CZCE the natural one; here both are what they should be."""
    ticks = TickMaker({"au2604": Instrument(exchange=exchange)}, CALENDAR)
    tick = ticks.make(raw(TradingDay=trading_day, ActionDay=action_day, UpdateTime=clock), 1, 0).tick
    assert (tick.trading_day, tick.time.ToJsonString()) == (told_day, time)


@pytest.mark.parametrize("milliseconds", [0, 5, 50, 500, 999])
def test_milliseconds_are_a_number_and_not_digits(milliseconds: int) -> None:
    """Elsewhere 5 ms and 50 ms were both read as 500."""
    tick = made(raw(UpdateMillisec=milliseconds))
    assert tick.time.nanos == milliseconds * 1_000_000


@pytest.mark.parametrize("changed", [{"InstrumentID": b""}, {"TradingDay": b""}])
def test_a_snapshot_of_nothing_is_refused(changed: dict[str, bytes]) -> None:
    """It cannot be filed under a symbol and a day."""
    with pytest.raises(BadDepthError):
        made(raw(**changed))
