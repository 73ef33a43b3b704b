"""The account as the service knows it: what callers and CTP say, and what follows from it.

Nothing here waits: each call gives what it changed, in order, for the journal. Time comes in as an
argument.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.ctp.spi import Push
from arbig.market.v1.market_pb2 import Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import reconcile
from trade_svc.conduct import ConductCounter
from trade_svc.instruments import Instruments
from trade_svc.money import Money, commission_of, reckon
from trade_svc.orders import TAKEN, OrderBook, TradeKey, trade_key
from trade_svc.portfolio import Portfolio
from trade_svc.positions import PositionError, key_of
from trade_svc.reconcile import BrokerBooks
from trade_svc.reports import SessionKey, order_report, status_of, trade_message
from trade_svc.terms import Opening, Terms

log = logging.getLogger(__name__)

Body = pb.Order | pb.Trade | pb.Position | pb.Account | pb.RiskLimits | pb.TradingStateChange | pb.Reconciliation
Changes = list[Body]


class Login(NamedTuple):
    """What the front said at login."""

    trading_day: str
    front_id: int
    session_id: int
    max_order_ref: int


class Recalled(NamedTuple):
    """What the journal remembers at a start."""

    orders: Sequence[pb.Order] = ()
    trades: Sequence[pb.Trade] = ()
    state: pb.TradingStateChange | None = None


class Trader:
    """Orders, trades, positions and money of one account."""

    def __init__(self, account_id: str, instruments: Instruments, limits: pb.RiskLimits) -> None:
        self.account_id = account_id
        self.instruments = instruments
        self.limits = limits
        self.state = pb.TradingStateChange(account_id=account_id, state=pb.TRADING_STATE_ACTIVE)
        self.readiness: pb.Readiness.ValueType = pb.READINESS_DISCONNECTED
        self.reason = "connecting to the trade front"
        self.reconciliation = pb.Reconciliation(account_id=account_id)
        self.trading_day = ""
        self.account: pb.Account | None = None
        self.opening: Opening | None = None
        self.terms: dict[str, Terms] = {}
        self.ticks: dict[str, tuple[Tick, int]] = {}  # with the milliseconds at which it came
        self.book = OrderBook()
        self.portfolio = Portfolio(account_id)
        self.conduct = ConductCounter()
        self.session = SessionKey(0, 0, "")
        # From the newest order's intent to CTP's first word of it.
        self.answer_ms: int | None = None
        self._order_ref = 0
        self._requests: dict[int, str] = {}

    def recall(self, recalled: Recalled, now: Timestamp) -> Changes:
        """Begin with what the journal remembers; what it does not know the outcome of is UNKNOWN."""
        for order in recalled.orders:
            self.book.add(order)
        for trade in recalled.trades:
            self.book.add_trade(trade)
        if recalled.state:
            self.state = recalled.state
        return self.changed(self.book.lose_link(now))

    # What the link does.

    def set_readiness(self, readiness: pb.Readiness.ValueType, reason: str) -> None:
        """Note how far the link is; orders go out in READY only."""
        if (readiness, reason) != (self.readiness, self.reason):
            name = pb.Readiness.Name(readiness).removeprefix("READINESS_")
            log.info("readiness", extra={"state": name, "reason": reason})
        self.readiness, self.reason = readiness, reason

    def begin_session(self, login: Login) -> None:
        """Note a login: the names that its orders will have."""
        self._begin_day(login.trading_day)
        self.session = SessionKey(login.front_id, login.session_id, "")
        self._order_ref = login.max_order_ref
        self._requests.clear()
        self.portfolio.loaded = False

    def end_session(self, now: Timestamp) -> Changes:
        """Note that the link broke."""
        self.portfolio.loaded = False
        return self.changed(self.book.lose_link(now))

    def _begin_day(self, trading_day: str) -> None:
        if trading_day > self.trading_day:
            log.info("trading day", extra={"day": trading_day})
            self.trading_day = trading_day
            self.portfolio.loaded = False
            self.book.begin_day(trading_day)
            self.conduct = ConductCounter(trading_day)
            self.conduct.see([*self.book.orders.values(), *self.book.trades.values()])

    # What CTP says.

    def on_push(self, push: Push, now: Timestamp) -> Changes:
        """Take in one callback."""
        match push.name:
            case "OnRtnOrder":
                self._begin_day(push.row["TradingDay"])
                changes = self.changed(self.book.apply(order_report(push.row), now))
                self._time_answer(changes, now)
                return changes
            case "OnRtnTrade":
                self._begin_day(push.row["TradingDay"])
                return self.changed(self.book.trade(trade_message(push.row), now))
            case "OnRtnInstrumentStatus":
                self.instruments.set_status(push.row["InstrumentID"], status_of(push.row))
            case "OnRspOrderInsert" | "OnErrRtnOrderInsert" if push.error_id:
                return self._on_insert_refused(push, now)
            case "OnRspOrderAction" | "OnErrRtnOrderAction" if push.error_id:
                return self._on_cancel_refused(push, now)
            case "OnRspError":
                return self._on_error(push, now)
        return []

    def _time_answer(self, changes: Changes, now: Timestamp) -> None:
        """Note how long CTP took to take an order of ours."""
        for one in changes:
            if not isinstance(one, pb.Order) or one.venue_status != TAKEN:
                continue
            if (one.front_id, one.session_id) == self.session[:2]:
                self.answer_ms = (now.ToNanoseconds() - one.create_time.ToNanoseconds()) // 1_000_000

    def _on_insert_refused(self, push: Push, now: Timestamp) -> Changes:
        # The answer comes to the session that asked. The push comes to all of the account's, without
        # saying whose OrderRef it is: there only the memo tells our order from another terminal's.
        mine = push.name == "OnRspOrderInsert"
        session = self.session._replace(order_ref=push.row["OrderRef"].strip()) if mine else None
        order = self.book.find(session, "", "", push.row["OrderMemo"])
        return self.refuse(order, push.error_id, push.error_text, now) if order else []

    def _on_cancel_refused(self, push: Push, now: Timestamp) -> Changes:
        row = push.row
        session = SessionKey(row["FrontID"], row["SessionID"], row["OrderRef"].strip())
        order = self.book.find(session, row["ExchangeID"], row["OrderSysID"], row["OrderMemo"])
        return self.changed(self.book.cancel_refused(order, push.error_text, now)) if order else []

    def _on_error(self, push: Push, now: Timestamp) -> Changes:
        log.error("error from the front", extra={"id": push.error_id, "text": push.error_text})
        order = self.book.orders.get(self._requests.get(push.request_id, ""))
        return self.refuse(order, push.error_id, push.error_text, now) if order else []

    # What complete queries show.

    def agree(self, broker: BrokerBooks, now: Timestamp) -> Changes:
        """Take in what complete queries show, and compare: `reconciliation` says what disagrees."""
        known: set[str | TradeKey] = {*self.book.orders, *self.book.trades}
        changes: Changes = []
        traded: dict[str, int] = {}
        for report in broker.orders:
            changes += self.changed(self.book.apply(report, now))
            if order := self.book.find(report.session, report.exchange, report.order_sys_id, report.memo):
                traded[order.client_order_id] = report.traded
        changes += self.changed(self.book.resolve(self.trading_day, self.session, now))
        for trade in broker.trades:
            changes += self.changed(self.book.trade(trade, now))
        changes += self.changed(self.book.book_orphans())
        self.opening = broker.opening
        differences = [
            *reconcile.order_differences(self.book, traded, self.trading_day),
            *reconcile.trade_differences(self.book, map(trade_key, broker.trades), self.trading_day),
            *self.portfolio.load(broker.details, broker.openings, self.book.trades.values(), self.trading_day),
        ]
        changes += self.load_account(broker.account, broker.opening)
        differences += reconcile.money_differences(self.money(), broker.account)
        return changes + self.changed([]) + self._compared(differences, known)

    def _compared(self, differences: list[pb.Difference], known: set[str | TradeKey]) -> Changes:
        adopted = [one.client_order_id for name, one in self.book.orders.items() if name not in known and one.external]
        adopted += [f"trade {one.trade_id}" for key, one in self.book.trades.items() if key not in known]
        day = self.trading_day
        found = pb.Reconciliation(account_id=self.account_id, trading_day=day, differences=differences, adopted=adopted)
        same, self.reconciliation = found == self.reconciliation, found
        return [] if same else [found]

    def load_account(self, account: pb.Account, opening: Opening) -> Changes:
        """Take in the money as the broker reports it."""
        self.opening = opening
        known = pb.Account()
        if self.account:
            known.CopyFrom(self.account)
            known.update_time.CopyFrom(account.update_time)
        self.account = account
        return [account] if known != account else []

    # What follows.

    def changed(self, bodies: Sequence[Body]) -> Changes:
        """Give what changed, and the position sides that it moved."""
        changes = list(bodies)
        self.conduct.see(changes)
        if self.portfolio.loaded:
            changes += self._moved(changes)
        for order in changes:
            if isinstance(order, pb.Order):
                state = pb.OrderState.Name(order.state).removeprefix("ORDER_STATE_")
                log.info("order", extra={"id": order.client_order_id, "state": state, "filled": order.filled_volume})
        return changes

    def _moved(self, changes: Changes) -> Sequence[Body]:
        for trade in changes:
            if isinstance(trade, pb.Trade):
                try:
                    self._book(trade)
                except PositionError as error:
                    self.portfolio.loaded = False
                    self.set_readiness(pb.READINESS_LOADING, f"positions disagree: {error}")
                    return []
        return self.portfolio.moved(self.working(), self.terms, self.trading_day)

    def _book(self, trade: pb.Trade) -> None:
        """Move the lots of a trade, and say what the broker takes for it."""
        holding = self.portfolio.positions.holding(key_of(trade))
        terms = self.terms.get(trade.symbol)
        before = commission_of(holding, terms) if terms else 0.0
        holding.apply(trade)
        if terms:
            trade.commission = round(commission_of(holding, terms) - before, 4)

    def money(self) -> Money | None:
        """Reckon the account's money from what the day began with; None where a rate or price is missing."""
        if self.opening is None:
            return None
        prices = {symbol: tick.last_price for symbol, (tick, _) in self.ticks.items() if tick.HasField("last_price")}
        return reckon(self.opening, self.portfolio.positions, self.working(), self.terms, prices)

    def working(self) -> list[pb.Order]:
        """Give the orders that may still trade: one of an earlier day whose end we never heard of cannot."""
        return self.book.working_on(self.trading_day)

    def positions(self) -> list[pb.Position]:
        """Give every position side."""
        return self.portfolio.messages(self.working(), self.terms, self.trading_day)

    def snapshot(self) -> Changes:
        """Give the state as it is: the day's orders and trades, the positions, the money, and what is allowed."""
        account = [self.account] if self.account else []
        orders, trades = self.book.orders.values(), self.book.trades.values()
        return [*orders, *trades, *self.positions(), *account, self.limits, self.state]

    # What is sent.

    def name(self, order: pb.Order, now: Timestamp) -> None:
        """Give an order that passed the checks its names and its place in the book."""
        self._order_ref += 1
        order.account_id = self.account_id
        order.trading_day = self.trading_day
        order.front_id, order.session_id, _ = self.session
        order.order_ref = str(self._order_ref)
        order.create_time.CopyFrom(now)
        order.update_time.CopyFrom(now)
        self.book.add(order)

    def objection(self, order: pb.Order) -> str:
        """Say what forbids to send an order that is on disk by now; empty where nothing does."""
        if self.readiness != pb.READINESS_READY or (order.front_id, order.session_id) != self.session[:2]:
            return "not sent: the link broke"
        halted = self.state.state == pb.TRADING_STATE_HALTED
        if halted or (self.state.state == pb.TRADING_STATE_REDUCING and order.offset == pb.OFFSET_OPEN):
            return "not sent: trading was stopped"
        return ""

    def sent(self, order: pb.Order, code: int, request_id: int, now: Timestamp) -> Changes:
        """Note what the library said to an order: 0 means that it is on its way."""
        self._requests[request_id] = order.client_order_id
        return self.refuse(order, code, f"not sent: the CTP library returned {code}", now) if code else []

    def refuse(self, order: pb.Order, error_id: int, text: str, now: Timestamp) -> Changes:
        """Note that an order was refused or not sent."""
        return self.changed(self.book.refuse(order, error_id, text, now))
