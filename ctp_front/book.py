"""What an order meets: the book of one contract, the market's displayed depth and our resting orders.

An incoming order takes what the market displays, level by level; a level that is used up stays so
until the next snapshot. A resting order fills at its own price when a later snapshot's other side
reaches it, up to what is displayed there, or when the market trades through it, up to what was
traded. In an auction it fills at the auction's price, up to what was traded. Our own orders never
meet each other.
"""

import bisect
from typing import NamedTuple

from ctp_front.depth import Depth, exists
from ctp_front.orders import BUY, SELL, Order


class Fill(NamedTuple):
    """So many lots at this price."""

    price: float
    volume: int


class Book:
    """One contract's book."""

    def __init__(self) -> None:
        self.depth: Depth | None = None
        self._traded = 0  # by the market, between the last two snapshots
        self._matched = {BUY: 0, SELL: 0}  # of that, what an auction has left for each side
        # What is left of the displayed levels [price, volume]; copied when first touched.
        self._left: dict[str, list[list[float]]] = {}
        # (price rank, order number): the front of each list is first to fill.
        self._resting: dict[str, list[tuple[float, int]]] = {BUY: [], SELL: []}

    @property
    def last(self) -> float | None:
        """The last price, if there has been one."""
        return self.depth.last if self.depth is not None and exists(self.depth.last) else None

    @property
    def is_empty(self) -> bool:
        """Whether no order of ours rests here."""
        return not (self._resting[BUY] or self._resting[SELL])

    def show(self, depth: Depth) -> None:
        """Take the next snapshot."""
        before = self.depth
        same_day = before is not None and before.trading_day == depth.trading_day
        known = depth.volume if before is None else before.volume if same_day else 0
        self._traded = max(depth.volume - known, 0)
        self._matched = {BUY: self._traded, SELL: self._traded}
        self.depth = depth
        self._left.clear()

    def take(self, direction: str, limit: float, volume: int) -> list[Fill]:
        """Give what an incoming order gets, and take it off the displayed levels."""
        fills = []
        for level in self._facing(direction):
            price, displayed = level
            if not volume or not _reaches(direction, limit, price):
                break
            lots = min(volume, int(displayed))
            if lots:
                level[1] -= lots
                volume -= lots
                fills.append(Fill(price, lots))
        return fills

    def within(self, direction: str, limit: float) -> int:
        """Give how many lots an incoming order could get."""
        return sum(int(lots) for price, lots in self._facing(direction) if _reaches(direction, limit, price))

    def rest(self, order: Order) -> None:
        """Let an order wait, behind those of a better or the same price."""
        bisect.insort(self._resting[order.direction], (_rank(order), order.number))

    def remove(self, order: Order) -> None:
        """Take a resting order away."""
        self._resting[order.direction].remove((_rank(order), order.number))

    def queue(self, direction: str) -> list[int]:
        """Give the numbers of the orders that rest on a side, first to fill first."""
        return [number for _, number in self._resting[direction]]

    def fill_resting(self, order: Order) -> Fill | None:
        """Give what a resting order gets from this snapshot, all at its own price."""
        lots = sum(fill.volume for fill in self.take(order.direction, order.price, order.rest))
        last = self.last
        if lots < order.rest and last is not None and _beyond(order.direction, order.price, last):
            through = min(order.rest - lots, self._traded)
            self._traded -= through
            lots += through
        return Fill(order.price, lots) if lots else None

    def auction(self, order: Order) -> Fill | None:
        """Give what a resting order gets from the snapshot of an auction's match, at the auction's price."""
        price, left = self.last, self._matched[order.direction]
        if price is None or not left or not _reaches(order.direction, order.price, price):
            return None
        lots = min(order.rest, left)
        self._matched[order.direction] -= lots
        return Fill(price, lots)

    def _facing(self, direction: str) -> list[list[float]]:
        levels = self._left.get(direction)
        if levels is None:
            shown = [] if self.depth is None else self.depth.asks() if direction == BUY else self.depth.bids()
            levels = self._left[direction] = [[price, volume] for price, volume in shown]
        return levels


def _rank(order: Order) -> float:
    return -order.price if order.direction == BUY else order.price


def _reaches(direction: str, limit: float, price: float) -> bool:
    return price <= limit + 1e-9 if direction == BUY else price >= limit - 1e-9


def _beyond(direction: str, price: float, last: float) -> bool:
    return last < price - 1e-9 if direction == BUY else last > price + 1e-9
