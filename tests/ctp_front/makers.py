"""Short ways to say what the tests of the exchange are about: a snapshot, an order, an exchange."""

from typing import Any

from ctp_front.depth import ABSENT, Depth
from ctp_front.exchange import Exchange
from ctp_front.instrument import from_symbol
from ctp_front.orders import BUY, OPEN, CancelRequest, Moment, Order, OrderRequest, Report, SessionKey

DAY, NEXT_DAY = "20261123", "20261124"
NOW = Moment(DAY, "10:00:00")
SESSION = SessionKey("sim001", 1, 7)
SYMBOL = "au2612"
GFD = {"price_type": "2", "time_condition": "3", "volume_condition": "1", "min_volume": 1, "contingent": "1"}
# What makes an order a FAK or a FOK.
FAK: dict[str, Any] = {"time_condition": "1", "volume_condition": "1"}
FOK: dict[str, Any] = {"time_condition": "1", "volume_condition": "3"}


def at_least(volume: int) -> dict[str, Any]:
    """Make an order a FAK with a minimum volume."""
    return {"time_condition": "1", "volume_condition": "2", "min_volume": volume}


def depth(
    bids: list[tuple[float, int]] | None = None, asks: list[tuple[float, int]] | None = None, **changes: Any
) -> Depth:
    """Make a snapshot of au2612 around 800."""
    values: dict[str, Any] = {field: 0 if "volume" in field else ABSENT for field in Depth._fields}
    values |= {"symbol": SYMBOL, "trading_day": DAY, "action_day": DAY, "update_time": "10:00:00", "last": 800.0}
    values |= {"update_millisec": 0, "pre_settlement": 800.0, "upper_limit": 864.0, "lower_limit": 736.0}
    for side, levels in (("bid", bids or []), ("ask", asks or [])):
        for level, (price, volume) in enumerate(levels, 1):
            values |= {f"{side}_price{level}": price, f"{side}_volume{level}": volume}
    return Depth(**{**values, **changes})


def request(direction: str = BUY, price: float = 800.0, volume: int = 1, **changes: Any) -> OrderRequest:
    """Make a limit order for au2612, to open unless told otherwise."""
    values: dict[str, Any] = {
        "symbol": SYMBOL,
        "exchange": "SHFE",
        "order_ref": "1",
        "direction": direction,
        "offset": OPEN,
        "hedge": "1",
        "price": price,
        "volume": volume,
        "memo": "K1",
        "user_id": "sim001",
        "request_id": 0,
        **GFD,
    }
    return OrderRequest(**{**values, **changes})


def cancel(order: Order, **changes: Any) -> CancelRequest:
    """Make a cancel of an order by the exchange's number."""
    named = CancelRequest(order.symbol, order.exchange, order.sys_id, 0, 0, "", "0")
    return named._replace(**changes)


def exchange(balance: float = 10_000_000.0, symbol: str = SYMBOL) -> Exchange:
    """Make an exchange on which sim001 has confirmed the settlement."""
    made = Exchange(DAY, balance)
    made.list_instrument(from_symbol(symbol, DAY))
    made.account("sim001").confirmed = DAY
    return made


def told(reports: list[Report]) -> str:
    """Write reports as the vendor's manual does: u n p f c are order states, T is a trade."""
    letters = {"a": "u", "3": "n", "1": "p", "0": "f", "5": "c"}
    return " ".join(letters[report.status] if isinstance(report, Order) else "T" for report in reports)
