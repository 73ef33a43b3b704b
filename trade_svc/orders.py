"""The order book of record: what is known of each order, and the state that follows from it.

Reports may come twice, late, or in any order. So nothing is done "on" a report: each only adds to
what is known (the furthest status, the highest count, the set of trades, whether it was refused),
and the state is derived from that. A report that adds nothing is no event.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.reports import OrderReport, SessionKey

FINAL = frozenset({pb.ORDER_STATE_FILLED, pb.ORDER_STATE_CANCELLED, pb.ORDER_STATE_REJECTED})
EXTERNAL_PREFIX = "EXT."
# What does not rest: it fills at once, or is cancelled by the exchange.
AT_ONCE = frozenset({pb.ORDER_TYPE_FAK, pb.ORDER_TYPE_FOK, pb.ORDER_TYPE_MARKET})

# How far each of CTP's OrderStatus characters is along an order's life. A report that is further
# back than one we have is an old one, repeated. From _AT_EXCHANGE on the exchange has the order.
_RANK = {"": 0, "a": 1, "b": 1, "3": 2, "1": 3, "0": 4, "2": 4, "4": 4, "5": 4, "c": 4}
_AT_EXCHANGE = 2
# CTP has it, the exchange does not yet.
TAKEN = "a"
# A condition order of another terminal: at CTP it waits for its price (b), and then makes an order of
# its own number (c).
_WAITS = "b"
_CLOSED = frozenset("245c")
# The state of an order that is neither complete nor refused, by its furthest status.
_STATES = {
    "": pb.ORDER_STATE_PENDING_NEW,
    "a": pb.ORDER_STATE_SUBMITTED,
    _WAITS: pb.ORDER_STATE_SUBMITTED,
    "3": pb.ORDER_STATE_ACCEPTED,
    "1": pb.ORDER_STATE_PARTIALLY_FILLED,
    "0": pb.ORDER_STATE_ACCEPTED,  # all traded, but its trades are not here yet
    # Cancelled, but the trades of what it filled are not here yet: at SHFE they come after it.
    "2": pb.ORDER_STATE_ACCEPTED,
    "4": pb.ORDER_STATE_ACCEPTED,
    "5": pb.ORDER_STATE_ACCEPTED,
    "c": pb.ORDER_STATE_ACCEPTED,
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


def at_exchange(order: pb.Order) -> bool:
    """Tell whether the exchange itself has spoken of an order."""
    return bool(_RANK[order.venue_status] >= _AT_EXCHANGE or order.filled_volume)


def derive(order: pb.Order) -> pb.OrderState.ValueType:
    """Give the state that follows from what is known of an order."""
    if 0 < order.volume <= order.filled_volume:
        return pb.ORDER_STATE_FILLED
    # What the exchange has was not refused, whatever an answer said that it belies.
    if order.refused and not at_exchange(order):
        return pb.ORDER_STATE_REJECTED
    if order.venue_status in _CLOSED and order.filled_volume >= order.reported_volume:
        return pb.ORDER_STATE_CANCELLED
    return pb.ORDER_STATE_PARTIALLY_FILLED if order.filled_volume else _STATES[order.venue_status]


class OrderBook:
    """Every order of the trading day, and every older one that is not final."""

    def __init__(self) -> None:
        self.orders: dict[str, pb.Order] = {}
        self.trades: dict[TradeKey, pb.Trade] = {}
        self._by_session: dict[SessionKey, str] = {}
        self._by_sys_id: dict[tuple[str, str], str] = {}
        self._by_memo: dict[str, str] = {}
        self._orphans: dict[TradeKey, pb.Trade] = {}
        self._open: dict[str, pb.Order] = {}

    def add(self, order: pb.Order, *, named: bool = True) -> None:
        """Take in an order: a new intent, or one from the journal; `named` if CTP's names of it hold."""
        self.orders[order.client_order_id] = order
        self._by_memo[memo_of(order.client_order_id)] = order.client_order_id
        self._open[order.client_order_id] = order
        if named:
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
        self.orders, self._by_memo, self._by_session, self._by_sys_id, self._open = {}, {}, {}, {}, {}
        for order in kept:
            self.add(order, named=order.trading_day == trading_day)

    def working(self) -> Iterator[pb.Order]:
        """Give the orders that are not final, in the order they came."""
        for name, order in list(self._open.items()):
            if order.state in FINAL:
                del self._open[name]
            else:
                yield order

    def working_on(self, trading_day: str) -> list[pb.Order]:
        """Give the orders that may still trade on a day: an order is good for its own day only."""
        return [order for order in self.working() if order.trading_day == trading_day]

    def find(self, session: SessionKey | None, exchange: str, order_sys_id: str, memo: str) -> pb.Order | None:
        """Find the order that a callback speaks of, by the surest name it gives."""
        known = self._by_sys_id.get((exchange, order_sys_id.strip())) if order_sys_id.strip() else None
        known = known or self._by_memo.get(memo)
        if known is None and session is not None:
            known = self._by_session.get(session)
            # A flow clear at CTP gives the names of a session anew: then the memo is another one's.
            if known and memo and memo != memo_of(known):
                known = None
        return self.orders[known] if known else None

    def apply(self, report: OrderReport, now: Timestamp) -> list[pb.Order | pb.Trade]:
        """Add what a report says; give the order if that changed it, and trades that waited for it."""
        order = self.find(report.session, report.exchange, report.order_sys_id, report.memo)
        before = pb.Order()
        if order is None:
            order = self._adopt(report, now)
        else:
            before.CopyFrom(order)
        _add(report, order)
        if order.state == pb.ORDER_STATE_UNKNOWN and _facts(order) == _facts(before):
            order.CopyFrom(before)  # what is told again answers nothing
            return []
        self._index(order)
        changed: list[pb.Order | pb.Trade] = []
        for trade in self._waiting(order):
            changed += self._book(trade, order)
        pending = order.state == pb.ORDER_STATE_PENDING_CANCEL and report.submit_status != _CANCEL_REJECTED
        self._settle(order, overlay=pb.ORDER_STATE_PENDING_CANCEL if pending else None)
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
        pending = order.state == pb.ORDER_STATE_PENDING_CANCEL
        self._settle(order, overlay=pb.ORDER_STATE_PENDING_CANCEL if pending else None)
        return [trade]

    def _settle(self, order: pb.Order, *, overlay: pb.OrderState.ValueType | None = None) -> None:
        """Set the state from what is known; `overlay` is what we did about it, while it works."""
        state = derive(order)
        order.state = state if overlay is None or state in FINAL else overlay
        if state not in FINAL:
            self._open[order.client_order_id] = order

    def refuse(self, order: pb.Order, error_id: int, text: str, now: Timestamp) -> list[pb.Order]:
        """Note that CTP or the exchange refused an order, or that it was never sent."""
        if order.refused or at_exchange(order):
            return []
        order.refused = True
        order.error_id = error_id
        order.status_text = text
        order.update_time.CopyFrom(now)
        self._settle(order)
        return [order]

    def cancel_sent(self, order: pb.Order, now: Timestamp) -> None:
        """Note that a cancel is on its way."""
        order.state = pb.ORDER_STATE_PENDING_CANCEL
        order.cancel_time.CopyFrom(now)
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
        changed: list[pb.Order] = []
        for order in list(self.working()):
            if not at_exchange(order) and order.venue_status != _WAITS:
                changed += _unknown(order, "the link broke before the exchange answered", now)
            elif order.state == pb.ORDER_STATE_PENDING_CANCEL:
                # Whether the cancel arrived shows in what is reported next; it may be asked again.
                changed += self.cancel_refused(order, "the link broke before the cancel was answered", now)
        return changed

    def overdue(self, before: Timestamp, now: Timestamp) -> list[pb.Order]:
        """Note that no answer came for what was sent before a time: CTP may never give one."""
        late = [
            order
            for order in self.working()
            if order.state in (pb.ORDER_STATE_PENDING_NEW, pb.ORDER_STATE_SUBMITTED)
            and order.venue_status != _WAITS
            and order.create_time.ToNanoseconds() < before.ToNanoseconds()
        ]
        return [changed for order in late for changed in _unknown(order, "no answer came for long", now)]

    def resolve(self, trading_day: str, session: SessionKey, now: Timestamp) -> list[pb.Order]:
        """Settle what is unknown after a complete query of all orders, made in `session`.

        An order of this day and of an earlier session that no report speaks of was never sent: the
        session that could have sent it is over. One of an earlier day cannot be asked about any more.
        """
        changed: list[pb.Order] = []
        for order in list(self.working()):
            own = (order.front_id, order.session_id) == session[:2]
            if order.trading_day != trading_day:
                changed += _unknown(order, "the trading day ended without a last report", now)
            elif not order.venue_status and not own:
                changed += self.refuse(order, 0, "never reached CTP: a later session does not have it", now)
        return changed


def _add(report: OrderReport, order: pb.Order) -> None:
    """Add what a report says to what is known of its order."""
    order.reported_volume = max(order.reported_volume, report.traded)
    order.order_sys_id = order.order_sys_id or report.order_sys_id
    order.exchange = order.exchange or report.exchange
    # An order that left at the end of a day may be taken for the next: CTP's day is the right one.
    order.trading_day = max(order.trading_day, report.order.trading_day)
    if report.submit_status == _INSERT_REJECTED and report.status in _CLOSED:
        # The exchange never had it: this is no step of an order's life.
        if not order.refused:
            order.refused, order.status_text = True, report.text
        return
    order.cancelled_by = order.cancelled_by or report.cancelled_by
    if _RANK.get(report.status, 0) >= _RANK[order.venue_status] and report.status in _RANK:
        order.venue_status, order.status_text = report.status, report.text


def _facts(order: pb.Order) -> tuple[object, ...]:
    """Give what is known of an order but for its trades."""
    return order.venue_status, order.reported_volume, order.refused, order.order_sys_id, order.trading_day


def _unknown(order: pb.Order, text: str, now: Timestamp) -> Iterable[pb.Order]:
    if order.state == pb.ORDER_STATE_UNKNOWN:
        return []
    order.state = pb.ORDER_STATE_UNKNOWN
    order.status_text = text
    order.update_time.CopyFrom(now)
    return [order]
