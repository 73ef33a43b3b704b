"""What the desk lets through: every field of a request checked, each refusal named.

These are the checks that need no more than the instrument and the last tick; the exchange makes
its own again.
"""

import math
import re

from arbig.errors import AlreadyExists, InvalidField, NotFound, Refused
from arbig.instrument import check_symbol, price_in_ticks
from arbig.market.v1.market_pb2 import Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.orders import EXTERNAL_PREFIX, FINAL

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_CONTENT = ("symbol", "direction", "offset", "type", "price", "volume", "strategy")


def check_id(client_order_id: str) -> None:
    """Raise InvalidField for an id that no caller may make."""
    if not client_order_id:
        raise InvalidField("client_order_id", "is required", "MISSING")
    if not _ID.fullmatch(client_order_id):
        raise InvalidField("client_order_id", "must be 1 to 64 characters of A-Z a-z 0-9 . _ : -", "BAD_ID")


def check_request(request: pb.SubmitOrderRequest) -> None:
    """Raise InvalidField for what is wrong whatever the instrument is."""
    check_id(request.client_order_id)
    if request.client_order_id.startswith(EXTERNAL_PREFIX):
        raise InvalidField("client_order_id", f"{EXTERNAL_PREFIX} is for orders of other terminals", "BAD_ID")
    check_symbol(request.symbol)
    if request.direction not in (pb.DIRECTION_BUY, pb.DIRECTION_SELL):
        raise InvalidField("direction", "must be BUY or SELL", "MISSING")
    if request.offset not in pb.Offset.values() or not request.offset:
        raise InvalidField("offset", "must be OPEN, CLOSE, CLOSE_TODAY or CLOSE_YESTERDAY", "MISSING")
    if request.type not in pb.OrderType.values():
        raise InvalidField("type", f"{request.type} is no order type", "BAD_TYPE")
    if not math.isfinite(request.price) or request.price <= 0:
        raise InvalidField("price", f"must be a positive number, got {request.price:g}", "BAD_PRICE")
    if request.volume < 1:
        raise InvalidField("volume", f"must be at least 1, got {request.volume}", "BAD_VOLUME")
    if request.strategy and not _ID.fullmatch(request.strategy):
        raise InvalidField("strategy", "must be at most 64 characters of A-Z a-z 0-9 . _ : -", "BAD_STRATEGY")


def check_instrument(request: pb.SubmitOrderRequest, instrument: Instrument | None, tick: Tick | None) -> None:
    """Raise for what is wrong with this instrument at this price."""
    if instrument is None:
        raise NotFound(f"symbol: {request.symbol} is no instrument", "UNKNOWN_SYMBOL", "symbol")
    if not instrument.trading:
        raise Refused(f"{request.symbol} may not be traded", "NOT_TRADING", "symbol")
    if price_in_ticks(request.price, instrument.price_tick) is None:
        step = instrument.price_tick
        raise InvalidField("price", f"{request.price:.10g} is no multiple of the price tick {step:g}", "OFF_TICK")
    low, high = instrument.min_limit_order_volume, instrument.max_limit_order_volume
    if not low <= request.volume <= high:
        raise InvalidField("volume", f"{request.volume} lots, {low} to {high} allowed for one order", "BAD_VOLUME")
    if tick:
        _check_limits(request.price, tick)


def _check_limits(price: float, tick: Tick) -> None:
    # Half a thousandth: prices came through binary fractions on both sides.
    if tick.HasField("upper_limit_price") and price > tick.upper_limit_price + 0.0005:
        raise InvalidField(
            "price", f"{price:.10g} is above the day's limit {tick.upper_limit_price:.10g}", "ABOVE_LIMIT"
        )
    if tick.HasField("lower_limit_price") and price < tick.lower_limit_price - 0.0005:
        raise InvalidField(
            "price", f"{price:.10g} is below the day's limit {tick.lower_limit_price:.10g}", "BELOW_LIMIT"
        )


def check_same(request: pb.SubmitOrderRequest, order: pb.Order) -> None:
    """Raise AlreadyExists if the id belongs to an order of other content: a retry repeats all of it."""
    asked = new_order(request)
    for name in _CONTENT:
        ours, theirs = getattr(order, name), getattr(asked, name)
        if ours != theirs:
            text = f"client_order_id {request.client_order_id} is taken: {name} was {ours}, now {theirs}"
            raise AlreadyExists(text, "CLIENT_ORDER_ID_REUSED", "client_order_id")


def new_order(request: pb.SubmitOrderRequest) -> pb.Order:
    """Give the order that a request describes."""
    return pb.Order(
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        direction=request.direction,
        offset=request.offset,
        type=pb.ORDER_TYPE_LIMIT,
        price=request.price,
        volume=request.volume,
        strategy=request.strategy,
        state=pb.ORDER_STATE_PENDING_NEW,
    )


def check_cancel(order: pb.Order) -> None:
    """Raise Refused for an order that cannot be cancelled."""
    if order.state in FINAL:
        state = pb.OrderState.Name(order.state).removeprefix("ORDER_STATE_")
        raise Refused(f"order {order.client_order_id} is {state} already", "ORDER_FINAL", "client_order_id")
    if order.state == pb.ORDER_STATE_UNKNOWN and not order.order_sys_id:
        text = f"order {order.client_order_id}: whether it reached the exchange is not known yet"
        raise Refused(text, "ORDER_NOT_AT_EXCHANGE", "client_order_id")


def mid_price(tick: Tick | None) -> float | None:
    """Give the middle of best bid and ask; None without both."""
    if tick is None or not tick.bid_prices or not tick.ask_prices:
        return None
    return (tick.bid_prices[0] + tick.ask_prices[0]) / 2
