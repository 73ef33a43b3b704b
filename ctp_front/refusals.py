"""What is refused, by whom, and with which of CTP's error numbers and texts.

CTP checks the request itself; the exchange checks the price. FAK and FOK (time condition IOC) are
not supported yet, and say so.
"""

import math
from collections.abc import Callable

from ctp_front.depth import Depth, exists
from ctp_front.instrument import MAX_VOLUME, Instrument
from ctp_front.orders import BUY, CLOSE, CLOSE_TODAY, CLOSE_YESTERDAY, OPEN, SELL, OrderRequest, Refusal

BAD_FIELD = 15

_LIMIT_PRICE, _GFD, _IOC, _ANY_VOLUME, _IMMEDIATELY = "2", "3", "1", "1", "1"


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


# A field that cannot be: what is wrong with it, and how to tell.
_FIELD_CHECKS: list[tuple[str, Callable[[OrderRequest], bool]]] = [
    ("买卖方向", lambda request: request.direction not in (BUY, SELL)),
    ("开平标志", lambda request: request.offset not in (OPEN, CLOSE, CLOSE_TODAY, CLOSE_YESTERDAY)),
    ("报单数量", lambda request: not 1 <= request.volume <= MAX_VOLUME),
    ("不支持FAK/FOK", lambda request: request.time_condition == _IOC),
    ("有效期类型", lambda request: request.time_condition != _GFD),
    ("不支持的价格类型", lambda request: request.price_type != _LIMIT_PRICE),
    ("成交量类型", lambda request: request.volume_condition != _ANY_VOLUME),
    ("触发条件", lambda request: request.contingent != _IMMEDIATELY),
    ("价格", lambda request: not (math.isfinite(request.price) and exists(request.price))),
]


def check_fields(request: OrderRequest) -> None:
    """Raise the refusal of the first field that cannot be."""
    for what, is_bad in _FIELD_CHECKS:
        if is_bad(request):
            raise bad_field(what)


def exchange_objection(instrument: Instrument, price: float, depth: Depth | None) -> str | None:
    """Give what the exchange itself has against a price; without a snapshot it knows no limits."""
    if not instrument.on_tick(price):
        return "已撤单报单被拒绝SHFE:价格非最小单位倍数".replace("SHFE", instrument.product.exchange)
    if depth is None:
        return None
    if exists(depth.upper_limit) and price > depth.upper_limit + 1e-9:
        return f"已撤单报单被拒绝{instrument.product.exchange}:价格超出涨停板"
    if exists(depth.lower_limit) and price < depth.lower_limit - 1e-9:
        return f"已撤单报单被拒绝{instrument.product.exchange}:价格跌破跌停板"
    return None
