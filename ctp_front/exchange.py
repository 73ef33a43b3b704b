"""The simulated exchange: what becomes of an order, a cancel, a snapshot and the end of a day.

It is pure: time comes in with each call, and what the sessions are to hear comes back as a list of
reports, in the order CTP reports them. Each step that the exchange makes is told as the state
before it and the state after it, and a trade comes last (`u n` rests, `u u f T` fills at once).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ctp_front import refusals
from ctp_front.account import Account, Money
from ctp_front.book import Book, Fill
from ctp_front.depth import Depth, exists
from ctp_front.instrument import Instrument
from ctp_front.order_index import OrderIndex
from ctp_front.orders import (
    ALL_TRADED,
    BUY,
    CANCELLED,
    INSERT_REJECTED,
    NOT_TRADED,
    PART_TRADED,
    SELL,
    CancelRequest,
    Moment,
    Order,
    OrderRequest,
    Report,
    SessionKey,
    Trade,
)

_DELETE = "0"


class Exchange:
    """The books of one trading day."""

    def __init__(self, trading_day: str, initial_balance: float) -> None:
        self.trading_day = trading_day
        self.initial_balance = initial_balance
        self.instruments: dict[str, Instrument] = {}
        self.books: dict[str, Book] = {}
        self.accounts: dict[str, Account] = {}
        self.orders = OrderIndex()
        self.trades: list[Trade] = []

    # What is traded, and who trades.

    def list_instrument(self, instrument: Instrument) -> None:
        """Begin to trade a contract."""
        self.instruments.setdefault(instrument.symbol, instrument)
        self.books.setdefault(instrument.symbol, Book())

    def account(self, account_id: str) -> Account:
        """Give an investor's account; a new one begins with the initial balance."""
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(account_id, self.initial_balance)
        return self.accounts[account_id]

    def last(self, symbol: str) -> float | None:
        """Give a contract's last price."""
        return self.books[symbol].last

    def money(self, account: Account) -> Money:
        """Count an account's money at the market's prices."""
        return account.money(self.instruments.__getitem__, self.last)

    # What sessions and the market do.

    def insert(self, session: SessionKey, request: OrderRequest, now: Moment) -> list[Report]:
        """Take an order; raises Refusal where CTP does not pass it on to the exchange."""
        account = self.account(session.account_id)
        if account.confirmed != self.trading_day:
            raise refusals.not_confirmed()
        instrument = self._instrument(request)
        refusals.check_fields(request)
        account.check(instrument, request, lambda: self.money(account).available)
        unknown = self._new_order(session, request, now)
        objection = refusals.exchange_objection(instrument, request.price, self.books[request.symbol].depth)
        if objection is None:
            return [unknown, *self._enter(account, instrument, unknown, now)]
        refused = replace(
            unknown, status=CANCELLED, submit_status=INSERT_REJECTED, message=objection, update_time=now.time
        )
        return [unknown, self.orders.keep(refused)]

    def cancel(self, account_id: str, request: CancelRequest, user_id: str, now: Moment) -> list[Report]:
        """Cancel what rests of an order; raises Refusal where there is no such order, or it is final."""
        order = self.orders.find(request)
        if order is None or order.account_id != account_id:
            raise refusals.order_not_found()
        if request.action != _DELETE:
            raise refusals.unsupported()
        if not order.working:
            raise refusals.order_is_final()
        return self._cancelled(order, now, user_id)

    def apply(self, depth: Depth) -> list[Report]:
        """Take a snapshot: it may fill what rests."""
        book = self.books[depth.symbol]
        book.show(depth)
        if book.is_empty:
            return []
        now = Moment(depth.action_day, depth.update_time, depth.update_millisec)
        reports: list[Report] = []
        for direction in (BUY, SELL):
            for number in book.queue(direction):
                order = self.orders[number]
                volume = book.fill_resting(order)
                if not volume:  # then there is nothing for those behind it
                    break
                reports += self._fill(order, Fill(order.price, volume), now)
        return reports

    def expire(self, now: Moment) -> list[Report]:
        """End what rests: an order is good for its day only."""
        reports: list[Report] = []
        for book in self.books.values():
            for number in book.queue(BUY) + book.queue(SELL):
                reports += self._cancelled(self.orders[number], now, "")
        return reports

    def settle(self, next_day: str, settlements: Mapping[str, float]) -> None:
        """End the trading day and begin the next; `settlements` has the prices that are known."""

        def settlement(symbol: str) -> float | None:
            return settlements.get(symbol) or self._settlement(symbol)

        for account in self.accounts.values():
            account.settle(self.instruments.__getitem__, settlement)
        self.trading_day = next_day
        self.orders.clear()
        self.trades.clear()

    def restore(self, orders: Iterable[Order], trades: Iterable[Trade]) -> None:
        """Take up a day again where it was left: accounts are as the day began, and trades are booked again."""
        for order in orders:
            self.orders.keep(order)
            if order.working:
                self.account(order.account_id).freeze(self.instruments[order.symbol], order, order.rest)
                self.books[order.symbol].rest(order)
        for trade in trades:
            self.trades.append(trade)
            self.account(trade.account_id).book(self.instruments[trade.symbol], trade)

    # Steps of an order's life.

    def _enter(self, account: Account, instrument: Instrument, unknown: Order, now: Moment) -> list[Report]:
        order = replace(unknown, sys_id=self.orders.next_sys_id(), update_time=now.time)
        account.freeze(instrument, order, order.volume)
        self.orders.keep(order)
        book = self.books[order.symbol]
        fills = book.take(order.direction, order.price, order.volume)
        reports: list[Report] = []
        if sum(fill.volume for fill in fills) < order.volume:
            order = self.orders.keep(order.to(NOT_TRADED))
            reports.append(order)
        for fill in fills:
            reports += self._fill(order, fill, now, resting=False)
            order = self.orders[order.number]
        if order.working:
            book.rest(order)
        return reports

    def _fill(self, order: Order, fill: Fill, now: Moment, *, resting: bool = True) -> list[Report]:
        done = order.traded + fill.volume == order.volume
        if done and resting:
            self.books[order.symbol].remove(order)
        after = self.orders.keep(
            order.to(ALL_TRADED if done else PART_TRADED, traded=order.traded + fill.volume, update_time=now.time)
        )
        trade = self._trade(order, fill, now)
        account, instrument = self.accounts[order.account_id], self.instruments[order.symbol]
        account.freeze(instrument, order, -fill.volume)
        account.book(instrument, trade)
        return [order, after, trade]

    def _trade(self, order: Order, fill: Fill, now: Moment) -> Trade:
        trade = Trade(
            account_id=order.account_id,
            order_ref=order.order_ref,
            user_id=order.user_id,
            order_number=order.number,
            order_sys_id=order.sys_id,
            symbol=order.symbol,
            exchange=order.exchange,
            direction=order.direction,
            offset=order.offset,
            hedge=order.hedge,
            price=fill.price,
            volume=fill.volume,
            number=len(self.trades) + 1,
            trading_day=self.trading_day,
            day=now.day,
            time=now.time,
        )
        self.trades.append(trade)
        return trade

    def _cancelled(self, order: Order, now: Moment, user_id: str) -> list[Report]:
        self.books[order.symbol].remove(order)
        self.accounts[order.account_id].freeze(self.instruments[order.symbol], order, -order.rest)
        after = order.to(CANCELLED, update_time=now.time, cancel_time=now.time, cancelled_by=user_id)
        return [order, self.orders.keep(after)]

    # How orders are found.

    def _instrument(self, request: OrderRequest) -> Instrument:
        instrument = self.instruments.get(request.symbol)
        if instrument is None or request.exchange not in ("", instrument.product.exchange):
            raise refusals.unknown_instrument()
        return instrument

    def _new_order(self, session: SessionKey, request: OrderRequest, now: Moment) -> Order:
        return self.orders.keep(
            Order(
                account_id=session.account_id,
                front_id=session.front_id,
                session_id=session.session_id,
                order_ref=request.order_ref,
                user_id=request.user_id,
                symbol=request.symbol,
                exchange=self.instruments[request.symbol].product.exchange,
                direction=request.direction,
                offset=request.offset,
                hedge=request.hedge,
                price=request.price,
                volume=request.volume,
                memo=request.memo,
                request_id=request.request_id,
                trading_day=self.trading_day,
                number=self.orders.next_number(),
                insert_day=now.day,
                insert_time=now.time,
            )
        )

    def _settlement(self, symbol: str) -> float | None:
        depth = self.books[symbol].depth
        if depth is None:
            return None
        return depth.settlement if exists(depth.settlement) else self.last(symbol)
