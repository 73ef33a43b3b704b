"""The journal of the simulation: what is on the disk, and what was only asked to be there."""

import random
from collections import deque
from collections.abc import Sequence

from arbig.trade.v1 import trade_pb2 as pb
from tests.simulate.tasks import Promise
from trade_svc.orders import FINAL
from trade_svc.trader import Body, Recalled


class Disk:
    """Events in order; a commit takes all that waits, as the real one does."""

    def __init__(self) -> None:
        self.orders: dict[str, pb.Order] = {}
        self.trades: list[pb.Trade] = []
        self.changed_after_the_end: list[str] = []
        self._state: pb.TradingStateChange | None = None
        self.waiting: deque[tuple[list[Body], Promise[None]]] = deque()

    def append(self, bodies: Sequence[Body]) -> Promise[None]:
        """Ask for events to be written."""
        copies = []
        for body in bodies:
            copied = type(body)()
            copied.CopyFrom(body)  # type: ignore[arg-type]
            copies.append(copied)
        promise: Promise[None] = Promise()
        self.waiting.append((copies, promise))
        return promise

    async def order(self, account_id: str, client_order_id: str) -> pb.Order | None:
        """Find an order of any day."""
        await self.append([])
        found = self.orders.get(client_order_id)
        if found is None:
            return None
        copied = pb.Order()
        copied.CopyFrom(found)
        return copied

    def commit(self, number: int | None = None, *, tell: bool = True) -> None:
        """Write what waits, or the first of it; a kill may come before anyone is told."""
        for _ in range(len(self.waiting) if number is None else number):
            bodies, promise = self.waiting.popleft()
            for body in bodies:
                self._write(body)
            if tell:
                promise.keep()

    def _write(self, body: Body) -> None:
        if isinstance(body, pb.Order):
            before = self.orders.get(body.client_order_id)
            if before and before.state in FINAL and _end(before) != _end(body):
                self.changed_after_the_end.append(f"{body.client_order_id} ended as {_end(before)}, then {_end(body)}")
            self.orders[body.client_order_id] = body
        elif isinstance(body, pb.Trade):
            self.trades.append(body)
        elif isinstance(body, pb.TradingStateChange):
            self._state = body

    def crash(self, chance: random.Random) -> None:
        """Lose what was not written; how much of it was, nobody knows."""
        self.commit(chance.randint(0, len(self.waiting)), tell=False)
        self.waiting.clear()

    def recall(self) -> Recalled:
        """Give what the real journal recalls: the newest day, and what is not final."""
        day = max((order.trading_day for order in self.orders.values()), default="")
        orders = []
        for order in self.orders.values():
            if order.trading_day == day or order.state not in FINAL:
                copied = pb.Order()
                copied.CopyFrom(order)
                orders.append(copied)
        trades = [trade for trade in self.trades if trade.trading_day >= day]
        return Recalled(orders, trades, self._state)


def _end(order: pb.Order) -> tuple[str, int]:
    return pb.OrderState.Name(order.state), order.filled_volume
