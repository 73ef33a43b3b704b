"""What CTP's depth snapshot says, as a tick: copied bytes in, a clean message out.

CTP marks a price that is not there with DBL_MAX or, at CZCE, with 0; both become absent. This runs
for every tick, and a burst waits for each one before: hence a message that is filled anew for each
snapshot of its symbol, and slices where one expects loops over values.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.calendar import Calendar, exchange_second
from arbig.market.v1.market_pb2 import Instrument, Tick

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
_key = itemgetter(*map(FIELDS.index, ("InstrumentID", "ExchangeID", "TradingDay", "ActionDay")))

# What no price, turnover or open interest reaches; DBL_MAX and infinity lie above.
_ABSENT = 1e300
# As the struct has them: what most snapshots of a day say as the one before did, and what moves.
_STILL = (
    *("pre_settlement_price", "pre_close_price", "pre_open_interest", "open_price"),
    *("close_price", "settlement_price", "upper_limit_price", "lower_limit_price"),
)
_MOVING = ("last_price", "high_price", "low_price", "turnover", "open_interest")
# Of an average price, which is a quotient: as many as the stored prices have, four.
_PARTS = 10_000
# So many symbols and days are at hand.
_MOST_MADE = 4_096


class BadDepthError(ValueError):
    """The snapshot names no instrument or no trading day."""


def unpack(raw: bytes) -> dict[str, Any]:
    """Give every field of a copied struct by its CTP name, texts still as bytes."""
    values = (value.split(b"\0", 1)[0] if isinstance(value, bytes) else value for value in _LAYOUT.unpack(raw))
    return dict(zip(FIELDS, values, strict=True))


@lru_cache(maxsize=4_096)
def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("gb18030")


def _all_present(values: tuple[float, ...]) -> bool:
    for value in values:  # noqa: SIM110 - all() takes twice as long
        if not 0.0 < value < _ABSENT:
            return False
    return True


def _present(value: float) -> float:
    return value if 0.0 < value < _ABSENT else 0.0


def _levels(prices: tuple[float, ...]) -> int:
    """Count the levels before the first that has no price."""
    return next((level for level, price in enumerate(prices) if not 0.0 < price < _ABSENT), len(prices))


class Snapshot:
    """The tick of one symbol on one day, filled anew by each of its snapshots.

    Beside the message is what it is judged by: to read that back would take a tenth of a tick's time.
    A price that is absent is 0, as it reads in the message.
    """

    def __init__(self, symbol: str, exchange: str, trading_day: str, action_day: str) -> None:
        self.tick = Tick(symbol=symbol, exchange=exchange)
        self.symbol, self.trading_day = symbol, ""
        # Seconds since 1970 and nanoseconds; None without a time.
        self.moment: tuple[int, int] | None = None
        self.volume = 0
        self.last_price = self.best_bid = self.best_ask = 0.0
        self.upper_limit_price = self.lower_limit_price = self.settlement_price = 0.0
        self._told_day, self._action_day = trading_day, action_day
        self._told_exchange = self._exchange = exchange
        # What the time and the trading day were made of.
        self._clock: bytes | None = None
        self._time: Timestamp | None = None
        self._second = 0
        self._still: tuple[tuple[float, ...], ...] = ()
        self.instrument: Instrument | None = None
        self._divisor = 0
        self._received = self.tick.receive_time
        self._bids, self._bid_volumes = self.tick.bid_prices, self.tick.bid_volumes
        self._asks, self._ask_volumes = self.tick.ask_prices, self.tick.ask_volumes

    def set_instrument(self, instrument: Instrument | None) -> None:
        """Fill in the exchange, and see what CTP's average price is to be divided by.

        It is turnover / volume, so what a lot is worth; at CZCE it is a price.
        """
        self.instrument = instrument
        self.tick.exchange = self._exchange = instrument.exchange if instrument else self._told_exchange
        self._clock = None  # each exchange has its own use of the days
        self._divisor = 0 if instrument is None else 1 if instrument.exchange == "CZCE" else instrument.multiplier

    def set_times(self, clock: bytes, milliseconds: int, received_ns: int, calendar: Calendar) -> None:
        """Fill in when it happened, by each exchange's own use of the two days, and when it came."""
        if clock != self._clock:
            self._clock = clock
            self._set_second(_text(clock), calendar)
        if self._time is None:
            self.moment = None
        else:
            self._time.nanos = nanos = milliseconds % 1000 * 1_000_000
            self.moment = self._second, nanos
        self._received.seconds, self._received.nanos = divmod(received_ns, 1_000_000_000)

    def _set_second(self, clock: str, calendar: Calendar) -> None:
        said = self._exchange, self._told_day, self._action_day, clock
        day = calendar.trading_day_of(*said)
        if day != self.trading_day:  # a text is written into new memory each time
            self.tick.trading_day = self.trading_day = day
        second = exchange_second(calendar.event_day(*said), clock)
        if second is None:
            self._time = None
            self.tick.ClearField("time")
        else:
            self._time = self.tick.time
            self._time.seconds = self._second = second

    def set_prices(self, v: tuple[Any, ...]) -> None:
        """Fill in the prices and amounts of the day."""
        tick = self.tick
        tick.volume = self.volume = v[11]
        still = v[5:9], v[14:18]
        if still != self._still:
            self._still = still
            self._set_some(_STILL, still[0] + still[1])
            self.settlement_price, self.upper_limit_price, self.lower_limit_price = map(_present, still[1][1:])
        moving = (v[4], v[9], v[10], v[12], v[13])
        if _all_present(moving):
            tick.last_price, tick.high_price, tick.low_price, tick.turnover, tick.open_interest = moving
            self.last_price = moving[0]
        else:
            self._set_some(_MOVING, moving)
            self.last_price = _present(moving[0])
        average = v[_AFTER_LEVELS]
        if self._divisor and 0.0 < average < _ABSENT:
            tick.average_price = int(average / self._divisor * _PARTS + 0.5) / _PARTS  # round() takes thrice as long
        else:
            tick.ClearField("average_price")

    def _set_some(self, names: tuple[Any, ...], values: tuple[float, ...]) -> None:
        for name, value in zip(names, values, strict=True):
            if 0.0 < value < _ABSENT:
                setattr(self.tick, name, value)
            else:
                self.tick.ClearField(name)

    def set_levels(self, levels: tuple[Any, ...]) -> None:
        """Fill in what is shown of the book."""
        bids, bid_volumes, asks, ask_volumes = levels[::4], levels[1::4], levels[2::4], levels[3::4]
        if not _all_present(levels[::2]):
            bids, asks = bids[: _levels(bids)], asks[: _levels(asks)]
            bid_volumes, ask_volumes = bid_volumes[: len(bids)], ask_volumes[: len(asks)]
        self._bids[:], self._bid_volumes[:], self._asks[:], self._ask_volumes[:] = bids, bid_volumes, asks, ask_volumes
        self.best_bid, self.best_ask = bids[0] if bids else 0.0, asks[0] if asks else 0.0


class TickMaker:
    """Makes ticks of copied structs; `instruments` tell what CTP does not: exchange and multiplier."""

    def __init__(self, instruments: Mapping[str, Instrument], calendar: Calendar) -> None:
        self._instruments = instruments
        self._calendar = calendar
        self._made: dict[tuple[bytes, ...], Snapshot] = {}

    def make(self, raw: bytes, seq: int, received_ns: int) -> Snapshot:
        """Make the tick of a copied struct; it is good until the next one of its symbol.

        Raises BadDepthError for a snapshot that belongs to no instrument or no trading day.
        """
        v = _LAYOUT.unpack(raw)
        key = _key(v)
        made = self._made.get(key) or self._begin(key)
        made.tick.seq = seq
        instrument = self._instruments.get(made.symbol)
        if instrument is not made.instrument:
            made.set_instrument(instrument)
        made.set_times(v[20], v[21], received_ns, self._calendar)
        made.set_prices(v)
        made.set_levels(v[22:42])
        return made

    def _begin(self, key: tuple[bytes, ...]) -> Snapshot:
        symbol, exchange, trading_day, action_day = map(_text, key)
        if not symbol or len(trading_day) != 8:
            raise BadDepthError(f"depth of {symbol!r} on trading day {trading_day!r}")
        if len(self._made) >= _MOST_MADE:  # those of days that are over
            self._made.clear()
        return self._made.setdefault(key, Snapshot(symbol, exchange, trading_day, action_day))
