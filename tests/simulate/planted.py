"""Bugs that were planted on purpose, each of which the scenarios must find."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from arbig.errors import ArbigError
from arbig.trade.v1 import trade_pb2 as pb
from tests.simulate.world import World
from trade_svc import money, orders, positions
from trade_svc.orders import OrderBook
from trade_svc.positions import Holding, Positions
from trade_svc.trader import Trader
from trade_svc.trading import Trading

Plant = Callable[[], AbstractContextManager[Any]]


async def _send_first(self: Trading, asked: list[pb.Order]) -> None:
    self._check_ready()
    for order in asked:
        order.exchange = "SHFE"
        order.offset = pb.OFFSET_OPEN
        self.trader.name(order, self._clock.now())
        self._send(order)
    await self.keep(self.trader.changed(asked))


async def _answer_first(self: Trading, asked: list[pb.Order]) -> None:
    self._check_ready()
    for order in asked:
        order.exchange = "SHFE"
        order.offset = pb.OFFSET_OPEN
        self.trader.name(order, self._clock.now())
    self.keep(self.trader.changed(asked))


async def _known_in_memory(self: Trading, client_order_id: str) -> pb.Order | None:
    return self.trader.book.orders.get(client_order_id)


_agree = Trading.agree


async def _resend(self: Trading) -> pb.Reconciliation:
    for order in list(self.trader.book.working()):
        if order.state == pb.ORDER_STATE_UNKNOWN and not order.external:
            self._gateway.insert(order)
    return await _agree(self)


def _every_trade(self: OrderBook, trade: pb.Trade, now: Any) -> list[Any]:
    order = self.find(None, trade.exchange, trade.order_sys_id, "")
    return [order, *self._book(trade, order)] if order else []


def _wrong_lots(self: Holding, trade: pb.Trade) -> None:
    copied = pb.Trade()
    copied.CopyFrom(trade)
    if trade.offset == pb.OFFSET_CLOSE_TODAY and positions.count(self.yesterday) >= trade.volume:
        copied.offset = pb.OFFSET_CLOSE_YESTERDAY
    _apply(self, copied)


_apply = Holding.apply


def _cancel_ends(order: pb.Order) -> pb.OrderState.ValueType:
    if order.venue_status in orders._CLOSED and order.filled_volume < order.volume:
        return pb.ORDER_STATE_CANCELLED
    return _derive(order)


_derive = orders.derive


def _guess(self: OrderBook, now: Any) -> list[pb.Order]:
    lost = [order for order in self.working() if not orders.at_exchange(order)]
    return [one for order in lost for one in self.refuse(order, 0, "the link broke", now)]


def _absent_is_never(self: OrderBook, trading_day: str, session: Any, now: Any) -> list[pb.Order]:
    silent = [order for order in self.working() if not order.venue_status]
    return [one for order in silent for one in self.refuse(order, 0, "not there", now)]


def _keep_pending(self: OrderBook, now: Any) -> list[pb.Order]:
    lost = [order for order in self.working() if not orders.at_exchange(order)]
    return [one for order in lost for one in orders._unknown(order, "lost", now)]


def _by_session_alone(self: OrderBook, session: Any, exchange: str, order_sys_id: str, memo: str) -> pb.Order | None:
    known = self._by_sys_id.get((exchange, order_sys_id.strip())) if order_sys_id.strip() else None
    return self.orders[known] if known else None


def _closed_lots_forgotten(self: Positions, rows: Any, openings: Any, trading_day: str) -> None:
    _begin(self, rows, [], trading_day)


_begin = Positions.begin


def _old_orders_freeze(self: Trader) -> list[pb.Order]:
    return list(self.book.working())


def _send_anyway(self: Trader, order: pb.Order) -> str:
    ready = self.readiness == pb.READINESS_READY and (order.front_id, order.session_id) == self.session[:2]
    return "" if ready else "not sent: the link broke"


def _send_in_any_session(self: Trader, order: pb.Order) -> str:
    return "trading was stopped" if self.state.state == pb.TRADING_STATE_HALTED else ""


def _same_ref(self: Trader, order: pb.Order, now: Any) -> None:
    _name(self, order, now)
    if order.volume == 2:
        self._order_ref -= 1


_name = Trader.name


def _no_new_day(self: OrderBook, trading_day: str) -> None:
    return None


def _both_sides_one_key(trade: pb.Trade) -> tuple[Any, ...]:
    return trade.trading_day, trade.exchange, trade.price, trade.volume


def _today_closes_free(holding: Holding, terms: Any) -> float:
    return _commission(holding, terms) + holding.closed_today.lots * 10.0


_commission = money.commission_of


def _method(owner: object, name: str, replacement: object) -> Plant:
    return lambda: patch.object(owner, name, replacement)


@contextlib.contextmanager
def _trade_key() -> Iterator[None]:
    with patch.object(orders, "trade_key", _both_sides_one_key):
        yield


PLANTED: dict[str, Plant] = {
    "sends before the intent is on the disk": _method(Trading, "_send_together", _send_first),
    "answers before the intent is on the disk": _method(Trading, "_send_together", _answer_first),
    "knows an id only while it is in memory": _method(Trading, "_known", _known_in_memory),
    "sends an unknown order again": _method(Trading, "agree", _resend),
    "books a trade as often as it is reported": _method(OrderBook, "trade", _every_trade),
    "takes two trades of one price for one": _trade_key,
    "closes today's lots as yesterday's": _method(Holding, "apply", _wrong_lots),
    "lets a cancel end an order before its trades": _method(orders, "derive", _cancel_ends),
    "takes a broken link for a refusal": _method(OrderBook, "lose_link", _guess),
    "takes absence in its own session for never sent": _method(OrderBook, "resolve", _absent_is_never),
    "keeps a cancel pending over a broken link": _method(OrderBook, "lose_link", _keep_pending),
    "knows its own orders by the exchange's number alone": _method(OrderBook, "find", _by_session_alone),
    "forgets lots that were closed wholly": _method(Positions, "begin", _closed_lots_forgotten),
    "lets orders of an earlier day freeze money": _method(Trader, "working", _old_orders_freeze),
    "sends what was on its way when trading was stopped": _method(Trader, "objection", _send_anyway),
    "sends in another session than the intent says": _method(Trader, "objection", _send_in_any_session),
    "uses an OrderRef twice": _method(Trader, "name", _same_ref),
    "does not begin a new trading day": _method(OrderBook, "begin_day", _no_new_day),
    "charges the wrong commission for today's lots": _method(money, "commission_of", _today_closes_free),
}


def found_by(name: str, scenarios: int) -> tuple[int | None, list[str]]:
    """Run scenarios with a planted bug until one finds it; give its seed and what it found."""
    with PLANTED[name]():
        for seed in range(scenarios):
            try:
                problems = World(seed).run()
            except (ArbigError, AssertionError, ArithmeticError, LookupError, ValueError) as error:
                problems = [f"{type(error).__name__}: {error}"]
            if problems:
                return seed, problems
    return None, []
