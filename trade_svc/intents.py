"""From what a caller asks to orders that may be sent: priced, given their offset, and checked.

Nothing is remembered here: an order that does not pass leaves no trace.
"""

from collections.abc import Sequence

from arbig.market.v1.market_pb2 import Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import closing, desk, risk
from trade_svc.closing import Leg
from trade_svc.positions import SideKey, count, key_of, side_of
from trade_svc.trader import Trader


def prepare(trader: Trader, orders: Sequence[pb.Order], now_ns: int, now_ms: int) -> None:
    """Complete orders that are to be sent together, and check each as if those before it were sent.

    Raises for the first that is not allowed; then none is.
    """
    for number, order in enumerate(orders):
        before = orders[:number]
        instrument = desk.known_instrument(order.symbol, trader.instruments.by_symbol.get(order.symbol))
        tick, came_ms = trader.ticks.get(order.symbol, (None, 0))
        _complete(trader, order, instrument, tick, before)
        desk.check_instrument(order, instrument, tick)
        market = risk.Market(instrument, tick, now_ms - came_ms if tick else None)
        risk.check(order, _situation(trader, order, market, before, now_ns))


def _complete(
    trader: Trader, order: pb.Order, instrument: Instrument, tick: Tick | None, before: Sequence[pb.Order]
) -> None:
    order.exchange = instrument.exchange
    if order.offset == pb.OFFSET_AUTO:
        key = _closed_side(order)
        free = trader.portfolio.positions.free(key, [*trader.working(), *before])
        order.offset = closing.auto_offset(key, order.volume, free, _held(trader, key))
    if order.type == pb.ORDER_TYPE_MARKET:
        ticks = trader.limits.market_protection_ticks
        order.price = desk.market_price(order.direction, instrument, tick, ticks)
    if (mid := desk.mid_price(tick)) is not None:
        order.submit_mid_price = mid


def _situation(
    trader: Trader, order: pb.Order, market: risk.Market, before: Sequence[pb.Order], now_ns: int
) -> risk.Situation:
    working = [*trader.working(), *before]
    money = trader.money()
    broker = trader.account.available if trader.account else None
    return risk.Situation(
        limits=trader.limits,
        state=trader.state.state,
        market=market,
        newest_first=reversed(trader.book.orders.values()),
        working=working,
        opened=_opened(trader, order.symbol),
        held=_held(trader, key_of(order)),
        free=trader.portfolio.positions.free(_closed_side(order), working),
        # What we reckon is of now; what the broker last said may be seconds old.
        available=money.available if money else broker,
        terms=trader.terms.get(order.symbol),
        conduct=trader.conduct.of(order.symbol, trader.limits),
        now_ns=now_ns,
    )


def _closed_side(order: pb.Order) -> SideKey:
    return side_of(order.symbol, order.exchange, order.direction, pb.OFFSET_CLOSE)


def _held(trader: Trader, key: SideKey) -> int:
    holding = trader.portfolio.positions.holdings.get(key)
    return count(holding.lots) if holding else 0


def _opened(trader: Trader, symbol: str) -> int:
    return sum(one.opened.lots for key, one in trader.portfolio.positions.holdings.items() if key.symbol == symbol)


def plan(trader: Trader, request: pb.PlanCloseRequest | pb.ClosePositionRequest) -> list[Leg]:
    """Split a wish to close; raises Refused where fewer lots are free."""
    instrument = desk.known_instrument(request.symbol, trader.instruments.by_symbol.get(request.symbol))
    key = SideKey(request.symbol, instrument.exchange, request.side)
    free = trader.portfolio.positions.free(key, trader.working())
    cheaper = closing.today_is_cheaper(trader.terms.get(request.symbol), last_price(trader, request.symbol))
    return closing.split_close(key, request.volume, free, request.policy, today_is_cheaper=cheaper)


def last_price(trader: Trader, symbol: str) -> float:
    """Give the last price; 0 where there is none."""
    tick, _ = trader.ticks.get(symbol, (None, 0))
    return tick.last_price if tick else 0.0


def close_orders(trader: Trader, request: pb.ClosePositionRequest) -> list[pb.Order]:
    """Give the orders of a close; their ids are the request's with a number behind it."""
    instrument = desk.known_instrument(request.symbol, trader.instruments.by_symbol.get(request.symbol))
    most = instrument.max_limit_order_volume
    legs = [cut for leg in plan(trader, request) for cut in closing.chunks(leg, most)]
    return [
        pb.Order(
            client_order_id=close_id(request.client_order_id, number),
            symbol=request.symbol,
            direction=closing.closing_direction(request.side),
            offset=leg.offset,
            type=request.type or pb.ORDER_TYPE_LIMIT,
            price=request.price,
            volume=leg.volume,
            strategy=request.strategy,
            state=pb.ORDER_STATE_PENDING_NEW,
        )
        for number, leg in enumerate(legs, 1)
    ]


def close_id(client_order_id: str, number: int) -> str:
    """Give the id of one order of a close."""
    return f"{client_order_id}.{number}"
