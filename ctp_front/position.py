"""The lots an account holds on one side of a contract.

SHFE keeps today's lots and those of earlier days in two holdings, CZCE all in one. Lots close first
in, first out.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ctp_front.instrument import Instrument
from ctp_front.orders import BUY, CLOSE_TODAY, OPEN

LONG, SHORT = "2", "3"
# CTP's PositionDate. An exchange that does not split days has TODAY only.
TODAY, HISTORY = "1", "2"


class HoldingKey(NamedTuple):
    """Which lots: of a contract, long or short, today's or older."""

    symbol: str
    side: str
    date: str


@dataclass(slots=True)
class Lot:
    """What one trade opened, as far as it is still open."""

    trade_id: str
    open_day: str
    open_price: float
    cost_price: float  # the open price, from the next day on the last settlement price
    volume: int
    closed: int = 0


@dataclass(slots=True)
class Holding:
    """Lots that are closed by the same kind of order.

    Its sums are kept up lot by lot: an account with thousands of lots is asked for its money at
    every order.
    """

    lots: deque[Lot] = field(default_factory=deque)
    volume: int = 0
    open_value: float = 0.0  # sum of open price x lots
    cost_value: float = 0.0  # sum of cost price x lots: margin and open profit count from it
    frozen: int = 0  # wanted by resting orders
    yesterday: int = 0  # what it began the day with
    opened: int = 0
    closed: int = 0
    open_amount: float = 0.0
    close_amount: float = 0.0
    close_profit: float = 0.0
    commission: float = 0.0

    @property
    def free(self) -> int:
        """Lots that no resting order wants to close."""
        return self.volume - self.frozen

    def add(self, lot: Lot) -> None:
        """Put lots behind those that are held."""
        self.lots.append(lot)
        self._count(lot, lot.volume)

    def close(self, volume: int) -> Iterator[tuple[Lot, int]]:
        """Take lots off, the oldest first, and give each with how many of it went."""
        while volume:
            lot = self.lots[0]
            lots = min(lot.volume, volume)
            lot.volume -= lots
            lot.closed += lots
            volume -= lots
            self._count(lot, -lots)
            if not lot.volume:
                self.lots.popleft()
            yield lot, lots

    def _count(self, lot: Lot, lots: int) -> None:
        self.volume += lots
        self.open_value += lot.open_price * lots
        self.cost_value += lot.cost_price * lots
        if not self.volume:  # what rounding left behind
            self.open_value = self.cost_value = 0.0


def sign(side: str) -> int:
    """Give +1 for long, -1 for short."""
    return 1 if side == LONG else -1


def side_of(direction: str, offset: str) -> str:
    """Give the side an order works on: a buy opens long or closes short."""
    return LONG if (direction == BUY) == (offset == OPEN) else SHORT


def key_of(instrument: Instrument, direction: str, offset: str) -> HoldingKey:
    """Give the holding that an order opens or closes."""
    today = not instrument.splits_days or offset in (OPEN, CLOSE_TODAY)
    return HoldingKey(instrument.symbol, side_of(direction, offset), TODAY if today else HISTORY)


def profit(instrument: Instrument, side: str, cost_price: float, price: float, volume: int) -> float:
    """Give what lots kept at `cost_price` have made at `price`."""
    return sign(side) * instrument.amount(price - cost_price, volume)


def open_profit(instrument: Instrument, side: str, holding: Holding, price: float | None) -> float:
    """Give what the lots that are held have made at `price`; nothing where there is no price."""
    if price is None:
        return 0.0
    return sign(side) * (price * holding.volume - holding.cost_value) * instrument.product.multiplier
