"""What the desk takes: every field of a request checked, each refusal named, and the order it describes.

These checks need no more than the request, the instrument and the last tick; what an order may do to
the account is checked in `risk.py`, and the exchange makes its own checks again.
"""

import math
import re
from typing import Any

from arbig.errors import AlreadyExists, InvalidField, NotFound, Refused, Unavailable
from arbig.instrument import check_symbol, price_in_ticks
from arbig.market.v1.market_pb2 import Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.orders import EXTERNAL_PREFIX, FINAL
from trade_svc.risk import HALF_A_THOUSANDTH

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# A close's orders have its id with a number behind it.
_CLOSE_ID = 60
_REASON = 200


def check_id(client_order_id: str) -> None:
    """Raise InvalidField for an id that no caller may make."""
    if not client_order_id:
        raise InvalidField("client_order_id", "is required", "MISSING")
    if not _ID.fullmatch(client_order_id):
        raise InvalidField("client_order_id", "must be 1 to 64 characters of A-Z a-z 0-9 . _ : -", "BAD_ID")


def _check_own_id(client_order_id: str) -> None:
    check_id(client_order_id)
    if client_order_id.startswith(EXTERNAL_PREFIX):
        raise InvalidField("client_order_id", f"{EXTERNAL_PREFIX} is for orders of other terminals", "BAD_ID")


def check_request(request: pb.SubmitOrderRequest) -> None:
    """Raise InvalidField for what is wrong whatever the instrument is."""
    _check_own_id(request.client_order_id)
    check_symbol(request.symbol)
    if request.direction not in (pb.DIRECTION_BUY, pb.DIRECTION_SELL):
        raise InvalidField("direction", "must be BUY or SELL", "MISSING")
    if request.offset not in pb.Offset.values() or not request.offset:
        names = "OPEN, CLOSE, CLOSE_TODAY, CLOSE_YESTERDAY or AUTO"
        raise InvalidField("offset", f"must be {names}", "MISSING")
    _check_price_and_type(request)
    if request.volume < 1:
        raise InvalidField("volume", f"must be at least 1, got {request.volume}", "BAD_VOLUME")


def _check_price_and_type(request: pb.SubmitOrderRequest | pb.ClosePositionRequest) -> None:
    if request.type not in pb.OrderType.values():
        raise InvalidField("type", f"{request.type} is no order type", "BAD_TYPE")
    if request.type == pb.ORDER_TYPE_MARKET:
        if request.price != 0:  # NaN too
            raise InvalidField("price", f"must be 0 for MARKET, got {request.price:g}", "BAD_PRICE")
    elif not math.isfinite(request.price) or request.price <= 0:
        raise InvalidField("price", f"must be a positive number, got {request.price:g}", "BAD_PRICE")
    if request.strategy and not _ID.fullmatch(request.strategy):
        raise InvalidField("strategy", "must be at most 64 characters of A-Z a-z 0-9 . _ : -", "BAD_STRATEGY")


def check_plan(request: pb.PlanCloseRequest | pb.ClosePositionRequest) -> None:
    """Raise InvalidField for what is wrong with which lots to close."""
    check_symbol(request.symbol)
    if request.side not in (pb.POSITION_SIDE_LONG, pb.POSITION_SIDE_SHORT):
        raise InvalidField("side", "must be LONG or SHORT", "MISSING")
    if request.volume < 0:
        raise InvalidField("volume", f"must be 0 (all) or more, got {request.volume}", "BAD_VOLUME")
    if request.policy not in pb.ClosePolicy.values():
        raise InvalidField("policy", f"{request.policy} is no close policy", "BAD_POLICY")


def check_close(request: pb.ClosePositionRequest) -> None:
    """Raise InvalidField for what is wrong with a close, whatever the instrument is."""
    _check_own_id(request.client_order_id)
    if len(request.client_order_id) > _CLOSE_ID:
        text = f"{len(request.client_order_id)} characters, at most {_CLOSE_ID}: its orders get a number behind it"
        raise InvalidField("client_order_id", text, "BAD_ID")
    check_plan(request)
    _check_price_and_type(request)


def check_reason(reason: str) -> None:
    """Raise InvalidField for a reason that is too long."""
    if len(reason) > _REASON:
        raise InvalidField("reason", f"{len(reason)} characters, at most {_REASON}", "TOO_LONG")


def check_instrument(order: pb.Order, instrument: Instrument, tick: Tick | None) -> None:
    """Raise for what is wrong with an order for this instrument."""
    if not instrument.trading:
        raise Refused(f"{order.symbol} may not be traded", "NOT_TRADING", "symbol")
    if price_in_ticks(order.price, instrument.price_tick) is None:
        step = instrument.price_tick
        raise InvalidField("price", f"{order.price:.10g} is no multiple of the price tick {step:g}", "OFF_TICK")
    low, high = instrument.min_limit_order_volume, instrument.max_limit_order_volume
    if not low <= order.volume <= high:
        raise InvalidField("volume", f"{order.volume} lots, {low} to {high} allowed for one order", "BAD_VOLUME")
    if tick:
        _check_limits(order.price, tick)


def known_instrument(symbol: str, instrument: Instrument | None) -> Instrument:
    """Give the instrument back; raises NotFound for one that is not there."""
    if instrument is None:
        raise NotFound(f"symbol: {symbol} is no instrument", "UNKNOWN_SYMBOL", "symbol")
    return instrument


def _check_limits(price: float, tick: Tick) -> None:
    upper, lower = tick.upper_limit_price, tick.lower_limit_price
    if tick.HasField("upper_limit_price") and price > upper + HALF_A_THOUSANDTH:
        raise InvalidField("price", f"{price:.10g} is above the day's limit {upper:.10g}", "ABOVE_LIMIT")
    if tick.HasField("lower_limit_price") and price < lower - HALF_A_THOUSANDTH:
        raise InvalidField("price", f"{price:.10g} is below the day's limit {lower:.10g}", "BELOW_LIMIT")


def market_price(direction: pb.Direction.ValueType, instrument: Instrument, tick: Tick | None, ticks: int) -> float:
    """Give the limit of a MARKET order: the other side's best price and some ticks more, within the day's limits.

    SHFE has no market orders. Raises Unavailable without a price on the other side.
    """
    buys = direction == pb.DIRECTION_BUY
    best = (tick.ask_prices if buys else tick.bid_prices) if tick else []
    if not tick or not best:
        side = "asks" if buys else "bids"
        raise Unavailable(f"no one {side} for {instrument.symbol} now", "NO_MARKET_PRICE")
    step = instrument.price_tick
    price = (round(best[0] / step) + (ticks if buys else -ticks)) * step
    if tick.HasField("upper_limit_price"):
        price = min(price, tick.upper_limit_price)
    if tick.HasField("lower_limit_price"):
        price = max(price, tick.lower_limit_price)
    return round(price, 6)


def check_same(request: pb.SubmitOrderRequest, order: pb.Order) -> None:
    """Raise AlreadyExists if the id belongs to an order of other content: a retry repeats all of it."""
    offset = pb.OFFSET_AUTO if order.auto_offset else order.offset
    priced_by_us = order.type == pb.ORDER_TYPE_MARKET
    pairs: dict[str, tuple[Any, Any]] = {
        "symbol": (order.symbol, request.symbol),
        "direction": (order.direction, request.direction),
        "offset": (offset, request.offset),
        "type": (order.type, request.type or pb.ORDER_TYPE_LIMIT),
        "price": (0.0 if priced_by_us else order.price, request.price),
        "volume": (order.volume, request.volume),
        "strategy": (order.strategy, request.strategy),
    }
    _same(request.client_order_id, pairs)


def check_same_close(request: pb.ClosePositionRequest, orders: list[pb.Order]) -> None:
    """Raise AlreadyExists if the orders of this id are no close of this content."""
    first = orders[0]
    closes = pb.DIRECTION_SELL if request.side == pb.POSITION_SIDE_LONG else pb.DIRECTION_BUY
    volume = sum(order.volume for order in orders)
    priced_by_us = first.type == pb.ORDER_TYPE_MARKET
    pairs: dict[str, tuple[Any, Any]] = {
        "symbol": (first.symbol, request.symbol),
        "side": (first.direction, closes),
        "type": (first.type, request.type or pb.ORDER_TYPE_LIMIT),
        "price": (0.0 if priced_by_us else first.price, request.price),
        "volume": (volume, request.volume or volume),
        "strategy": (first.strategy, request.strategy),
    }
    _same(request.client_order_id, pairs)


def _same(client_order_id: str, pairs: dict[str, tuple[Any, Any]]) -> None:
    for name, (was, now) in pairs.items():
        if was != now:
            text = f"client_order_id {client_order_id} is taken: {name} was {was}, now {now}"
            raise AlreadyExists(text, "CLIENT_ORDER_ID_REUSED", "client_order_id")


def new_order(request: pb.SubmitOrderRequest) -> pb.Order:
    """Give the order that a request describes; its offset may still be AUTO, and its price that of the market."""
    return pb.Order(
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        direction=request.direction,
        offset=request.offset,
        type=request.type or pb.ORDER_TYPE_LIMIT,
        price=request.price,
        volume=request.volume,
        strategy=request.strategy,
        auto_offset=request.offset == pb.OFFSET_AUTO,
        state=pb.ORDER_STATE_PENDING_NEW,
    )


def check_cancel(order: pb.Order) -> None:
    """Raise Refused for an order that cannot be cancelled."""
    if order.state in FINAL:
        state = pb.OrderState.Name(order.state).removeprefix("ORDER_STATE_")
        raise Refused(f"order {order.client_order_id} is {state} already", "ORDER_FINAL", "client_order_id")
    if order.state == pb.ORDER_STATE_UNKNOWN and not order.venue_status:
        text = f"order {order.client_order_id}: whether it reached the exchange is not known yet"
        raise Refused(text, "ORDER_NOT_AT_EXCHANGE", "client_order_id")


def mid_price(tick: Tick | None) -> float | None:
    """Give the middle of best bid and ask; None without both."""
    if tick is None or not tick.bid_prices or not tick.ask_prices:
        return None
    return (tick.bid_prices[0] + tick.ask_prices[0]) / 2
