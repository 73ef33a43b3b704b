"""Which lots are held: what the day began with, moved by the day's trades and by nothing else.

SHFE and INE keep the lots of today and of earlier days apart; a close names which it takes. At the
other exchanges a close takes the oldest lots first. Profit of a lot counts from its cost price: what
it was opened at today, or the settlement price that its day began with.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.reports import DetailRow, OpeningRow

# Where CLOSE means CLOSE_YESTERDAY.
APART = frozenset({"SHFE", "INE"})
LONG, SHORT = pb.POSITION_SIDE_LONG, pb.POSITION_SIDE_SHORT


class SideKey(NamedTuple):
    """One side of the position in an instrument."""

    symbol: str
    exchange: str
    side: pb.PositionSide.ValueType


class Lot(NamedTuple):
    """Lots of one opening trade."""

    open_price: float
    cost_price: float
    volume: int


class Free(NamedTuple):
    """Lots of one side that no working order has frozen."""

    yesterday: int
    today: int


class PositionError(ValueError):
    """A trade closes lots that are not there: our picture of the position is wrong."""


def side_of(symbol: str, exchange: str, direction: pb.Direction.ValueType, offset: pb.Offset.ValueType) -> SideKey:
    """Give the side that an order or trade opens or closes: a sell closes longs."""
    opens_long = direction == pb.DIRECTION_BUY
    return SideKey(symbol, exchange, LONG if opens_long == (offset == pb.OFFSET_OPEN) else SHORT)


def key_of(one: pb.Order | pb.Trade) -> SideKey:
    """Give the side that an order or trade opens or closes."""
    return side_of(one.symbol, one.exchange, one.direction, one.offset)


class Turnover:
    """What was traded by one kind of offset in a trading day, as commission counts it."""

    def __init__(self) -> None:
        self.lots = 0
        self.value = 0.0  # price x lots

    def add(self, price: float, volume: int) -> None:
        """Count lots."""
        self.lots += volume
        self.value += price * volume


class Holding:
    """The lots of one side, and what the day has done to them."""

    def __init__(self, sign: int) -> None:
        self.yesterday: list[Lot] = []
        self.today: list[Lot] = []
        self.opened, self.closed, self.closed_today = Turnover(), Turnover(), Turnover()
        # Of what was closed today: price x lots won.
        self.won = 0.0
        self._sign = sign

    def apply(self, trade: pb.Trade) -> None:
        """Open or close the lots of a trade; raises PositionError where there are too few."""
        if trade.offset == pb.OFFSET_OPEN:
            self.today.append(Lot(trade.price, trade.price, trade.volume))
            self.opened.add(trade.price, trade.volume)
            return
        buckets = [(self.yesterday, self.closed), (self.today, self.closed_today)]
        if trade.exchange in APART:
            buckets = [buckets[trade.offset == pb.OFFSET_CLOSE_TODAY]]
        held = sum(count(lots) for lots, _ in buckets)
        if trade.volume > held:
            raise PositionError(f"trade {trade.trade_id} closes {trade.volume} {trade.symbol}, {held} held")
        left = trade.volume
        for lots, turnover in buckets:
            taken = _take(lots, left)
            volume = count(taken)
            turnover.add(trade.price, volume)
            self.won += self._sign * sum((trade.price - lot.cost_price) * lot.volume for lot in taken)
            left -= volume

    @property
    def lots(self) -> list[Lot]:
        """All lots, the oldest first."""
        return self.yesterday + self.today

    def profit(self, price: float) -> float:
        """Give what the lots have won at a price, in price x lots."""
        return self._sign * sum((price - lot.cost_price) * lot.volume for lot in self.lots)


def count(lots: list[Lot]) -> int:
    """Give the number of lots."""
    return sum(lot.volume for lot in lots)


def _take(lots: list[Lot], volume: int) -> list[Lot]:
    """Take up to `volume` lots off, the oldest first, and give them."""
    taken = []
    while volume and lots:
        lot = lots[0]
        number = min(volume, lot.volume)
        volume -= number
        taken.append(lot._replace(volume=number))
        if number == lot.volume:
            lots.pop(0)
        else:
            lots[0] = lot._replace(volume=lot.volume - number)
    return taken


def average(lots: list[Lot], price: str) -> float:
    """Give the volume-weighted open_price or cost_price of lots."""
    total: float = sum(getattr(lot, price) * lot.volume for lot in lots)
    return total / count(lots)


class Positions:
    """Every side that has, or today had, lots."""

    def __init__(self) -> None:
        self.holdings: dict[SideKey, Holding] = {}

    def holding(self, key: SideKey) -> Holding:
        """Give a side, empty if it never had lots."""
        if key not in self.holdings:
            self.holdings[key] = Holding(1 if key.side == LONG else -1)
        return self.holdings[key]

    def begin(self, rows: Iterable[DetailRow], openings: Iterable[OpeningRow], trading_day: str) -> None:
        """Begin with the lots that the detail query shows from earlier days, as the day found them.

        What was closed of them today is added back: the day's trades will take it again. Lots that
        are closed wholly may be in no detail row any more: they are those that the position query
        says the day began with, and were opened at a price that is not known.
        """
        self.holdings.clear()
        # Trade numbers go up inside a day, and 10 comes behind 9.
        for row in sorted(rows, key=lambda row: (row.open_date, len(row.trade_id), row.trade_id)):
            if row.open_date < trading_day and row.volume + row.closed:
                lots = self.holding(SideKey(row.symbol, row.exchange, row.side)).yesterday
                lots.append(Lot(row.price, row.settlement, row.volume + row.closed))
        for opening in openings:
            lots = self.holding(SideKey(opening.symbol, opening.exchange, opening.side)).yesterday
            if (missing := opening.volume - count(lots)) > 0:
                lots.insert(0, Lot(opening.settlement, opening.settlement, missing))

    def apply(self, trade: pb.Trade) -> None:
        """Move the lots of a trade."""
        self.holding(key_of(trade)).apply(trade)

    def differences(self, rows: Iterable[DetailRow], trading_day: str) -> list[pb.Difference]:
        """Compare with the lots that the detail query shows now."""
        theirs: defaultdict[SideKey, list[int]] = defaultdict(lambda: [0, 0])
        for row in rows:
            theirs[SideKey(row.symbol, row.exchange, row.side)][row.open_date >= trading_day] += row.volume
        found = []
        for key in sorted(theirs.keys() | self.holdings.keys()):
            holding = self.holding(key)
            ours = [count(holding.yesterday), count(holding.today)]
            for name, mine, broker in zip(("yesterday", "today"), ours, theirs[key], strict=True):
                if mine != broker:
                    side = pb.PositionSide.Name(key.side).removeprefix("POSITION_SIDE_")
                    what = f"position {key.symbol} {side} {name}"
                    found.append(pb.Difference(what=what, ours=str(mine), broker=str(broker)))
        return found

    def free(self, key: SideKey, working: Iterable[pb.Order]) -> Free:
        """Give the lots of a side that none of the working orders has frozen."""
        holding = self.holdings.get(key)
        if holding is None:
            return Free(0, 0)
        yesterday, today = frozen(working)[key]
        return _free(holding, yesterday, today, apart=key.exchange in APART)


def _free(holding: Holding, yesterday: int, today: int, *, apart: bool) -> Free:
    lots = Free(count(holding.yesterday), count(holding.today))
    if apart:
        return Free(lots.yesterday - yesterday, lots.today - today)
    # A close takes the oldest lots first, and so do those that wait.
    waiting = yesterday + today
    old = min(waiting, lots.yesterday)
    return Free(lots.yesterday - old, lots.today - (waiting - old))


def frozen(working: Iterable[pb.Order]) -> defaultdict[SideKey, list[int]]:
    """Give the lots (yesterday, today) that working orders will close."""
    found: defaultdict[SideKey, list[int]] = defaultdict(lambda: [0, 0])
    for order in working:
        if order.offset != pb.OFFSET_OPEN:
            found[key_of(order)][order.offset == pb.OFFSET_CLOSE_TODAY] += order.volume - order.filled_volume
    return found
