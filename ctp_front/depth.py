"""One depth snapshot, and how it is written for the market front.

A snapshot is one packet of several fields; the library puts them together again. All of them are
packed by one call, in the order of the wire, which is the order of `Depth`.
"""

import struct
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from ctp_front import layout, tids, wire

# How CTP says that there is no such price.
ABSENT = sys.float_info.max

# Displayed on each side.
LEVELS = 5

# The fields of a snapshot, in the order that `Depth` and the packer follow. ExchangeID is not among
# them: CTP's TCP front leaves it empty.
PARTS = (
    "MarketDataUpdateTime",
    "MarketDataBase",
    "MarketDataStatic",
    "MarketDataLastMatch",
    "MarketDataBestPrice",
    "MarketDataBid23",
    "MarketDataAsk23",
    "MarketDataBid45",
    "MarketDataAsk45",
    "MarketDataAveragePrice",
)


class Depth(NamedTuple):
    """A snapshot in CTP's own terms: absent prices are ABSENT, or 0 where the exchange sends 0."""

    update_time: str
    update_millisec: int
    action_day: str
    symbol: str
    trading_day: str
    pre_settlement: float
    pre_close: float
    pre_open_interest: float
    pre_delta: float
    open: float
    high: float
    low: float
    close: float
    upper_limit: float
    lower_limit: float
    settlement: float
    delta: float
    last: float
    volume: int
    turnover: float
    open_interest: float
    bid_price1: float
    bid_volume1: int
    ask_price1: float
    ask_volume1: int
    bid_price2: float
    bid_volume2: int
    bid_price3: float
    bid_volume3: int
    ask_price2: float
    ask_volume2: int
    ask_price3: float
    ask_volume3: int
    bid_price4: float
    bid_volume4: int
    bid_price5: float
    bid_volume5: int
    ask_price4: float
    ask_volume4: int
    ask_price5: float
    ask_volume5: int
    average: float

    def bids(self) -> list[tuple[float, int]]:
        """Give what buyers show, best first."""
        levels = (
            (self.bid_price1, self.bid_volume1),
            (self.bid_price2, self.bid_volume2),
            (self.bid_price3, self.bid_volume3),
            (self.bid_price4, self.bid_volume4),
            (self.bid_price5, self.bid_volume5),
        )
        return [(price, volume) for price, volume in levels if volume > 0 and exists(price)]

    def asks(self) -> list[tuple[float, int]]:
        """Give what sellers show, best first."""
        levels = (
            (self.ask_price1, self.ask_volume1),
            (self.ask_price2, self.ask_volume2),
            (self.ask_price3, self.ask_volume3),
            (self.ask_price4, self.ask_volume4),
            (self.ask_price5, self.ask_volume5),
        )
        return [(price, volume) for price, volume in levels if volume > 0 and exists(price)]


def shown(before: Depth, bids: Sequence[tuple[float, int]], asks: Sequence[tuple[float, int]], **changes: Any) -> Depth:
    """Give the snapshot that follows another, with these levels, best first, and these changes."""
    levels: dict[str, Any] = {}
    for side, shown in (("bid", bids), ("ask", asks)):
        for level in range(1, LEVELS + 1):
            price, volume = shown[level - 1] if level <= len(shown) else (ABSENT, 0)
            levels |= {f"{side}_price{level}": price, f"{side}_volume{level}": volume}
    return before._replace(**levels, **changes)


def exists(price: float) -> bool:
    """Tell whether there is a price at all: neither ABSENT nor the 0 that CZCE sends."""
    return 0 < price < ABSENT


class DepthEncoder:
    """Writes snapshots as packets."""

    def __init__(self) -> None:
        records = [layout.record(name, "mduser") for name in PARTS]
        heads = [wire.field(part.fid, bytes(part.size))[:4] for part in records]
        banding = layout.record("MarketDataBandingPrice", "mduser").make(
            BandingUpperPrice=ABSENT, BandingLowerPrice=ABSENT
        )
        empty = wire.encode(tids.DEPTH, [*(wire.field(part.fid, bytes(part.size)) for part in records), banding])
        front = len(empty) - len(banding) - sum(4 + part.size for part in records)
        self._heads = (empty[:front] + heads[0], *heads[1:])
        self._banding = banding
        # OldInstrumentID, the first member of the first record, stays empty.
        formats = [f"{front + 4}s31x{records[0].format.removeprefix('31s')}"]
        formats += [f"4s{part.format}" for part in records[1:]]
        self._pack = struct.Struct(">" + "".join(formats)).pack

    def encode(self, depth: Depth) -> bytes:
        """Give the packet that pushes this snapshot."""
        (update_time, millisec, action_day, symbol, trading_day, *_) = depth[:5]
        h = self._heads
        packed = self._pack(
            h[0], update_time.encode(), millisec, action_day.encode(), symbol.encode(),
            h[1], trading_day.encode(), *depth[5:9],
            h[2], *depth[9:17],
            h[3], *depth[17:21],
            h[4], *depth[21:25],
            h[5], *depth[25:29],
            h[6], *depth[29:33],
            h[7], *depth[33:37],
            h[8], *depth[37:41],
            h[9], depth[41],
        )  # fmt: skip
        return packed + self._banding
