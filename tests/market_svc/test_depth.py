"""What CTP's depth snapshot says, as a tick."""

import sys
from typing import Any

import pytest

from market_svc.depth import _LAYOUT, FIELDS, BadDepthError, tick_from_ctp

DBL_MAX = sys.float_info.max
EXCHANGES = {"au2604": "SHFE"}


def raw(**changed: Any) -> bytes:
    """Lay out a struct as CTP does; prices are DBL_MAX unless given."""
    texts = {"TradingDay": b"20261123", "ActionDay": b"20261120", "UpdateTime": b"21:00:00", "InstrumentID": b"au2604"}
    values: list[Any] = []
    for name in FIELDS:
        volume = name in ("Volume", "UpdateMillisec") or "Volume" in name
        text = name in texts or name in ("reserve1", "reserve2", "ExchangeID", "ExchangeInstID")
        values.append(changed.get(name, texts.get(name, b"" if text else 0 if volume else DBL_MAX)))
    return _LAYOUT.pack(*values)


def test_an_absent_price_is_absent_and_never_zero() -> None:
    """DBL_MAX, zero, NaN and infinity all mean that the exchange gave none."""
    tick = tick_from_ctp(
        raw(OpenPrice=0.0, HighestPrice=float("nan"), LowestPrice=float("inf"), ClosePrice=-1.0), 1, 0, EXCHANGES
    )
    told = {field.name for field, _ in tick.ListFields()}
    assert told == {"seq", "symbol", "exchange", "trading_day", "time", "receive_time"}
    assert not tick.bid_prices
    assert not tick.ask_prices


def test_levels_end_at_the_first_without_a_price() -> None:
    """Exchanges that show one level show one."""
    tick = tick_from_ctp(raw(BidPrice1=800.0, BidVolume1=3, BidPrice2=799.98, BidVolume2=5), 1, 0, EXCHANGES)
    assert list(tick.bid_prices) == [800.0, 799.98]
    assert list(tick.bid_volumes) == [3, 5]


def test_the_exchange_comes_from_the_instrument() -> None:
    """CTP's TCP front leaves ExchangeID empty."""
    assert tick_from_ctp(raw(), 1, 0, EXCHANGES).exchange == "SHFE"
    assert not tick_from_ctp(raw(), 1, 0, {}).exchange


def test_the_time_is_the_natural_day_and_the_trading_day_its_own() -> None:
    """Friday night belongs to Monday."""
    tick = tick_from_ctp(raw(UpdateMillisec=500), 1, 0, EXCHANGES)
    assert tick.trading_day == "20261123"
    assert tick.time.ToJsonString() == "2026-11-20T13:00:00.500Z"


@pytest.mark.parametrize("milliseconds", [0, 5, 50, 500, 999])
def test_milliseconds_are_a_number_and_not_digits(milliseconds: int) -> None:
    """Elsewhere 5 ms and 50 ms were both read as 500."""
    tick = tick_from_ctp(raw(UpdateMillisec=milliseconds), 1, 0, EXCHANGES)
    assert tick.time.nanos == milliseconds * 1_000_000


@pytest.mark.parametrize("changed", [{"InstrumentID": b""}, {"TradingDay": b""}])
def test_a_snapshot_of_nothing_is_refused(changed: dict[str, bytes]) -> None:
    """It cannot be filed under a symbol and a day."""
    with pytest.raises(BadDepthError):
        tick_from_ctp(raw(**changed), 1, 0, EXCHANGES)
