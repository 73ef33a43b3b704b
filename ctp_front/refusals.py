"""What is refused, by whom, and with which of CTP's error numbers and texts.

CTP checks the request itself; the exchange checks the price and whether it is open. The exchange's
refusals have its own numbers and name it.
"""

import math
from collections.abc import Callable

from ctp_front.depth import Depth, exists
from ctp_front.hours import AUCTION_ORDERING, CONTINUOUS
from ctp_front.instrument import MAX_VOLUME, Instrument
from ctp_front.orders import (
    ALL_VOLUME,
    ANY_PRICE,
    ANY_VOLUME,
    BUY,
    CLOSE,
    CLOSE_TODAY,
    CLOSE_YESTERDAY,
    GFD,
    IOC,
    LIMIT_PRICE,
    MIN_VOLUME,
    OPEN,
    SELL,
    OrderRequest,
    Refusal,
)

BAD_FIELD = 15
# The exchange's own numbers: CTP passes them on, and means other things by them itself.
_FORBIDDEN_NOW, _OFF_TICK, _ABOVE_LIMIT, _BELOW_LIMIT = 26, 48, 49, 50

_IMMEDIATELY = "1"
# The volume conditions that go with each time condition.
_CONDITIONS = {GFD: (ANY_VOLUME,), IOC: (ANY_VOLUME, MIN_VOLUME, ALL_VOLUME)}


def invalid_login() -> Refusal:
    """Refuse a login that names no user of this broker."""
    return Refusal(3, "CTP:不合法的登录")


def not_logged_in() -> Refusal:
    """Refuse whatever comes before the login."""
    return Refusal(6, "CTP:还没有登录")


def no_privilege() -> Refusal:
    """Refuse to touch another investor's account."""
    return Refusal(9, "CTP:无此权限")


def bad_field(what: str) -> Refusal:
    """Refuse an order for a field that cannot be."""
    return Refusal(BAD_FIELD, f"CTP:报单字段有误:{what}")


def unknown_instrument() -> Refusal:
    """Refuse an order for a contract that is not traded here."""
    return Refusal(16, "CTP:找不到合约")


def not_trading() -> Refusal:
    """Refuse an order for a contract whose delivery month is over."""
    return Refusal(17, "CTP:合约不能交易")


def repeated_order_ref() -> Refusal:
    """Refuse an OrderRef that does not go up inside its session."""
    return Refusal(22, "CTP:报单错误：不允许重复报单")


def order_not_found() -> Refusal:
    """Refuse to cancel what was never there."""
    return Refusal(25, "CTP:撤单找不到相应报单")


def order_is_final() -> Refusal:
    """Refuse to cancel what is filled, cancelled or refused."""
    return Refusal(26, "CTP:报单已全成交或已撤销，不能再撤")


def unsupported() -> Refusal:
    """Refuse a request that this front does not know."""
    return Refusal(27, "CTP:不支持的功能")


def over_close() -> Refusal:
    """Refuse to close more than is held, where the exchange does not split days."""
    return Refusal(30, "CTP:平仓量超过持仓量")


def insufficient_money() -> Refusal:
    """Refuse to open more than the account can pay margin for."""
    return Refusal(31, "CTP:资金不足")


def not_confirmed() -> Refusal:
    """Refuse orders before the settlement is confirmed."""
    return Refusal(42, "CTP:结算结果未确认")


def over_close_today() -> Refusal:
    """Refuse to close more of today's lots than are free."""
    return Refusal(50, "CTP:平今仓位不足")


def over_close_yesterday() -> Refusal:
    """Refuse to close more of the earlier days' lots than are free."""
    return Refusal(51, "CTP:平昨仓位不足")


def too_many_sessions() -> Refusal:
    """Refuse a login of a user who is logged in as often as allowed."""
    return Refusal(60, "CTP:用户在线会话超出上限")


def unsupported_price_type() -> Refusal:
    """Refuse an order at any price: the exchange takes limit prices only."""
    return Refusal(80, "CTP:交易所不支持的价格类型")


def too_many_queries() -> Refusal:
    """Refuse a query that comes too soon."""
    return Refusal(90, "CTP：查询未就绪，请稍后重试")


def position_limit() -> Refusal:
    """Refuse to open more lots than the account may hold."""
    return Refusal(106, "CTP:投资者限仓")


def too_many_orders() -> Refusal:
    """Refuse an order or a cancel that comes too soon."""
    return Refusal(116, "CTP:下单频率限制")


# A field that cannot be: what is wrong with it, and how to tell.
_FIELD_CHECKS: list[tuple[str, Callable[[OrderRequest], bool]]] = [
    ("买卖方向", lambda request: request.direction not in (BUY, SELL)),
    ("开平标志", lambda request: request.offset not in (OPEN, CLOSE, CLOSE_TODAY, CLOSE_YESTERDAY)),
    ("报单数量", lambda request: not 1 <= request.volume <= MAX_VOLUME),
    ("有效期类型", lambda request: request.time_condition not in _CONDITIONS),
    ("价格类型", lambda request: request.price_type != LIMIT_PRICE),
    ("成交量类型", lambda request: request.volume_condition not in _CONDITIONS[request.time_condition]),
    ("最小成交量", lambda request: request.volume_condition == MIN_VOLUME and not _has_minimum(request)),
    ("触发条件", lambda request: request.contingent != _IMMEDIATELY),
    ("价格", lambda request: not (math.isfinite(request.price) and exists(request.price))),
]


def check_fields(request: OrderRequest) -> None:
    """Raise the refusal of the first field that cannot be."""
    if request.price_type == ANY_PRICE:
        raise unsupported_price_type()
    for what, is_bad in _FIELD_CHECKS:
        if is_bad(request):
            raise bad_field(what)


def _has_minimum(request: OrderRequest) -> bool:
    return 1 <= request.min_volume <= request.volume


def exchange_objection(
    instrument: Instrument, request: OrderRequest, status: str, depth: Depth | None
) -> Refusal | None:
    """Give what the exchange itself has against an order."""
    exchange = instrument.product.exchange
    if status not in (CONTINUOUS, AUCTION_ORDERING):
        return closed(exchange)
    if status == AUCTION_ORDERING and request.time_condition == IOC:
        return _by_exchange(_FORBIDDEN_NOW, exchange, "集合竞价不接受FAK/FOK指令")
    if not instrument.on_tick(request.price):
        return _by_exchange(_OFF_TICK, exchange, "价格非最小单位倍数")
    return None if depth is None else _beyond_limits(exchange, request.price, depth)


def _beyond_limits(exchange: str, price: float, depth: Depth) -> Refusal | None:
    if exists(depth.upper_limit) and price > depth.upper_limit + 1e-9:
        return _by_exchange(_ABOVE_LIMIT, exchange, "价格超出涨停板")
    if exists(depth.lower_limit) and price < depth.lower_limit - 1e-9:
        return _by_exchange(_BELOW_LIMIT, exchange, "价格跌破跌停板")
    return None


def closed(exchange: str) -> Refusal:
    """Refuse what comes while the exchange takes neither orders nor cancels."""
    return _by_exchange(_FORBIDDEN_NOW, exchange, "当前状态禁止此项操作")


def _by_exchange(error_id: int, exchange: str, text: str) -> Refusal:
    return Refusal(error_id, f"{exchange}:{text}", by_exchange=True)
