"""What is checked of an order before it is sent, and which reason a refusal has.

Each check looks at one limit, names the numbers, and has a reason that never changes. What only
closes lots lowers the risk, so it passes the checks about opening; cancels pass all but the rate.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from arbig.errors import Refused, Unavailable
from arbig.market.v1 import market_pb2
from arbig.market.v1.market_pb2 import Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.conduct import RULES
from trade_svc.money import cost_of
from trade_svc.orders import AT_ONCE
from trade_svc.positions import APART, Free, key_of
from trade_svc.terms import Terms

# Prices came through binary fractions on both sides.
HALF_A_THOUSANDTH = 0.0005
_SECOND_MS = 1_000


class Market(NamedTuple):
    """What is known of an instrument now."""

    instrument: Instrument
    tick: Tick | None
    tick_age_ms: int | None


class Situation(NamedTuple):
    """What an order is checked against, at one moment."""

    limits: pb.RiskLimits
    state: pb.TradingState.ValueType
    market: Market
    newest_first: Iterable[pb.Order]
    """The day's orders, of every terminal."""
    working: Sequence[pb.Order]
    opened: int
    """Lots of the instrument that were opened today."""
    held: int
    """Lots of the side that the order opens."""
    free: Free
    """Lots of the side that the order closes."""
    available: float | None
    terms: Terms | None
    conduct: pb.Conduct
    now_ns: int


def check(order: pb.Order, now: Situation) -> None:
    """Raise Refused (or Unavailable, where a fact is missing) for the first limit that forbids the order."""
    for rule in _ALWAYS:
        rule(order, now)
    if order.offset == pb.OFFSET_OPEN:
        for rule in _OPENING:
            rule(order, now)
    else:
        _closable(order, now)


def _state(order: pb.Order, now: Situation) -> None:
    if now.state == pb.TRADING_STATE_HALTED:
        raise Refused("trading is halted: only cancels pass", "TRADING_HALTED")
    if now.state == pb.TRADING_STATE_REDUCING and order.offset == pb.OFFSET_OPEN:
        raise Refused("trading is reducing: only orders that close pass", "TRADING_REDUCING", "offset")


def _session(order: pb.Order, now: Situation) -> None:
    status = now.market.instrument.status
    name = market_pb2.InstrumentStatus.Name(status).removeprefix("INSTRUMENT_STATUS_")
    if status == market_pb2.INSTRUMENT_STATUS_AUCTION_ORDERING:
        if order.type in AT_ONCE:
            raise Refused(f"{order.symbol} is in the auction: only limit orders pass", "AUCTION", "type")
    elif status not in (market_pb2.INSTRUMENT_STATUS_UNSPECIFIED, market_pb2.INSTRUMENT_STATUS_CONTINUOUS):
        raise Refused(f"{order.symbol} is not open: {name}", "SESSION_CLOSED", "symbol")


def _order_volume(order: pb.Order, now: Situation) -> None:
    _most(order.volume, now.limits.max_order_volume, "lots of one order", "MAX_ORDER_VOLUME", "volume")


def _order_value(order: pb.Order, now: Situation) -> None:
    value = order.price * order.volume * now.market.instrument.multiplier
    most = now.limits.max_order_value
    if most and value > most:
        raise Refused(f"{value:,.0f} yuan in one order, {most:,.0f} allowed", "MAX_ORDER_VALUE", "volume")


def _price_band(order: pb.Order, now: Situation) -> None:
    band = now.limits.price_band
    if not band or now.market.tick is None or not now.market.tick.HasField("last_price"):
        return
    last, buys = now.market.tick.last_price, order.direction == pb.DIRECTION_BUY
    edge = last * (1 + band if buys else 1 - band)
    beyond = order.price - edge if buys else edge - order.price
    if beyond > HALF_A_THOUSANDTH:
        words = f"{order.price:.10g} is beyond {edge:.10g}, {band:.3%} from the last price {last:.10g}"
        raise Refused(words, "PRICE_BAND", "price")


def _open_orders(order: pb.Order, now: Situation) -> None:
    words = f"orders at once with {order.client_order_id}"
    _most(len(now.working) + 1, now.limits.max_open_orders, words, "MAX_OPEN_ORDERS")


def _duplicate(order: pb.Order, now: Situation) -> None:
    for other in now.newest_first:
        age_ms = (now.now_ns - other.create_time.ToNanoseconds()) // 1_000_000
        if age_ms >= now.limits.duplicate_ms:
            return
        if not other.external and _content(other) == _content(order):
            words = f"the same order was sent {age_ms} ms ago as {other.client_order_id}"
            raise Refused(f"{words}, {now.limits.duplicate_ms} ms must lie between", "DUPLICATE_ORDER")


def _content(order: pb.Order) -> tuple[object, ...]:
    return order.symbol, order.direction, order.offset, order.type, order.price, order.volume


def _self_cross(order: pb.Order, now: Situation) -> None:
    if now.limits.allow_self_cross:
        return
    buys = order.direction == pb.DIRECTION_BUY
    for other in now.working:
        if other.symbol != order.symbol or other.direction == order.direction:
            continue
        gap = order.price - other.price if buys else other.price - order.price
        if gap > -HALF_A_THOUSANDTH:
            words = f"{order.price:.10g} would meet our own {other.client_order_id} at {other.price:.10g}"
            raise Refused(words, "SELF_CROSS", "price")


def _fresh(order: pb.Order, now: Situation) -> None:
    most = now.limits.max_tick_age_ms
    if most and now.market.tick and market_pb2.TICK_FLAG_STALE in now.market.tick.flags:
        raise Refused(f"the last tick of {order.symbol} is marked STALE", "STALE_MARKET_DATA", "symbol")
    if most and (now.market.tick_age_ms is None or now.market.tick_age_ms > most):
        age = "never" if now.market.tick_age_ms is None else f"{now.market.tick_age_ms} ms ago"
        raise Refused(f"the last tick of {order.symbol} came {age}, {most} ms allowed", "STALE_MARKET_DATA", "symbol")


def _side_volume(order: pb.Order, now: Situation) -> None:
    wanted = sum(rest for rest, other in _opening(now) if key_of(other) == key_of(order))
    _most(now.held + wanted + order.volume, now.limits.max_side_volume, "lots of one side", "MAX_SIDE_VOLUME", "volume")


def _day_volume(order: pb.Order, now: Situation) -> None:
    wanted = sum(rest for rest, other in _opening(now) if other.symbol == order.symbol)
    volume = now.opened + wanted + order.volume
    _most(volume, now.limits.max_day_volume, "lots opened in a day", "MAX_DAY_VOLUME", "volume")


def _opening(now: Situation) -> list[tuple[int, pb.Order]]:
    return [(one.volume - one.filled_volume, one) for one in now.working if one.offset == pb.OFFSET_OPEN]


def _margin(order: pb.Order, now: Situation) -> None:
    if now.terms is None or now.available is None:
        raise Unavailable(f"the broker's rates of {order.symbol} are not known yet", "RATES_UNKNOWN")
    needed = cost_of(order, now.terms)
    left = now.available - needed
    if left < now.limits.min_available:
        words = f"margin and commission {needed:,.2f} yuan, {now.available:,.2f} available"
        kept = f", {now.limits.min_available:,.2f} to be kept" if now.limits.min_available else ""
        raise Refused(words + kept, "FREE_MARGIN", "volume")


def _conduct(order: pb.Order, now: Situation) -> None:
    for count, limit, reason in RULES:
        if limit in now.conduct.reached:
            number, most = getattr(now.conduct, count), getattr(now.limits, limit)
            raise Refused(f"{order.symbol} has {number} {count} today, {limit} is {most}", reason, "symbol")


def _closable(order: pb.Order, now: Situation) -> None:
    if key_of(order).exchange not in APART:
        free, kind = sum(now.free), ""
    elif order.offset == pb.OFFSET_CLOSE_TODAY:
        free, kind = now.free.today, " of today"
    else:
        free, kind = now.free.yesterday, " of earlier days"
    if order.volume > free:
        raise Refused(f"close {order.volume} lots{kind}, {free} free", "NOT_ENOUGH_LOTS", "volume")


def _most(number: int, most: int, words: str, reason: str, field: str = "") -> None:
    if most and number > most:
        raise Refused(f"{number} {words}, {most} allowed", reason, field)


Rule = Callable[[pb.Order, Situation], None]
_ALWAYS: tuple[Rule, ...] = (
    _state,
    _session,
    _order_volume,
    _order_value,
    _price_band,
    _open_orders,
    _duplicate,
    _self_cross,
)
_OPENING: tuple[Rule, ...] = (_fresh, _side_volume, _day_volume, _conduct, _margin)


class Pace:
    """How many were sent within the last second."""

    def __init__(self, words: str, reason: str) -> None:
        self._words, self._reason = words, reason
        self._times: deque[int] = deque()

    def take(self, now_ms: int, most: int, count: int = 1) -> None:
        """Count some more; raises Refused where that is too many within a second. 0 is no limit."""
        while self._times and now_ms - self._times[0] >= _SECOND_MS:
            self._times.popleft()
        if most and len(self._times) + count > most:
            raise Refused(f"{len(self._times) + count} {self._words} within a second, {most} allowed", self._reason)
        self._times.extend([now_ms] * count)
