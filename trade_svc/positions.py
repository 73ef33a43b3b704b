"""Which lots are held: what the day began with, moved by the day's trades and by nothing else.

SHFE and INE keep the lots of today and of earlier days apart; a close names which it takes. At the
other exchanges a close takes the oldest lots first.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.orders import FINAL
from trade_svc.reports import DetailRow

# Where CLOSE means CLOSE_YESTERDAY.
APART = frozenset({"SHFE", "INE"})
LONG, SHORT = pb.POSITION_SIDE_LONG, pb.POSITION_SIDE_SHORT

Lots = list[tuple[float, int]]  # (open price, lots), the oldest first


class SideKey(NamedTuple):
    """One side of the position in an instrument."""

    symbol: str
    exchange: str
    side: pb.PositionSide.ValueType


class PositionError(ValueError):
    """A trade closes lots that are not there: our picture of the position is wrong."""


def side_of(symbol: str, exchange: str, direction: pb.Direction.ValueType, offset: pb.Offset.ValueType) -> SideKey:
    """Give the side that an order or trade opens or closes: a sell closes longs."""
    opens_long = direction == pb.DIRECTION_BUY
    return SideKey(symbol, exchange, LONG if opens_long == (offset == pb.OFFSET_OPEN) else SHORT)


class Holding:
    """The lots of one side."""

    def __init__(self) -> None:
        self.yesterday: Lots = []
        self.today: Lots = []

    def apply(self, trade: pb.Trade) -> None:
        """Open or close the lots of a trade; raises PositionError where there are too few."""
        if trade.offset == pb.OFFSET_OPEN:
            self.today.append((trade.price, trade.volume))
            return
        buckets = [self.yesterday, self.today]
        if trade.exchange in APART:
            buckets = [self.today if trade.offset == pb.OFFSET_CLOSE_TODAY else self.yesterday]
        held = sum(map(count, buckets))
        if trade.volume > held:
            raise PositionError(f"trade {trade.trade_id} closes {trade.volume} {trade.symbol}, {held} held")
        left = trade.volume
        for bucket in buckets:
            left = _take(bucket, left)

    def open_price(self) -> float | None:
        """Give the volume-weighted open price."""
        lots = self.yesterday + self.today
        volume = count(lots)
        return sum(price * number for price, number in lots) / volume if volume else None


def count(lots: Lots) -> int:
    """Give the number of lots."""
    return sum(number for _, number in lots)


def _take(lots: Lots, volume: int) -> int:
    """Take up to `volume` lots, the oldest first; give what is left to take."""
    while volume and lots:
        price, number = lots[0]
        taken = min(volume, number)
        volume -= taken
        if taken == number:
            lots.pop(0)
        else:
            lots[0] = price, number - taken
    return volume


class Positions:
    """Every side that has, or today had, lots."""

    def __init__(self) -> None:
        self.holdings: defaultdict[SideKey, Holding] = defaultdict(Holding)

    def begin(self, rows: Iterable[DetailRow], trading_day: str) -> None:
        """Begin with the lots that the detail query shows from earlier days, as the day found them.

        What was closed of them today is added back: the day's trades will take it again.
        """
        self.holdings.clear()
        for row in sorted(rows, key=lambda row: (row.open_date, row.trade_id)):
            if row.open_date < trading_day and row.volume + row.closed:
                key = SideKey(row.symbol, row.exchange, row.side)
                self.holdings[key].yesterday.append((row.price, row.volume + row.closed))

    def apply(self, trade: pb.Trade) -> None:
        """Move the lots of a trade."""
        key = side_of(trade.symbol, trade.exchange, trade.direction, trade.offset)
        self.holdings[key].apply(trade)

    def differences(self, rows: Iterable[DetailRow], trading_day: str) -> list[str]:
        """Compare with the lots that the detail query shows now; each difference is a line."""
        theirs: defaultdict[SideKey, list[int]] = defaultdict(lambda: [0, 0])
        for row in rows:
            theirs[SideKey(row.symbol, row.exchange, row.side)][row.open_date >= trading_day] += row.volume
        found = []
        for key in sorted(theirs.keys() | self.holdings.keys()):
            holding = self.holdings.get(key) or Holding()
            ours = [count(holding.yesterday), count(holding.today)]
            if ours != theirs[key]:
                side = pb.PositionSide.Name(key.side).removeprefix("POSITION_SIDE_").lower()
                found.append(f"{key.symbol} {side} yesterday/today {ours[0]}/{ours[1]}, the broker has {theirs[key]}")
        return found

    def messages(self, account_id: str, trading_day: str, orders: Iterable[pb.Order]) -> list[pb.Position]:
        """Give every side as a message; working close orders freeze lots."""
        frozen = _frozen(orders, trading_day)
        return [
            pb.Position(
                account_id=account_id,
                symbol=key.symbol,
                exchange=key.exchange,
                side=key.side,
                today=count(holding.today),
                yesterday=count(holding.yesterday),
                today_frozen=frozen[key][1],
                yesterday_frozen=frozen[key][0],
                open_price=holding.open_price(),
                trading_day=trading_day,
            )
            for key, holding in sorted(self.holdings.items())
        ]


def _frozen(orders: Iterable[pb.Order], trading_day: str) -> defaultdict[SideKey, list[int]]:
    frozen: defaultdict[SideKey, list[int]] = defaultdict(lambda: [0, 0])
    for order in orders:
        # An order is good for its day: one whose end we never heard of freezes nothing on the next.
        if order.offset != pb.OFFSET_OPEN and order.state not in FINAL and order.trading_day == trading_day:
            key = side_of(order.symbol, order.exchange, order.direction, order.offset)
            frozen[key][order.offset == pb.OFFSET_CLOSE_TODAY] += order.volume - order.filled_volume
    return frozen
