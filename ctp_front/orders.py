"""Orders and trades as the exchange keeps them, and why a request is refused.

An order is never changed: each step of its life is a new one, so that what was reported stays as
it was. All codes are CTP's own characters.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

BUY, SELL = "0", "1"
OPEN, CLOSE, CLOSE_TODAY, CLOSE_YESTERDAY = "0", "1", "3", "4"

# OrderPriceType, TimeCondition, VolumeCondition. A FAK is IOC with any or a minimum volume, a FOK with all of it.
ANY_PRICE, LIMIT_PRICE = "1", "2"
IOC, GFD = "1", "3"
ANY_VOLUME, MIN_VOLUME, ALL_VOLUME = "1", "2", "3"

# OrderStatus
ALL_TRADED, PART_TRADED, NOT_TRADED, CANCELLED, UNKNOWN = "0", "1", "3", "5", "a"
# OrderSubmitStatus
SUBMITTED, CANCEL_SUBMITTED, ACCEPTED, INSERT_REJECTED = "0", "1", "3", "4"

# StatusMsg, as CTP words it.
STATUS_TEXTS = {
    ALL_TRADED: "全部成交",
    PART_TRADED: "部分成交",
    NOT_TRADED: "未成交",
    CANCELLED: "已撤单",
    UNKNOWN: "报单已提交",
}


class Moment(NamedTuple):
    """A point on the exchange's clock: the calendar day YYYYMMDD, HH:MM:SS and the milliseconds."""

    day: str
    time: str
    millisec: int = 0


class SessionKey(NamedTuple):
    """Who speaks: an account, logged in once."""

    account_id: str
    front_id: int
    session_id: int


class OrderRequest(NamedTuple):
    """An order as the client sent it."""

    symbol: str
    exchange: str
    order_ref: str
    direction: str
    offset: str
    hedge: str
    price: float
    volume: int
    price_type: str
    time_condition: str
    volume_condition: str
    min_volume: int
    contingent: str
    memo: str
    user_id: str
    request_id: int


class CancelRequest(NamedTuple):
    """A wish to cancel: names the order by session and reference, or by the exchange's number."""

    symbol: str
    exchange: str
    sys_id: str
    front_id: int
    session_id: int
    order_ref: str
    action: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order at one point of its life."""

    account_id: str
    front_id: int
    session_id: int
    order_ref: str
    user_id: str
    symbol: str
    exchange: str
    direction: str
    offset: str
    hedge: str
    price: float
    volume: int
    memo: str
    request_id: int
    trading_day: str
    number: int  # counts the day's orders
    insert_day: str
    insert_time: str
    status: str = UNKNOWN
    submit_status: str = SUBMITTED
    message: str = STATUS_TEXTS[UNKNOWN]
    sys_id: str = ""
    traded: int = 0
    update_time: str = ""
    cancel_time: str = ""
    cancelled_by: str = ""
    time_condition: str = GFD
    volume_condition: str = ANY_VOLUME
    min_volume: int = 1
    error_id: int = 0  # why the exchange refused it

    @property
    def rest(self) -> int:
        """Lots not traded."""
        return self.volume - self.traded

    @property
    def working(self) -> bool:
        """Whether it can still trade."""
        return self.status in (NOT_TRADED, PART_TRADED)

    @property
    def is_immediate(self) -> bool:
        """Whether it trades at once or not at all: FAK and FOK."""
        return self.time_condition == IOC

    @property
    def least(self) -> int:
        """Lots that it must get at once, or it takes none."""
        return {MIN_VOLUME: self.min_volume, ALL_VOLUME: self.volume}.get(self.volume_condition, 0)

    @property
    def local_id(self) -> str:
        """CTP's OrderLocalID: with TraderID it names an order for the whole day."""
        return number_text(self.number)

    def to(self, status: str, **changes: Any) -> "Order":
        """Give the order after a step that the exchange accepted."""
        return replace(self, status=status, submit_status=ACCEPTED, message=STATUS_TEXTS[status], **changes)


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill."""

    account_id: str
    order_ref: str
    user_id: str
    order_number: int
    order_sys_id: str
    symbol: str
    exchange: str
    direction: str
    offset: str
    hedge: str
    price: float
    volume: int
    number: int  # counts the day's trades
    trading_day: str
    day: str
    time: str

    @property
    def trade_id(self) -> str:
        """CTP's TradeID."""
        return number_text(self.number)


# What a session hears of, in order.
Report = Order | Trade


def number_text(number: int) -> str:
    """Write a number as exchanges do: right-justified, with leading blanks."""
    return f"{number:12d}"


class Refusal(Exception):
    """A request is refused: by CTP, and then the exchange never sees it, or by the exchange."""

    def __init__(self, error_id: int, text: str, *, by_exchange: bool = False) -> None:
        super().__init__(text)
        self.error_id = error_id
        self.text = text
        self.by_exchange = by_exchange
