"""How an order goes through its life: the steps that the exchange makes, and what they move in the books.

Each step gives the reports that the sessions are to hear, in the order CTP reports them. How a step
is told depends on the exchange: see `manners`.
"""

from dataclasses import replace

from ctp_front.account import Account
from ctp_front.book import Book, Fill
from ctp_front.hours import CONTINUOUS
from ctp_front.instrument import Instrument
from ctp_front.manners import MANNERS
from ctp_front.order_index import OrderIndex
from ctp_front.orders import ALL_TRADED, CANCELLED, CLOSE, NOT_TRADED, OPEN, PART_TRADED, Moment, Order, Report, Trade


class Matching:
    """The books of one trading day, and the steps of its orders."""

    def __init__(self, trading_day: str) -> None:
        self.trading_day = trading_day
        self.instruments: dict[str, Instrument] = {}
        self.books: dict[str, Book] = {}
        self.accounts: dict[str, Account] = {}
        self.orders = OrderIndex()
        self.trades: list[Trade] = []
        self._statuses: dict[str, str] = {}

    def status(self, product: str) -> str:
        """Give a product's InstrumentStatus; it trades unless somebody keeps its hours."""
        return self._statuses.get(product, CONTINUOUS)

    def set_status(self, product: str, status: str) -> None:
        """Open or close a product."""
        self._statuses[product] = status

    def status_of(self, symbol: str) -> str:
        """Give the status of a contract's product."""
        return self.status(self.instruments[symbol].product.name)

    # Steps of an order's life.

    def enter(self, unknown: Order, now: Moment) -> list[Report]:
        """Accept an order: it takes what it gets, and what is left rests or is cancelled."""
        order = self.orders.keep(replace(unknown, sys_id=self.orders.next_sys_id(), update_time=now.time))
        self.accounts[order.account_id].freeze(self.instruments[order.symbol], order, order.volume)
        manner = MANNERS[order.exchange]
        fills = self._take(order)
        is_filled = sum(fill.volume for fill in fills) == order.volume
        if order.is_immediate and not is_filled and manner.cancels_first:
            return self._cancel_then_fill(order, fills, now)
        reports: list[Report] = []
        if manner.says_not_traded or not is_filled:
            order = self.orders.keep(order.to(NOT_TRADED))
            reports.append(order)
        for fill in fills:
            reports += self.fill(order, fill, now, resting=False)
            order = self.orders[order.number]
        if order.working and order.is_immediate:
            reports.append(self._end(order, now))
        elif order.working:
            self.books[order.symbol].rest(order)
        return reports

    def _take(self, order: Order) -> list[Fill]:
        """Take what an incoming order gets at once: nothing in an auction, or where its minimum is not there."""
        book = self.books[order.symbol]
        if self.status_of(order.symbol) != CONTINUOUS or book.within(order.direction, order.price) < order.least:
            return []
        return book.take(order.direction, order.price, order.volume)

    def _cancel_then_fill(self, order: Order, fills: list[Fill], now: Moment) -> list[Report]:
        """Tell of a FAK as SHFE does: it is over, with all that it traded, before the trades come."""
        ended = self._end(order, now, traded=sum(fill.volume for fill in fills))
        reports: list[Report] = [ended]
        for fill in fills:
            reports += [ended, self._trade(order, fill, now)]
        return reports

    def fill(self, order: Order, fill: Fill, now: Moment, *, resting: bool = True) -> list[Report]:
        """Let an order trade."""
        done = order.traded + fill.volume == order.volume
        if done and resting:
            self.books[order.symbol].remove(order)
        after = self.orders.keep(
            order.to(ALL_TRADED if done else PART_TRADED, traded=order.traded + fill.volume, update_time=now.time)
        )
        trade = self._trade(order, fill, now)
        return [order, after, trade] if MANNERS[order.exchange].repeats_state else [after, trade]

    def _trade(self, order: Order, fill: Fill, now: Moment) -> Trade:
        """Book one fill."""
        account, instrument = self.accounts[order.account_id], self.instruments[order.symbol]
        # Where lots of all days are one, the exchange knows one way to close them.
        offset = order.offset if instrument.splits_days or order.offset == OPEN else CLOSE
        trade = Trade(
            account_id=order.account_id,
            order_ref=order.order_ref,
            user_id=order.user_id,
            order_number=order.number,
            order_sys_id=order.sys_id,
            symbol=order.symbol,
            exchange=order.exchange,
            direction=order.direction,
            offset=offset,
            hedge=order.hedge,
            price=fill.price,
            volume=fill.volume,
            number=len(self.trades) + 1,
            trading_day=self.trading_day,
            day=now.day,
            time=now.time,
        )
        self.trades.append(trade)
        account.freeze(instrument, order, -fill.volume)
        account.book(instrument, trade)
        return trade

    def cancelled(self, order: Order, now: Moment, user_id: str) -> list[Report]:
        """Cancel an order that rests."""
        self.books[order.symbol].remove(order)
        return [order, self._end(order, now, cancelled_by=user_id)]

    def _end(self, order: Order, now: Moment, *, traded: int | None = None, cancelled_by: str = "") -> Order:
        """Cancel what an order has not traded, and free what that froze."""
        traded = order.traded if traded is None else traded
        after = order.to(
            CANCELLED, traded=traded, update_time=now.time, cancel_time=now.time, cancelled_by=cancelled_by
        )
        self.accounts[order.account_id].freeze(self.instruments[order.symbol], order, -after.rest)
        return self.orders.keep(after)
