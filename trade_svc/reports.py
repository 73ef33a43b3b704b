"""What CTP's callbacks say, in our words: rows of copied fields in, reports and messages out."""

from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.calendar import exchange_time
from arbig.ctp.spi import Row
from arbig.market.v1 import market_pb2
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.instruments import Status
from trade_svc.terms import Opening, Rate

DIRECTION = {"0": pb.DIRECTION_BUY, "1": pb.DIRECTION_SELL}
# ForceClose, ForceOff and LocalForceClose close lots as Close does.
OFFSET = {
    "0": pb.OFFSET_OPEN,
    "1": pb.OFFSET_CLOSE,
    "2": pb.OFFSET_CLOSE,
    "3": pb.OFFSET_CLOSE_TODAY,
    "4": pb.OFFSET_CLOSE_YESTERDAY,
    "5": pb.OFFSET_CLOSE,
    "6": pb.OFFSET_CLOSE,
}
CTP_DIRECTION = {value: key for key, value in DIRECTION.items()}
CTP_OFFSET = {
    pb.OFFSET_OPEN: "0",
    pb.OFFSET_CLOSE: "1",
    pb.OFFSET_CLOSE_TODAY: "3",
    pb.OFFSET_CLOSE_YESTERDAY: "4",
}
STATUS = {
    "0": market_pb2.INSTRUMENT_STATUS_BEFORE_TRADING,
    "1": market_pb2.INSTRUMENT_STATUS_NO_TRADING,
    "2": market_pb2.INSTRUMENT_STATUS_CONTINUOUS,
    "3": market_pb2.INSTRUMENT_STATUS_AUCTION_ORDERING,
    "4": market_pb2.INSTRUMENT_STATUS_AUCTION_BALANCE,
    "5": market_pb2.INSTRUMENT_STATUS_AUCTION_MATCH,
    "6": market_pb2.INSTRUMENT_STATUS_CLOSED,
}
FUTURES = "1"
# PosiDirection.
LONG = "2"
# TimeCondition and VolumeCondition.
IOC, GOOD_FOR_DAY = "1", "3"
ANY_VOLUME, ALL_OF_IT = "1", "3"


class SessionKey(NamedTuple):
    """What names an order until the exchange has: unique within a CTP session."""

    front_id: int
    session_id: int
    order_ref: str


class OrderReport(NamedTuple):
    """One OnRtnOrder (or row of the order query)."""

    session: SessionKey
    exchange: str
    order_sys_id: str
    memo: str
    status: str
    submit_status: str
    traded: int
    text: str
    cancelled_by: str
    order: pb.Order
    """The order as its fields describe it, for one that we do not know."""


def order_report(row: Row) -> OrderReport:
    """Read an Order row."""
    order = pb.Order(
        account_id=row["InvestorID"],
        symbol=row["InstrumentID"],
        exchange=row["ExchangeID"],
        direction=DIRECTION[row["Direction"]],
        offset=OFFSET[row["CombOffsetFlag"][:1]],
        type=_order_type(row),
        price=row["LimitPrice"],
        volume=row["VolumeTotalOriginal"],
        trading_day=row["TradingDay"],
        front_id=row["FrontID"],
        session_id=row["SessionID"],
        order_ref=row["OrderRef"].strip(),
    )
    return OrderReport(
        session=SessionKey(row["FrontID"], row["SessionID"], row["OrderRef"].strip()),
        exchange=row["ExchangeID"],
        order_sys_id=row["OrderSysID"],
        memo=row["OrderMemo"],
        status=row["OrderStatus"],
        submit_status=row["OrderSubmitStatus"],
        traded=row["VolumeTraded"],
        text=row["StatusMsg"],
        cancelled_by=row["ActiveUserID"],
        order=order,
    )


def _order_type(row: Row) -> pb.OrderType.ValueType:
    if row["TimeCondition"] != IOC:
        return pb.ORDER_TYPE_LIMIT
    return pb.ORDER_TYPE_FOK if row["VolumeCondition"] == ALL_OF_IT else pb.ORDER_TYPE_FAK


def trade_message(row: Row) -> pb.Trade:
    """Read a Trade row; the order it belongs to is not known here.

    The date is TradeDate, which at SHFE is the natural day.
    """
    return pb.Trade(
        account_id=row["InvestorID"],
        trading_day=row["TradingDay"],
        exchange=row["ExchangeID"],
        trade_id=row["TradeID"].strip(),
        direction=DIRECTION[row["Direction"]],
        order_sys_id=row["OrderSysID"],
        symbol=row["InstrumentID"],
        offset=OFFSET[row["OffsetFlag"]],
        price=row["Price"],
        volume=row["Volume"],
        time=exchange_time(row["TradeDate"], row["TradeTime"]),
    )


def account_message(row: Row, now: Timestamp) -> pb.Account:
    """Read a TradingAccount row."""
    return pb.Account(
        account_id=row["AccountID"],
        balance=row["Balance"],
        available=row["Available"],
        margin=row["CurrMargin"],
        frozen_margin=row["FrozenMargin"],
        frozen_commission=row["FrozenCommission"],
        commission=row["Commission"],
        close_profit=row["CloseProfit"],
        position_profit=row["PositionProfit"],
        pre_balance=row["PreBalance"],
        trading_day=row["TradingDay"],
        update_time=now,
    )


def status_of(row: Row) -> Status:
    """Read an InstrumentStatus row; a status that we have no word for is none that trades."""
    status = STATUS.get(row["InstrumentStatus"], market_pb2.INSTRUMENT_STATUS_NO_TRADING)
    return Status(status, row["EnterTime"], row["TradingDay"])


def instrument_message(row: Row) -> market_pb2.Instrument | None:
    """Read an Instrument row; None for options and combinations."""
    if row["ProductClass"] != FUTURES:
        return None
    return market_pb2.Instrument(
        symbol=row["InstrumentID"],
        exchange=row["ExchangeID"],
        product=row["ProductID"],
        name=row["InstrumentName"],
        multiplier=row["VolumeMultiple"],
        price_tick=row["PriceTick"],
        min_limit_order_volume=row["MinLimitOrderVolume"],
        max_limit_order_volume=row["MaxLimitOrderVolume"],
        expire_date=row["ExpireDate"],
        trading=bool(row["IsTrading"]),
    )


class DetailRow(NamedTuple):
    """A row of the position detail query: lots of one opening trade."""

    symbol: str
    exchange: str
    side: pb.PositionSide.ValueType
    open_date: str
    trade_id: str
    price: float
    settlement: float
    """The last settlement price: what profit of lots from earlier days counts from."""
    volume: int
    closed: int


def detail_row(row: Row) -> DetailRow:
    """Read an InvestorPositionDetail row."""
    long = DIRECTION[row["Direction"]] == pb.DIRECTION_BUY
    return DetailRow(
        symbol=row["InstrumentID"],
        exchange=row["ExchangeID"],
        side=pb.POSITION_SIDE_LONG if long else pb.POSITION_SIDE_SHORT,
        open_date=row["OpenDate"],
        trade_id=row["TradeID"].strip(),
        price=row["OpenPrice"],
        settlement=row["LastSettlementPrice"],
        volume=row["Volume"],
        closed=row["CloseVolume"],
    )


class OpeningRow(NamedTuple):
    """What the position query says of a side's lots from earlier days, as the day began."""

    symbol: str
    exchange: str
    side: pb.PositionSide.ValueType
    volume: int
    settlement: float


def opening_row(row: Row) -> OpeningRow:
    """Read an InvestorPosition row: YdPosition stays what it was when the day began."""
    return OpeningRow(
        symbol=row["InstrumentID"],
        exchange=row["ExchangeID"],
        side=pb.POSITION_SIDE_LONG if row["PosiDirection"] == LONG else pb.POSITION_SIDE_SHORT,
        volume=row["YdPosition"],
        settlement=row["PreSettlementPrice"],
    )


def opening_money(row: Row) -> Opening:
    """Read from a TradingAccount row what the day began with, and what no order or trade of futures moves."""
    set_aside = row["FrozenCash"] + row["DeliveryMargin"]
    return Opening(row["PreBalance"], row["Deposit"], row["Withdraw"], row["CashIn"], set_aside)


def margin_rates(row: Row) -> tuple[Rate, Rate]:
    """Read an InstrumentMarginRate row: long and short."""
    return (
        Rate(row["LongMarginRatioByMoney"], row["LongMarginRatioByVolume"]),
        Rate(row["ShortMarginRatioByMoney"], row["ShortMarginRatioByVolume"]),
    )


def commission_rates(row: Row) -> tuple[Rate, Rate, Rate]:
    """Read an InstrumentCommissionRate row: open, close and close today."""
    return (
        Rate(row["OpenRatioByMoney"], row["OpenRatioByVolume"]),
        Rate(row["CloseRatioByMoney"], row["CloseRatioByVolume"]),
        Rate(row["CloseTodayRatioByMoney"], row["CloseTodayRatioByVolume"]),
    )


def margin_by_side(row: Row) -> bool:
    """Tell from an Instrument row whether margin is asked of the larger side alone."""
    return bool(row["MaxMarginSideAlgorithm"] == "1")


def margin_price(row: Row) -> str:
    """Read of a BrokerTradingParams row which price of the tick margin of today's lots counts from.

    Empty for MarginPriceType 4: the price that they were opened at.
    """
    fields = {"1": "pre_settlement_price", "2": "last_price", "3": "average_price"}
    return fields.get(row["MarginPriceType"], "")


def settlement_statement(rows: list[Row]) -> pb.GetSettlementResponse | None:
    """Join the pieces of a statement, None if there are none: each is 500 bytes, and may end inside a character."""
    if not rows:
        return None
    pieces = sorted(rows, key=lambda row: (row["SettlementID"], row["SequenceNo"]))
    text = b"".join(row["Content"] for row in pieces).decode("gb18030", "replace")
    return pb.GetSettlementResponse(trading_day=rows[0]["TradingDay"], text=text)
