"""The account as the service knows it: what comes from CTP moves it, and the journal hears of it."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.ctp.spi import Push, Row
from arbig.errors import NotFound, Unavailable
from arbig.market.v1.market_pb2 import Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import desk
from trade_svc.gateway import Gateway, Login
from trade_svc.instruments import Instruments
from trade_svc.journal import Body, Journal
from trade_svc.orders import OrderBook
from trade_svc.positions import PositionError, Positions, SideKey
from trade_svc.reports import DetailRow, SessionKey, order_report, status_of, trade_message

log = logging.getLogger(__name__)


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now


class Trader:
    """Orders, trades, positions and money of one account."""

    def __init__(self, account_id: str, journal: Journal, instruments: Instruments) -> None:
        """Begin with what the journal remembers; what it does not know the outcome of is UNKNOWN."""
        self.account_id = account_id
        self.readiness: pb.Readiness.ValueType = pb.READINESS_DISCONNECTED
        self.reason = "connecting to the trade front"
        self.trading_day = ""
        self.account: pb.Account | None = None
        self.account_stale = asyncio.Event()
        self.ticks: dict[str, Tick] = {}
        self.book = OrderBook()
        self.positions = Positions()
        self._journal = journal
        self._instruments = instruments
        self._gateway: Gateway | None = None
        self._session = SessionKey(0, 0, "")
        self._order_ref = 0
        self._requests: dict[int, str] = {}
        self._shown: dict[SideKey, pb.Position] = {}
        self.loaded = False
        orders, trades = journal.recall()
        for order in orders:
            self.book.add(order)
        for trade in trades:
            self.book.add_trade(trade)
        self._write(self.book.lose_link(_now()))

    # What the link does.

    def set_readiness(self, readiness: pb.Readiness.ValueType, reason: str) -> None:
        """Note how far the link is; orders go out in READY only."""
        if (readiness, reason) != (self.readiness, self.reason):
            name = pb.Readiness.Name(readiness).removeprefix("READINESS_")
            log.info("readiness", extra={"state": name, "reason": reason})
        self.readiness, self.reason = readiness, reason

    def begin_session(self, gateway: Gateway, login: Login) -> None:
        """Note a login: the names that its orders will have."""
        self._begin_day(login.trading_day)
        self._gateway = gateway
        self._session = SessionKey(login.front_id, login.session_id, "")
        self._order_ref = login.max_order_ref
        self._requests.clear()

    def end_session(self) -> None:
        """Note that the link broke."""
        self.loaded = False
        self._write(self.book.lose_link(_now()))

    def _begin_day(self, trading_day: str) -> None:
        if trading_day > self.trading_day:
            log.info("trading day", extra={"day": trading_day})
            self.trading_day = trading_day
            self.loaded = False
            self.book.begin_day(trading_day)

    def load_orders(self, rows: Iterable[Row]) -> None:
        """Take in a complete query of the day's orders: what it does not show was never sent."""
        for row in rows:
            self._write(self.book.apply(order_report(row), _now()))
        self._write(self.book.resolve(self.trading_day, self._session, _now()))

    def load_trades(self, rows: Iterable[Row]) -> None:
        """Take in a complete query of the day's trades, after the one of its orders."""
        for row in rows:
            self._write(self.book.trade(trade_message(row), _now()))
        self._write(self.book.book_orphans())

    def load_positions(self, details: Sequence[DetailRow]) -> list[str]:
        """Reckon the positions from the day's opening lots and its trades; give what disagrees."""
        self.positions.begin(details, self.trading_day)
        # The journal may have heard of them in another order.
        trades = sorted(
            self.book.trades.values(), key=lambda one: (one.time.ToNanoseconds(), len(one.trade_id), one.trade_id)
        )
        try:
            for trade in trades:
                self.positions.apply(trade)
        except PositionError as error:
            return [str(error)]
        differences = self.positions.differences(details, self.trading_day)
        if not differences:
            self.loaded = True
            self._write([])
        return differences

    def load_account(self, account: pb.Account) -> None:
        """Take in the money as the broker reports it."""
        known = pb.Account()
        if self.account:
            known.CopyFrom(self.account)
            known.update_time.CopyFrom(account.update_time)
        self.account = account
        if known != account:
            self._write([account])

    # What CTP says.

    def on_push(self, push: Push) -> None:
        """Take in one callback."""
        match push.name:
            case "OnRtnOrder":
                self._begin_day(push.row["TradingDay"])
                self._write(self.book.apply(order_report(push.row), _now()))
            case "OnRtnTrade":
                self._begin_day(push.row["TradingDay"])
                self._write(self.book.trade(trade_message(push.row), _now()))
            case "OnRtnInstrumentStatus":
                self._instruments.set_status(push.row["InstrumentID"], status_of(push.row))
            case "OnRspOrderInsert" | "OnErrRtnOrderInsert" if push.error_id:
                self._on_insert_refused(push)
            case "OnRspOrderAction" | "OnErrRtnOrderAction" if push.error_id:
                self._on_cancel_refused(push)
            case "OnRspError":
                self._on_error(push)

    def _on_insert_refused(self, push: Push) -> None:
        # The answer comes to the session that asked. The push comes to all of the account's, without
        # saying whose OrderRef it is: there only the memo tells our order from another terminal's.
        mine = push.name == "OnRspOrderInsert"
        session = self._session._replace(order_ref=push.row["OrderRef"].strip()) if mine else None
        if order := self.book.find(session, "", "", push.row["OrderMemo"]):
            self._write(self.book.refuse(order, push.error_id, push.error_text, _now()))

    def _on_cancel_refused(self, push: Push) -> None:
        row = push.row
        session = SessionKey(row["FrontID"], row["SessionID"], row["OrderRef"].strip())
        if order := self.book.find(session, row["ExchangeID"], row["OrderSysID"], row["OrderMemo"]):
            self._write(self.book.cancel_refused(order, push.error_text, _now()))

    def _on_error(self, push: Push) -> None:
        log.warning("CTP error", extra={"error_id": push.error_id, "text": push.error_text})
        order = self.book.orders.get(self._requests.get(push.request_id, ""))
        if order:
            self._write(self.book.refuse(order, push.error_id, push.error_text, _now()))

    def _write(self, changed: Sequence[Body]) -> asyncio.Future[None]:
        """Journal what changed, and the position sides that it moved."""
        if self.loaded:
            changed = [*changed, *self._moved(changed)]
        for order in changed:
            if isinstance(order, pb.Order):
                state = pb.OrderState.Name(order.state).removeprefix("ORDER_STATE_")
                log.info("order", extra={"id": order.client_order_id, "state": state, "filled": order.filled_volume})
        if any(not isinstance(one, pb.Account) for one in changed):
            self.account_stale.set()
        return self._journal.append(changed)

    def _moved(self, changed: Sequence[Body]) -> list[pb.Position]:
        for trade in changed:
            if isinstance(trade, pb.Trade):
                try:
                    self.positions.apply(trade)
                except PositionError as error:
                    self.loaded = False
                    self.set_readiness(pb.READINESS_LOADING, f"positions disagree: {error}")
                    return []
        moved = []
        for position in self.list_positions():
            key = SideKey(position.symbol, position.exchange, position.side)
            if self._shown.get(key) != position:
                self._shown[key] = position
                moved.append(position)
        return moved

    # What callers ask.

    def list_positions(self) -> list[pb.Position]:
        """Give every position side."""
        return self.positions.messages(self.account_id, self.trading_day, self.book.working())

    def snapshot(self) -> list[Body]:
        """Give the state as it is: the day's orders and trades, the positions, the money."""
        account = [self.account] if self.account else []
        return [*self.book.orders.values(), *self.book.trades.values(), *self.list_positions(), *account]

    async def order(self, client_order_id: str) -> pb.Order:
        """Find an order of any day; raises NotFound."""
        desk.check_id(client_order_id)
        order = self.book.orders.get(client_order_id) or await self._journal.order(self.account_id, client_order_id)
        if order is None:
            raise NotFound(f"no order {client_order_id}", "UNKNOWN_ORDER", "client_order_id")
        return order

    def _ready(self) -> Gateway:
        if self.readiness != pb.READINESS_READY or self._gateway is None:
            name = pb.Readiness.Name(self.readiness).removeprefix("READINESS_")
            raise Unavailable(f"not READY but {name}: {self.reason}", "NOT_READY")
        return self._gateway

    async def submit(self, request: pb.SubmitOrderRequest) -> pb.Order:
        """Send an order once: intent on disk, then the exchange. The same request again sends nothing."""
        desk.check_request(request)
        known = self.book.orders.get(request.client_order_id)
        known = known or await self._journal.order(self.account_id, request.client_order_id)
        # The wait may have let the same request in through another call.
        if known := self.book.orders.get(request.client_order_id) or known:
            desk.check_same(request, known)
            await self._journal.append([])  # its intent is on disk before we say so
            return known
        gateway = self._ready()
        instrument = self._instruments.by_symbol.get(request.symbol)
        tick = self.ticks.get(request.symbol)
        desk.check_instrument(request, instrument, tick)
        order = self._intent(request, tick)
        session = self._session
        await self._journal.append([order, *self._moved([])])
        # Futures of the journal are done in order, so orders leave in the order of their OrderRef.
        self._send(order, gateway, session)
        return order

    def _intent(self, request: pb.SubmitOrderRequest, tick: Tick | None) -> pb.Order:
        self._order_ref += 1
        order = desk.new_order(request)
        order.account_id = self.account_id
        order.exchange = self._instruments.by_symbol[request.symbol].exchange
        order.trading_day = self.trading_day
        order.front_id, order.session_id, _ = self._session
        order.order_ref = str(self._order_ref)
        order.create_time.CopyFrom(_now())
        order.update_time.CopyFrom(order.create_time)
        if (mid := desk.mid_price(tick)) is not None:
            order.submit_mid_price = mid
        self.book.add(order)
        return order

    def _send(self, order: pb.Order, gateway: Gateway, session: SessionKey) -> None:
        if self._session != session or self.readiness != pb.READINESS_READY:
            self._write(self.book.refuse(order, 0, "not sent: the link broke", _now()))
            return
        code, request_id = gateway.insert(order)
        self._requests[request_id] = order.client_order_id
        if code != 0:
            self._write(self.book.refuse(order, code, f"not sent: the CTP library returned {code}", _now()))

    async def cancel(self, client_order_id: str) -> pb.Order:
        """Ask the exchange to cancel an order."""
        order = await self.order(client_order_id)
        desk.check_cancel(order)
        gateway = self._ready()
        if code := gateway.cancel(order):
            raise Unavailable(f"the cancel was not sent: the CTP library returned {code}", "NOT_SENT")
        self.book.cancel_sent(order, _now())
        await self._write([order])
        return order
