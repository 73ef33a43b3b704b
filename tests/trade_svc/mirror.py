"""The trade service's books of one account, kept from what the vendor's library told a session of it."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.ctp.errors import HANDSHAKE
from arbig.ctp.spi import Push, Row
from arbig.front.v1 import front_pb2 as front
from arbig.market.v1.market_pb2 import Tick
from arbig.trade.v1 import trade_pb2 as pb
from ctp_front.instrument import Product, from_symbol
from trade_svc.instruments import Instruments
from trade_svc.reconcile import BrokerBooks
from trade_svc.reports import (
    DIRECTION,
    OFFSET,
    account_message,
    detail_row,
    opening_money,
    opening_row,
    order_report,
    trade_message,
)
from trade_svc.terms import Opening, Rate, Terms
from trade_svc.trader import Login, Trader

# A callback: its name, its arguments, their records whole.
Told = dict[str, Any]
NOW = Timestamp(seconds=1)
CENT = 0.01
QUERIES = ("Order", "Trade", "InvestorPosition", "InvestorPositionDetail", "TradingAccount")
_CODES = {direction: code for code, direction in DIRECTION.items()}
# What an order has come to, by the exchange's OrderStatus.
ENDS = {
    "a": pb.ORDER_STATE_SUBMITTED,
    "3": pb.ORDER_STATE_ACCEPTED,
    "1": pb.ORDER_STATE_PARTIALLY_FILLED,
    "0": pb.ORDER_STATE_FILLED,
    "5": pb.ORDER_STATE_CANCELLED,
}


def push_of(told: Told) -> Push | None:
    """Give a callback as the trade service takes it in; None for what it asked for itself, or need not know."""
    name, args = told["event"], told["whole"]
    if name == "OnRtnInstrumentStatus":
        return None  # it moves no book
    if name.startswith("OnRtn"):
        return Push(name, args[0])
    if name.startswith("OnErrRtn"):
        return Push(name, args[0], args[1]["ErrorID"], args[1]["ErrorMsg"])
    if name in ("OnRspOrderInsert", "OnRspOrderAction"):
        return Push(name, args[0] or {}, args[1]["ErrorID"], args[1]["ErrorMsg"], args[2])
    if name == "OnRspError" and args[0]["ErrorID"] != HANDSHAKE:
        return Push(name, {}, args[0]["ErrorID"], args[0]["ErrorMsg"], args[1])
    return None


def terms_of(product: Product) -> Terms:
    """Give what the local front asks for a product's contracts."""
    return Terms(
        product.multiplier,
        Rate(product.margin_ratio, 0.0),
        Rate(product.margin_ratio, 0.0),
        Rate(0.0, product.open_fee),
        Rate(0.0, product.close_fee),
        Rate(0.0, product.close_today_fee),
        one_side=False,
        base_price=None,
    )


class Mirror:
    """The trader of an account that began the day with nothing but money."""

    def __init__(self, account_id: str, balance: float) -> None:
        self.trader = Trader(account_id, Instruments(epoch=1), pb.RiskLimits(account_id=account_id))
        self._balance = balance

    def begin(self, trading_day: str, front_id: int, session_id: int) -> None:
        """Note the first login, and that nothing is there yet."""
        self.log_in(trading_day, front_id, session_id)
        self._agree(BrokerBooks([], [], [], [], pb.Account(), Opening(self._balance, 0.0, 0.0)))

    def log_in(self, trading_day: str, front_id: int, session_id: int) -> None:
        """Note a login; what was known stays known, for the library goes on where it was."""
        loaded = self.trader.portfolio.loaded
        self.trader.end_session(NOW)
        self.trader.begin_session(Login(trading_day, front_id, session_id, 0))
        self.trader.portfolio.loaded = loaded

    def load(self, answers: dict[str, list[Row]]) -> None:
        """Take in what a session asks for after a login: the rows of each ReqQry."""
        (money,) = answers["TradingAccount"]
        books = BrokerBooks(
            orders=list(map(order_report, answers["Order"])),
            trades=list(map(trade_message, answers["Trade"])),
            details=list(map(detail_row, answers["InvestorPositionDetail"])),
            openings=list(map(opening_row, answers["InvestorPosition"])),
            account=account_message(money, NOW),
            opening=opening_money(money),
        )
        self._agree(books)

    def _agree(self, books: BrokerBooks) -> None:
        self.trader.agree(books, NOW)
        assert not self.trader.reconciliation.differences, self.trader.reconciliation

    def show(self, symbol: str, last: float) -> None:
        """Take in a price."""
        self.trader.terms[symbol] = terms_of(from_symbol(symbol, "20260101").product)
        self.trader.ticks[symbol] = Tick(symbol=symbol, last_price=last), 0

    def send(self, name: str, row: dict[str, Any], request_id: int) -> None:
        """Note an order that goes out, as what the library is given."""
        order = pb.Order(
            client_order_id=name,
            account_id=self.trader.account_id,
            symbol=row["InstrumentID"],
            exchange=row["ExchangeID"],
            direction=DIRECTION[row["Direction"]],
            offset=OFFSET[row["CombOffsetFlag"]],
            price=row["LimitPrice"],
            volume=row["VolumeTotalOriginal"],
            state=pb.ORDER_STATE_PENDING_NEW,
        )
        self.trader.name(order, NOW)
        order.order_ref = row["OrderRef"]
        self.trader.sent(order, 0, request_id, NOW)

    def hear(self, told: Told) -> None:
        """Take in a callback."""
        if push := push_of(told):
            self.trader.on_push(push, NOW)

    # What the exchange has.

    def disagreements(self, books: front.GetBooksResponse) -> list[str]:
        """Give where these books are not the exchange's."""
        return [*self._orders(books), *self._trades(books), *self._positions(books), *self._money(books.account)]

    def _orders(self, books: front.GetBooksResponse) -> Iterator[str]:
        theirs = {order.order_sys_id or order.session_key: order for order in books.orders}
        for mine in self.trader.book.orders.values():
            session_key = f"{mine.front_id}.{mine.session_id}.{mine.order_ref}"
            order = theirs.pop(mine.order_sys_id.strip() or session_key, None)
            ended = pb.ORDER_STATE_REJECTED if order is None or not order.order_sys_id else ENDS[order.status]
            if (mine.state, mine.filled_volume) != (ended, order.traded if order else 0):
                yield f"{mine.client_order_id}: ours {pb.OrderState.Name(mine.state)}, the exchange's {order}"
        if theirs:
            yield f"orders we do not know: {theirs}"

    def _trades(self, books: front.GetBooksResponse) -> Iterator[str]:
        day = self.trader.trading_day
        ours = sorted(
            (one.trade_id, _CODES[one.direction], one.price, one.volume)
            for one in self.trader.book.trades.values()
            if one.trading_day == day
        )
        theirs = sorted((one.trade_id, one.direction, one.price, one.volume) for one in books.trades)
        if ours != theirs:
            yield f"trades: ours {ours}, the exchange's {theirs}"

    def _positions(self, books: front.GetBooksResponse) -> Iterator[str]:
        names = {pb.POSITION_SIDE_LONG: "2", pb.POSITION_SIDE_SHORT: "3"}
        ours = {
            (one.symbol, names[one.side]): (one.today, one.yesterday, one.today_frozen + one.yesterday_frozen)
            for one in self.trader.positions()
        }
        theirs = {(one.symbol, one.side): (one.today, one.yesterday, one.frozen) for one in books.positions}
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key, (0, 0, 0)) != theirs.get(key, (0, 0, 0)):
                yield f"lots of {key}: ours {ours.get(key)}, the exchange's {theirs.get(key)}"

    def _money(self, account: front.BookAccount) -> Iterator[str]:
        money = self.trader.money()
        assert money is not None
        for name, mine in money._asdict().items():
            if abs(mine - getattr(account, name)) > CENT:
                yield f"{name}: ours {mine:.2f}, the exchange's {getattr(account, name):.2f}"
