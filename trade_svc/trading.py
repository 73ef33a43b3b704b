"""What callers ask to be done, in the order that keeps it safe: on disk first, then sent, and once.

It waits only for the journal and for the front, whatever they are: a simulation drives this very
code, one step at a time.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.ctp.errors import DisconnectedError
from arbig.ctp.spi import Push, Row
from arbig.errors import InvalidField, NotFound, Unavailable
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import desk, intents
from trade_svc.reconcile import BrokerBooks
from trade_svc.reports import (
    account_message,
    detail_row,
    opening_money,
    opening_row,
    order_report,
    trade_message,
)
from trade_svc.risk import Pace
from trade_svc.trader import Body, Changes, Trader

log = logging.getLogger(__name__)

# Where a cancel may go out: from the confirmed settlement on, whatever else is wrong.
_CANCELS = frozenset({pb.READINESS_LOADING, pb.READINESS_RECONCILING, pb.READINESS_READY, pb.READINESS_HALTED})


class Journal(Protocol):
    """What remembers."""

    def append(self, bodies: Sequence[Body]) -> Awaitable[None]:
        """Write events; done when they are on the disk. Done in the order of the calls."""
        ...

    def order(self, account_id: str, client_order_id: str) -> Awaitable[pb.Order | None]:
        """Find an order of any day."""
        ...


class Gateway(Protocol):
    """What speaks to the front: orders and cancels give the library's return code, queries complete rows."""

    def insert(self, order: pb.Order) -> tuple[int, int]: ...  # noqa: D102
    def cancel(self, order: pb.Order) -> int: ...  # noqa: D102
    def orders(self) -> Awaitable[list[Row]]: ...  # noqa: D102
    def trades(self) -> Awaitable[list[Row]]: ...  # noqa: D102
    def positions(self) -> Awaitable[list[Row]]: ...  # noqa: D102
    def position_details(self) -> Awaitable[list[Row]]: ...  # noqa: D102
    def account(self) -> Awaitable[Row]: ...  # noqa: D102


class Clock(NamedTuple):
    """The time, and milliseconds that never go back."""

    now: Callable[[], Timestamp]
    ms: Callable[[], int]


class Trading:
    """One account's trading: the trader, its journal, and the front while there is one."""

    def __init__(self, trader: Trader, journal: Journal, gateway: Gateway, clock: Clock) -> None:
        self.trader = trader
        self._journal = journal
        self._gateway = gateway
        self._clock = clock
        self._inserts = Pace("orders", "INSERT_RATE")
        self._cancels = Pace("cancels", "CANCEL_RATE")

    def keep(self, changes: Changes) -> Awaitable[None]:
        """Write what changed to the journal."""
        return self._journal.append(changes)

    def on_push(self, push: Push) -> Changes:
        """Take in one callback, and give what it changed."""
        changes = self.trader.on_push(push, self._clock.now())
        if changes:
            self.keep(changes)
        return changes

    # Orders.

    async def submit(self, request: pb.SubmitOrderRequest) -> pb.Order:
        """Send an order once; the same request again sends nothing."""
        desk.check_request(request)
        if known := await self._known(request.client_order_id):
            desk.check_same(request, known)
            await self._journal.append([])  # its intent is on disk before we say so
            return known
        order = desk.new_order(request)
        await self._send_together([order])
        return order

    async def close_position(self, request: pb.ClosePositionRequest) -> list[pb.Order]:
        """Close lots by as many orders as it takes; the same request again sends nothing."""
        desk.check_close(request)
        if known := await self._legs(request.client_order_id):
            desk.check_same_close(request, known)
            await self._journal.append([])
            return known
        self._check_ready()
        orders = intents.close_orders(self.trader, request)
        await self._send_together(orders)
        return orders

    async def _send_together(self, orders: list[pb.Order]) -> None:
        # From the check to the place in the book nothing waits: no second call comes in between.
        self._check_ready()
        now, now_ms = self._clock.now(), self._clock.ms()
        intents.prepare(self.trader, orders, now.ToNanoseconds(), now_ms)
        self._inserts.take(now_ms, self.trader.limits.max_inserts_per_second, len(orders))
        for order in orders:
            self.trader.name(order, now)
        await self.keep(self.trader.changed(orders))
        # Futures of the journal are done in order, so orders leave in the order of their OrderRef.
        for order in orders:
            self._send(order)

    def _send(self, order: pb.Order) -> None:
        trader, now = self.trader, self._clock.now()
        if why := trader.objection(order):
            self.keep(trader.refuse(order, 0, why, now))
            return
        try:
            code, request_id = self._gateway.insert(order)
        except Exception as error:  # a field that CTP's struct does not take: nothing was sent
            self.keep(trader.refuse(order, 0, f"not sent: {error}", now))
            raise
        if changes := trader.sent(order, code, request_id, now):
            self.keep(changes)

    async def _known(self, client_order_id: str) -> pb.Order | None:
        """Find an order of any day; the wait may have let the same request in through another call."""
        orders = self.trader.book.orders
        if client_order_id in orders:
            return orders[client_order_id]
        found = await self._journal.order(self.trader.account_id, client_order_id)
        return orders.get(client_order_id) or found

    async def _legs(self, client_order_id: str) -> list[pb.Order]:
        """Find the orders of a close of any day."""
        found: list[pb.Order] = []
        while one := await self._known(intents.close_id(client_order_id, len(found) + 1)):
            found.append(one)
        return found

    async def find(self, client_order_id: str) -> pb.Order:
        """Find an order of any day; raises NotFound."""
        desk.check_id(client_order_id)
        order = await self._known(client_order_id)
        if order is None:
            raise NotFound(f"no order {client_order_id}", "UNKNOWN_ORDER", "client_order_id")
        return order

    async def cancel(self, client_order_id: str) -> pb.Order:
        """Ask the exchange to cancel an order."""
        order = await self.find(client_order_id)
        desk.check_cancel(order)
        self._check_cancels()
        self._cancels.take(self._clock.ms(), self.trader.limits.max_cancels_per_second)
        if code := self._gateway.cancel(order):
            raise Unavailable(f"the cancel was not sent: the CTP library returned {code}", "NOT_SENT")
        self.trader.book.cancel_sent(order, self._clock.now())
        await self.keep(self.trader.changed([order]))
        return order

    # What is allowed.

    async def set_state(self, state: pb.TradingState.ValueType, reason: str) -> None:
        """Let all orders through, only those that close, or none."""
        if state not in pb.TradingState.values() or not state:
            raise InvalidField("state", "must be ACTIVE, REDUCING or HALTED", "MISSING")
        desk.check_reason(reason)
        await self.keep(self._change_state(state, reason))

    def _change_state(self, state: pb.TradingState.ValueType, reason: str) -> Changes:
        changed = pb.TradingStateChange(account_id=self.trader.account_id, state=state, reason=reason)
        log.warning("trading state", extra={"state": pb.TradingState.Name(state), "why": reason})
        self.trader.state = changed
        return [changed]

    async def emergency_stop(self, reason: str) -> pb.EmergencyStopResponse:
        """Halt, and ask for every working order to be cancelled; what cannot be is named."""
        desk.check_reason(reason)
        # At once, before anything waits: what is on its way to the disk is not sent any more.
        changes = self._change_state(pb.TRADING_STATE_HALTED, reason or "emergency stop")
        reply = pb.EmergencyStopResponse()
        for order in list(self.trader.book.working()):
            if why := self._cancel_now(order):
                reply.not_cancelled.add(client_order_id=order.client_order_id, reason=why)
            else:
                reply.cancelling.append(order.client_order_id)
                changes += self.trader.changed([order])
        await self.keep(changes)
        return reply

    def _cancel_now(self, order: pb.Order) -> str:
        """Send a cancel, or say why that is not possible."""
        if self.trader.readiness not in _CANCELS:
            return self._not_ready()
        if order.trading_day != self.trader.trading_day:
            return f"of trading day {order.trading_day}, which is over"
        if code := self._gateway.cancel(order):
            return f"the CTP library returned {code}"
        self.trader.book.cancel_sent(order, self._clock.now())
        return ""

    # Agreeing with the broker.

    async def agree(self) -> pb.Reconciliation:
        """Ask the broker for everything of the day, take it in, and give what disagrees.

        Raises DisconnectedError where another session began meanwhile: those answers are of the old one.
        """
        gateway, session = self._gateway, self.trader.session
        orders = [order_report(row) for row in await gateway.orders()]
        trades = [trade_message(row) for row in await gateway.trades()]
        # Only a close can leave lots of earlier days that no detail row shows any more.
        closed = any(trade.offset != pb.OFFSET_OPEN for trade in trades)
        openings = [opening_row(row) for row in await gateway.positions()] if closed else []
        details = [detail_row(row) for row in await gateway.position_details()]
        account, now = await gateway.account(), self._clock.now()
        if self.trader.session != session:
            raise DisconnectedError("another session began before all was answered")
        books = BrokerBooks(
            orders=orders,
            trades=trades,
            details=details,
            openings=openings,
            account=account_message(account, now),
            opening=opening_money(account),
        )
        self.keep(self.trader.agree(books, now))
        return self.trader.reconciliation

    async def refresh_account(self) -> None:
        """Ask the broker for the money."""
        row = await self._gateway.account()
        self.keep(self.trader.load_account(account_message(row, self._clock.now()), opening_money(row)))

    def end_session(self) -> None:
        """Note that the link broke."""
        self.keep(self.trader.end_session(self._clock.now()))

    def look_for_overdue(self, seconds: int) -> bool:
        """Note what has had no answer for so long; tell whether there is something unknown to ask about."""
        now, before = self._clock.now(), self._clock.now()
        before.seconds -= seconds
        self.keep(self.trader.changed(self.trader.book.overdue(before, now)))
        day = self.trader.trading_day
        working = self.trader.book.working()
        return any(one.state == pb.ORDER_STATE_UNKNOWN and one.trading_day == day for one in working)

    def _check_ready(self) -> None:
        if self.trader.readiness != pb.READINESS_READY:
            raise Unavailable(self._not_ready(), "NOT_READY")

    def _check_cancels(self) -> None:
        if self.trader.readiness not in _CANCELS:
            raise Unavailable(self._not_ready(), "NOT_READY")

    def _not_ready(self) -> str:
        state = pb.Readiness.Name(self.trader.readiness).removeprefix("READINESS_")
        return f"not READY but {state}: {self.trader.reason}"
