"""The simulated exchange: what becomes of an order, a cancel, a snapshot and the end of a day.

It is pure: time comes in with each call, and what the sessions are to hear comes back as a list of
reports, in the order CTP reports them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ctp_front import refusals
from ctp_front.account import Account, Money
from ctp_front.book import Book
from ctp_front.depth import Depth, exists
from ctp_front.hours import AUCTION_MATCH, AUCTION_ORDERING, CONTINUOUS
from ctp_front.instrument import Instrument
from ctp_front.matching import Matching
from ctp_front.orders import (
    BUY,
    CANCELLED,
    INSERT_REJECTED,
    OPEN,
    SELL,
    CancelRequest,
    Moment,
    Order,
    OrderRequest,
    Report,
    SessionKey,
    Trade,
)
from ctp_front.position import side_of

_DELETE = "0"


class Exchange(Matching):
    """The exchange of one trading day: who trades there, and what they and the market do."""

    def __init__(self, trading_day: str, initial_balance: float, position_limit: int = 0) -> None:
        """Begin a day; a position limit is lots that may be held on one side of a contract, 0 any number."""
        super().__init__(trading_day)
        self.initial_balance = initial_balance
        self.position_limit = position_limit

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
        self._check_limit(account, request)
        unknown = self._new_order(session, request, now)
        status = self.status(instrument.product.name)
        objection = refusals.exchange_objection(instrument, request, status, self.books[request.symbol].depth)
        if objection is None:
            return [unknown, *self.enter(unknown, now)]
        refused = replace(
            unknown,
            status=CANCELLED,
            submit_status=INSERT_REJECTED,
            message=f"已撤单报单被拒绝{objection.text}",
            error_id=objection.error_id,
            update_time=now.time,
        )
        return [unknown, self.orders.keep(refused)]

    def cancel(self, account_id: str, request: CancelRequest, user_id: str, now: Moment) -> list[Report]:
        """Cancel what rests of an order; raises Refusal where there is none, it is final, or nobody trades now."""
        order = self.orders.find(request)
        if order is None or order.account_id != account_id:
            raise refusals.order_not_found()
        if request.action != _DELETE:
            raise refusals.unsupported()
        if not order.working:
            raise refusals.order_is_final()
        if self.status_of(order.symbol) not in (CONTINUOUS, AUCTION_ORDERING):
            raise refusals.closed(order.exchange)
        return self.cancelled(order, now, user_id)

    def apply(self, depth: Depth) -> list[Report]:
        """Take a snapshot: it may fill what rests, unless the product does not trade."""
        book = self.books[depth.symbol]
        book.show(depth)
        status = self.status_of(depth.symbol)
        if book.is_empty or status not in (CONTINUOUS, AUCTION_MATCH):
            return []
        match = book.auction if status == AUCTION_MATCH else book.fill_resting
        now = Moment(depth.action_day, depth.update_time, depth.update_millisec)
        reports: list[Report] = []
        for direction in (BUY, SELL):
            for number in book.queue(direction):
                order = self.orders[number]
                fill = match(order)
                if fill is None:  # then there is nothing for those behind it
                    break
                reports += self.fill(order, fill, now)
        return reports

    def expire(self, now: Moment) -> list[Report]:
        """End what rests: an order is good for its day only."""
        reports: list[Report] = []
        for book in self.books.values():
            for number in book.queue(BUY) + book.queue(SELL):
                reports += self.cancelled(self.orders[number], now, "")
        return reports

    def settle(self, next_day: str, settlements: Mapping[str, float]) -> None:
        """End the trading day and begin the next; `settlements` has the prices that are known."""

        def settlement(symbol: str) -> float | None:
            return settlements.get(symbol) or self._settlement(symbol)

        for account in self.accounts.values():
            account.settle(self.instruments.__getitem__, settlement)
        for symbol, book in self.books.items():
            # Queries ask for it before the new day shows a price.
            if book.depth is not None and (price := settlement(symbol)):
                book.depth = book.depth._replace(pre_settlement=price)
        self.trading_day = next_day
        self.orders.clear()
        self.trades.clear()

    def rename_orders(self, front_id: int, session_id: int) -> list[Report]:
        """Give all orders to one new session, as CTP does when it clears its flow, and give them and the trades."""
        self.orders.forget_references()
        for order in list(self.orders):
            renamed = replace(order, front_id=front_id, session_id=session_id, order_ref=str(order.number))
            self.orders.keep(replace(renamed, request_id=0))
        self.trades = [replace(trade, order_ref=str(trade.order_number)) for trade in self.trades]
        return [*self.orders, *self.trades]

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

    # How orders are found.

    def _instrument(self, request: OrderRequest) -> Instrument:
        instrument = self.instruments.get(request.symbol)
        if instrument is None or request.exchange not in ("", instrument.product.exchange):
            raise refusals.unknown_instrument()
        if instrument.has_expired(self.trading_day):
            raise refusals.not_trading()
        return instrument

    def _check_limit(self, account: Account, request: OrderRequest) -> None:
        """Raise the refusal of an order that could open more lots than the account may hold."""
        if not self.position_limit or request.offset != OPEN:
            return
        side = side_of(request.direction, OPEN)
        held = sum(lots.volume for key, lots in account.holdings.items() if key[:2] == (request.symbol, side))
        opening = (account.account_id, request.symbol, request.direction, OPEN)
        wanted = sum(
            order.rest
            for order in self.orders
            if order.working and (order.account_id, order.symbol, order.direction, order.offset) == opening
        )
        if held + wanted + request.volume > self.position_limit:
            raise refusals.position_limit()

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
                time_condition=request.time_condition,
                volume_condition=request.volume_condition,
                min_volume=request.min_volume,
            )
        )

    def _settlement(self, symbol: str) -> float | None:
        depth = self.books[symbol].depth
        if depth is None:
            return None
        return depth.settlement if exists(depth.settlement) else self.last(symbol)
