"""What CTP's depth snapshot says, as a tick: copied bytes in, a clean message out.

CTP marks a price that is not there with DBL_MAX or, at CZCE, with 0; both become absent.
"""

import struct
from collections.abc import Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.calendar import exchange_time
from arbig.market.v1.market_pb2 import Tick

# CThostFtdcDepthMarketDataField of API 6.7.11, as it lies in memory.
_LAYOUT = struct.Struct("@9s31s9s31s" + "d" * 7 + "i" + "d" * 8 + "9si" + "didi" * 5 + "d9s81s81sdd")
SIZE = _LAYOUT.size
_LEVEL = ("BidPrice", "BidVolume", "AskPrice", "AskVolume")
FIELDS: Sequence[str] = (
    *("TradingDay", "reserve1", "ExchangeID", "reserve2"),
    *("LastPrice", "PreSettlementPrice", "PreClosePrice", "PreOpenInterest"),
    *("OpenPrice", "HighestPrice", "LowestPrice", "Volume", "Turnover", "OpenInterest", "ClosePrice"),
    *("SettlementPrice", "UpperLimitPrice", "LowerLimitPrice", "PreDelta", "CurrDelta"),
    *("UpdateTime", "UpdateMillisec"),
    *(f"{name}{level}" for level in range(1, 6) for name in _LEVEL),
    *("AveragePrice", "ActionDay", "InstrumentID", "ExchangeInstID", "BandingUpperPrice", "BandingLowerPrice"),
)
_FIRST_LEVEL = FIELDS.index("BidPrice1")
_AFTER_LEVELS = FIELDS.index("AveragePrice")

# What no price, turnover or open interest reaches; DBL_MAX and infinity lie above.
_ABSENT = 1e300


class BadDepthError(ValueError):
    """The snapshot names no instrument or no trading day."""


def unpack(raw: bytes) -> dict[str, Any]:
    """Give every field of a copied struct by its CTP name, texts still as bytes."""
    values = (value.split(b"\0", 1)[0] if isinstance(value, bytes) else value for value in _LAYOUT.unpack(raw))
    return dict(zip(FIELDS, values, strict=True))


def _text(raw: bytes) -> str:
    return raw[: raw.index(0)].decode("gb18030")


def _present(value: float) -> float | None:
    # NaN fails both comparisons.
    return value if 0.0 < value < _ABSENT else None


def _levels(prices: tuple[float, ...], volumes: tuple[int, ...]) -> tuple[list[float], list[int]]:
    """Keep the levels up to the first that has no price."""
    kept = 0
    for price in prices:
        if not 0.0 < price < _ABSENT:
            break
        kept += 1
    return list(prices[:kept]), list(volumes[:kept])


def tick_from_ctp(raw: bytes, seq: int, received_ns: int, exchanges: dict[str, str]) -> Tick:
    """Make the tick of a copied struct; `exchanges` gives the exchange of a symbol.

    Raises BadDepthError for a snapshot that belongs to no instrument or no trading day.
    """
    # Plain indexing into one unpacked tuple: this runs for every tick of every symbol.
    v = _LAYOUT.unpack(raw)
    symbol, trading_day = _text(v[_AFTER_LEVELS + 2]), _text(v[0])
    if not symbol or len(trading_day) != 8:
        raise BadDepthError(f"depth of {symbol!r} on trading day {trading_day!r}")
    bids, bid_volumes = _levels(v[22:42:4], v[23:42:4])
    asks, ask_volumes = _levels(v[24:42:4], v[25:42:4])
    present = _present
    return Tick(
        seq=seq,
        symbol=symbol,
        exchange=exchanges.get(symbol) or _text(v[2]),
        trading_day=trading_day,
        time=exchange_time(_text(v[_AFTER_LEVELS + 1]), _text(v[20]), v[21]),
        receive_time=Timestamp(seconds=received_ns // 1_000_000_000, nanos=received_ns % 1_000_000_000),
        last_price=present(v[4]),
        pre_settlement_price=present(v[5]),
        pre_close_price=present(v[6]),
        pre_open_interest=present(v[7]),
        open_price=present(v[8]),
        high_price=present(v[9]),
        low_price=present(v[10]),
        volume=v[11],
        turnover=present(v[12]),
        open_interest=present(v[13]),
        close_price=present(v[14]),
        settlement_price=present(v[15]),
        upper_limit_price=present(v[16]),
        lower_limit_price=present(v[17]),
        bid_prices=bids,
        bid_volumes=bid_volumes,
        ask_prices=asks,
        ask_volumes=ask_volumes,
        average_price=present(v[_AFTER_LEVELS]),
    )
