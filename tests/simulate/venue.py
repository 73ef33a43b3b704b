"""The broker's front and the exchange behind it: what a client's packets come to, and what comes back.

Each direction of the link is in order; a break loses what was on its way, but for a beginning of it
that had arrived. The private flow is kept for the day and comes again, whole, at each login.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from arbig.ctp.errors import DisconnectedError
from arbig.ctp.spi import Push
from arbig.market.v1.market_pb2 import Tick
from arbig.trade.v1 import trade_pb2 as pb
from ctp_front.depth import Depth
from ctp_front.exchange import Exchange
from ctp_front.orders import CancelRequest, Moment, Order, OrderRequest, Refusal, Report, SessionKey
from tests.ctp_front.makers import SYMBOL, depth, exchange
from tests.ctp_front.makers import request as order_request
from tests.simulate import rows
from tests.simulate.tasks import Promise
from trade_svc.orders import memo_of
from trade_svc.reports import CTP_DIRECTION, CTP_OFFSET

ACCOUNT = "sim001"
DAYS = ("20261123", "20261124", "20261125", "20261126")
_KINDS = {
    pb.ORDER_TYPE_LIMIT: ("3", "1"),
    pb.ORDER_TYPE_FAK: ("1", "1"),
    pb.ORDER_TYPE_FOK: ("1", "3"),
    pb.ORDER_TYPE_MARKET: ("1", "1"),
}


class Query(NamedTuple):
    """A query on its way, and who waits for it."""

    rows: Callable[[], Any]
    promise: Promise[Any]


class Venue:
    """The exchange, and one client's link to it."""

    def __init__(self, chance: random.Random) -> None:
        self.exchange: Exchange = exchange(symbol=SYMBOL)
        self.inserted: list[str] = []
        self.session = 0
        self.up = False
        self.inbound: deque[Callable[[], None]] = deque()
        self.outbound: deque[Push | tuple[Promise[Any], Any]] = deque()
        self._chance = chance
        self._flow: list[Push] = []
        self._last_ref = 0
        self._day = 0
        self._seconds = 0
        self._queries: list[Promise[Any]] = []
        self.depth: Depth = depth()
        self.move()

    def now(self) -> Moment:
        """Give the exchange's time."""
        self._seconds += 1
        seconds = 36_000 + self._seconds
        return Moment(self.exchange.trading_day, f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}")

    # The market.

    def move(self) -> None:
        """Show other prices; they may fill what rests."""
        chance = self._chance
        mid = 800.0 + chance.randint(-10, 10) * 0.02
        bids = [(round(mid - 0.02 * step, 2), chance.randint(1, 3)) for step in (1, 2)]
        asks = [(round(mid + 0.02 * step, 2), chance.randint(1, 3)) for step in (1, 2)]
        day = self.exchange.trading_day
        volume = self.depth.volume + chance.randint(0, 4)
        named = {"trading_day": day, "action_day": day, "pre_settlement": self.depth.pre_settlement}
        self.depth = depth(bids, asks, last=round(mid, 2), volume=volume, update_time=self.now().time, **named)
        self._tell(self.exchange.apply(self.depth))

    def tick(self) -> Tick:
        """Give the market's last tick."""
        shown = self.depth
        return Tick(
            symbol=SYMBOL,
            last_price=shown.last,
            pre_settlement_price=shown.pre_settlement,
            bid_prices=[price for price, _ in shown.bids()],
            ask_prices=[price for price, _ in shown.asks()],
            upper_limit_price=shown.upper_limit,
            lower_limit_price=shown.lower_limit,
        )

    def another_terminal(self) -> None:
        """Let somebody else trade on the account."""
        chance = self._chance
        price, volume = round(800.0 + chance.randint(-12, 12) * 0.02, 2), chance.randint(1, 2)
        ref = str(10_000 + self._seconds)
        request = order_request(chance.choice("01"), price, volume, order_ref=ref, symbol=SYMBOL, memo="")
        try:
            self._tell(self.exchange.insert(SessionKey(ACCOUNT, 1, 99_999), request, self.now()))
        except Refusal:
            return

    def end_day(self) -> None:
        """Settle and begin the next trading day; every client has to log in again."""
        self._tell(self.exchange.expire(self.now()))
        self._day += 1
        self.exchange.settle(DAYS[self._day], {SYMBOL: self.depth.last})
        self.exchange.account(ACCOUNT).confirmed = DAYS[self._day]
        self.depth = self.depth._replace(pre_settlement=self.depth.last, volume=0)
        self._flow.clear()
        self._last_ref = 0
        self.cut()
        self.move()

    @property
    def days_left(self) -> bool:
        """Whether another day can follow."""
        return self._day + 1 < len(DAYS)

    # The link.

    def log_in(self) -> tuple[str, int, int, int]:
        """Begin a session: the day's flow comes again, from its beginning."""
        self.session += 1
        self.up = True
        self._last_ref_of_session = self.exchange.account(ACCOUNT).max_order_ref
        self.outbound.extend(self._flow)
        return self.exchange.trading_day, 1, self.session, self._last_ref_of_session

    def cut(self) -> None:
        """Break the link: a beginning of what was sent had arrived, nothing of what was to come back."""
        for _ in range(self._chance.randint(0, len(self.inbound))):
            self.inbound.popleft()()
        self.inbound.clear()
        self.outbound.clear()
        self.up = False
        queries, self._queries = self._queries, []
        for promise in queries:
            if not promise.done:
                promise.keep(error=DisconnectedError("the link broke"))

    def take(self) -> None:
        """Let the front take the oldest packet of the client."""
        self.inbound.popleft()()

    def ask(self, answer: Callable[[], Any]) -> Promise[Any]:
        """Send a query: it is answered from the books as they are when it arrives."""
        promise: Promise[Any] = Promise()
        if not self.up:
            promise.keep(error=DisconnectedError("no link"))
            return promise
        self._queries.append(promise)
        self.inbound.append(lambda: self.outbound.append((promise, answer())))
        return promise

    def insert(self, order: pb.Order, request_id: int) -> None:
        """Send an order."""
        time_condition, volume_condition = _KINDS[order.type]
        request = OrderRequest(
            order.symbol, order.exchange, order.order_ref, CTP_DIRECTION[order.direction], CTP_OFFSET[order.offset],
            "1", order.price, order.volume, "2", time_condition, volume_condition, 1, "1",
            memo_of(order.client_order_id), ACCOUNT, request_id,
        )  # fmt: skip
        key = SessionKey(ACCOUNT, 1, self.session)
        self.inbound.append(lambda: self._insert(key, request))

    def _insert(self, key: SessionKey, request: OrderRequest) -> None:
        account = self.exchange.account(ACCOUNT)
        self.inserted.append(request.memo)
        account.max_order_ref = max(account.max_order_ref, int(request.order_ref))
        try:
            self._tell(self.exchange.insert(key, request, self.now()))
        except Refusal as refusal:
            row = rows.request_row(request)
            if key.session_id == self.session and self.up:
                self.outbound.append(Push("OnRspOrderInsert", row, refusal.error_id, refusal.text))
            self._push(Push("OnErrRtnOrderInsert", row, refusal.error_id, refusal.text))

    def cancel(self, order: pb.Order) -> None:
        """Send a cancel."""
        names = (
            CancelRequest(order.symbol, order.exchange, order.order_sys_id, 0, 0, "", "0")
            if order.order_sys_id
            else CancelRequest(order.symbol, order.exchange, "", order.front_id, order.session_id, order.order_ref, "0")
        )
        memo = memo_of(order.client_order_id)
        self.inbound.append(lambda: self._cancel(names, memo))

    def _cancel(self, names: CancelRequest, memo: str) -> None:
        try:
            self._tell(self.exchange.cancel(ACCOUNT, names, ACCOUNT, self.now()))
        except Refusal as refusal:
            row = {
                "FrontID": names.front_id,
                "SessionID": names.session_id,
                "OrderRef": names.order_ref,
                "ExchangeID": names.exchange,
                "OrderSysID": names.sys_id,
                "OrderMemo": memo,
            }
            self._push(Push("OnErrRtnOrderAction", row, refusal.error_id, refusal.text))

    def _tell(self, reports: list[Report]) -> None:
        for report in reports:
            if isinstance(report, Order):
                self._push(Push("OnRtnOrder", rows.order_row(report)))
            else:
                self._push(Push("OnRtnTrade", rows.trade_row(report)))

    def _push(self, push: Push) -> None:
        self._flow.append(push)
        if self.up:
            self.outbound.append(push)
