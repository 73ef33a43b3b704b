"""The order book of record: what is known of each order, and the state that follows from it.

Reports may come twice, late, or in any order. So nothing is done "on" a report: each only adds to
what is known (the furthest status, the highest count, the set of trades), and the state is
derived from that. A report that adds nothing is no event.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.reports import OrderReport, SessionKey

FINAL = frozenset({pb.ORDER_STATE_FILLED, pb.ORDER_STATE_CANCELLED, pb.ORDER_STATE_REJECTED})
EXTERNAL_PREFIX = "EXT."

# How far each of CTP's OrderStatus characters is along an order's life. A report that is further
# back than one we have is an old one, repeated.
_RANK = {"": 0, "a": 1, "3": 2, "1": 3, "0": 4, "2": 4, "4": 4, "5": 4}
_CLOSED = frozenset("245")
_WORKING = {
    "": pb.ORDER_STATE_PENDING_NEW,
    "a": pb.ORDER_STATE_SUBMITTED,
    "3": pb.ORDER_STATE_ACCEPTED,
    "1": pb.ORDER_STATE_PARTIALLY_FILLED,
}
_INSERT_REJECTED = "4"
_CANCEL_REJECTED = "5"

TradeKey = tuple[str, str, str, int]


def memo_of(client_order_id: str) -> str:
    """Give the 12 characters that carry our id through CTP (OrderMemo) and find the order again."""
    return base64.b32encode(hashlib.sha256(client_order_id.encode()).digest())[:12].decode()


def trade_key(trade: pb.Trade) -> TradeKey:
    """Give what names a trade: ids repeat from day to day, and in the two sides of a self-trade."""
    return trade.trading_day, trade.exchange, trade.trade_id, trade.direction


def derive(order: pb.Order) -> pb.OrderState.ValueType:
    """Give the state that follows from what is known of an order that was not refused."""
    if order.filled_volume >= order.volume:
        return pb.ORDER_STATE_FILLED
    status = order.venue_status
    # At SHFE the cancel of a part-filled order comes before its trades: it is not over before them.
    if status in _CLOSED and order.filled_volume >= order.reported_volume:
        return pb.ORDER_STATE_CANCELLED
    if status == "0" or status in _CLOSED or order.filled_volume:
        return pb.ORDER_STATE_PARTIALLY_FILLED if order.filled_volume else pb.ORDER_STATE_ACCEPTED
    return _WORKING[status]


class OrderBook:
    """Every order of the trading day, and every older one that is not final."""

    def __init__(self) -> None:
        self.orders: dict[str, pb.Order] = {}
        self.trades: dict[TradeKey, pb.Trade] = {}
        self._by_session: dict[SessionKey, str] = {}
        self._by_sys_id: dict[tuple[str, str], str] = {}
        self._by_memo: dict[str, str] = {}
        self._orphans: dict[TradeKey, pb.Trade] = {}

    def add(self, order: pb.Order) -> None:
        """Take in an order: a new intent, or one from the journal."""
        self.orders[order.client_order_id] = order
        self._by_memo[memo_of(order.client_order_id)] = order.client_order_id
        self._index(order)

    def add_trade(self, trade: pb.Trade) -> None:
        """Take in a trade from the journal; its order has counted it already."""
        self.trades[trade_key(trade)] = trade

    def _index(self, order: pb.Order) -> None:
        if order.order_ref:
            self._by_session[SessionKey(order.front_id, order.session_id, order.order_ref)] = order.client_order_id
        if order.order_sys_id:
            self._by_sys_id[order.exchange, order.order_sys_id.strip()] = order.client_order_id

    def begin_day(self, trading_day: str) -> None:
        """Forget the final orders and the trades of earlier days; ids of a session repeat."""
        self.trades = {key: trade for key, trade in self.trades.items() if trade.trading_day == trading_day}
        kept = [one for one in self.orders.values() if one.trading_day == trading_day or one.state not in FINAL]
        self.orders, self._by_memo, self._by_session, self._by_sys_id = {}, {}, {}, {}
        for order in kept:
            self.orders[order.client_order_id] = order
            self._by_memo[memo_of(order.client_order_id)] = order.client_order_id
            if order.trading_day == trading_day:
                self._index(order)

    def working(self) -> Iterator[pb.Order]:
        """Give the orders that are not final."""
        return (order for order in self.orders.values() if order.state not in FINAL)

    def find(self, session: SessionKey | None, exchange: str, order_sys_id: str, memo: str) -> pb.Order | None:
        """Find the order that a callback speaks of, by the surest name it gives."""
        known = self._by_sys_id.get((exchange, order_sys_id.strip())) if order_sys_id.strip() else None
        known = known or self._by_memo.get(memo)
        if known is None and session is not None:
            known = self._by_session.get(session)
        return self.orders[known] if known else None

    def apply(self, report: OrderReport, now: Timestamp) -> list[pb.Order | pb.Trade]:
        """Add what a report says; give the order if that changed it, and trades that waited for it."""
        order = self.find(report.session, report.exchange, report.order_sys_id, report.memo)
        before = pb.Order()
        if order is None:
            order = self._adopt(report, now)
        else:
            before.CopyFrom(order)
        further = _RANK[report.status] >= _RANK[order.venue_status]
        order.reported_volume = max(order.reported_volume, report.traded)
        order.order_sys_id = order.order_sys_id or report.order_sys_id
        order.exchange = order.exchange or report.exchange
        if further:
            order.venue_status = report.status
            order.status_text = report.text
        self._index(order)
        refused = report.submit_status == _INSERT_REJECTED and report.status in _CLOSED
        cancelling = order.state == pb.ORDER_STATE_PENDING_CANCEL and report.submit_status != _CANCEL_REJECTED
        self._settle(order, refused=refused, cancelling=cancelling)
        changed: list[pb.Order | pb.Trade] = []
        for trade in self._waiting(order):
            changed.extend(self._book(trade, order))
        if order != before:
            order.update_time.CopyFrom(now)
            changed.insert(0, order)
        return changed

    def _adopt(self, report: OrderReport, now: Timestamp) -> pb.Order:
        """Take in an order of another terminal."""
        order = pb.Order()
        order.CopyFrom(report.order)
        order.client_order_id = f"{EXTERNAL_PREFIX}{order.trading_day}.{'.'.join(map(str, report.session))}"
        order.external = True
        order.create_time.CopyFrom(now)
        self.add(order)
        return order

    def _settle(self, order: pb.Order, *, refused: bool = False, cancelling: bool = False) -> None:
        """Set the state from what is known; a final state stays."""
        if order.state in FINAL:
            return
        state = pb.ORDER_STATE_REJECTED if refused else derive(order)
        order.state = pb.ORDER_STATE_PENDING_CANCEL if cancelling and state not in FINAL else state

    def trade(self, trade: pb.Trade, now: Timestamp) -> list[pb.Order | pb.Trade]:
        """Add a trade once; give it and its order, or nothing while that order is not known yet."""
        key = trade_key(trade)
        if key in self.trades:
            return []
        order = self.find(None, trade.exchange, trade.order_sys_id, "")
        if order is None:
            self._orphans[key] = trade
            return []
        changed = self._book(trade, order)
        order.update_time.CopyFrom(now)
        return [order, *changed]

    def _waiting(self, order: pb.Order) -> list[pb.Trade]:
        name = order.exchange, order.order_sys_id.strip()
        found = [key for key, one in self._orphans.items() if (one.exchange, one.order_sys_id.strip()) == name]
        return [self._orphans.pop(key) for key in found if name[1]]

    def book_orphans(self) -> list[pb.Trade]:
        """Book the trades whose order even a complete query of all orders did not show."""
        orphans = list(self._orphans.values())
        self._orphans.clear()
        for trade in orphans:
            self.trades[trade_key(trade)] = trade
        return orphans

    def _book(self, trade: pb.Trade, order: pb.Order) -> list[pb.Trade]:
        trade.client_order_id = order.client_order_id
        self.trades[trade_key(trade)] = trade
        total = order.average_price * order.filled_volume + trade.price * trade.volume
        order.filled_volume += trade.volume
        order.average_price = total / order.filled_volume
        self._settle(order, cancelling=order.state == pb.ORDER_STATE_PENDING_CANCEL)
        return [trade]

    def refuse(self, order: pb.Order, error_id: int, text: str, now: Timestamp) -> list[pb.Order]:
        """Note that CTP or the exchange refused an order, or that it was never sent."""
        if order.state in FINAL:
            return []
        order.state = pb.ORDER_STATE_REJECTED
        order.error_id = error_id
        order.status_text = text
        order.update_time.CopyFrom(now)
        return [order]

    def cancel_sent(self, order: pb.Order, now: Timestamp) -> None:
        """Note that a cancel is on its way."""
        order.state = pb.ORDER_STATE_PENDING_CANCEL
        order.update_time.CopyFrom(now)

    def cancel_refused(self, order: pb.Order, text: str, now: Timestamp) -> list[pb.Order]:
        """Note that the cancel was refused: the order is what it was before it."""
        if order.state != pb.ORDER_STATE_PENDING_CANCEL:
            return []
        self._settle(order)
        order.status_text = text
        order.update_time.CopyFrom(now)
        return [order]

    def lose_link(self, now: Timestamp) -> list[pb.Order]:
        """Note that the link broke: what no answer has come for may be at the exchange or not."""
        lost = [order for order in self.working() if order.venue_status in ("", "a")]
        return self._unknown(lost, "the link broke before the exchange answered", now)

    def resolve(self, trading_day: str, session: SessionKey, now: Timestamp) -> list[pb.Order]:
        """Settle what is unknown after a complete query of all orders, made in `session`.

        An order of this day and of an earlier session that no report speaks of was never sent: the
        session that could have sent it is over. One of an earlier day cannot be asked about any more.
        """
        changed = []
        for order in list(self.working()):
            own = (order.front_id, order.session_id) == session[:2]
            if order.trading_day != trading_day:
                changed += self._unknown([order], "the trading day ended without a last report", now)
            elif not order.venue_status and not own:
                changed += self.refuse(order, 0, "never reached CTP: a later session does not have it", now)
        return changed

    def _unknown(self, orders: Iterable[pb.Order], text: str, now: Timestamp) -> list[pb.Order]:
        changed = [order for order in orders if order.state != pb.ORDER_STATE_UNKNOWN]
        for order in changed:
            order.state = pb.ORDER_STATE_UNKNOWN
            order.status_text = text
            order.update_time.CopyFrom(now)
        return changed
