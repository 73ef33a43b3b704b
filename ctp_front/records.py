"""How orders and trades are written in CTP's own records, and how requests are read from them.

Texts go out in GB18030.
"""

from collections.abc import Mapping
from typing import Any

from ctp_front import tids
from ctp_front.layout import record
from ctp_front.orders import CancelRequest, Order, OrderRequest, Refusal, Report, Trade, number_text

FRONT_ID = 1
_TRADER, CURRENCY = "SIM0001", "CNY"
# To the library 0 is one a second, like nothing told; as many packets as this is what it begins with.
_ANY_RATE, _ANY_PACKETS = 100, 2**31 - 1


def info(refusal: Refusal | None = None) -> bytes:
    """Write the RspInfo that opens every reply."""
    if refusal is None:
        return record("RspInfo").make(ErrorMsg="正确")
    return record("RspInfo").make(ErrorID=refusal.error_id, ErrorMsg=refusal.text)


def query_rate(queries_per_second: int) -> bytes:
    """Write how many queries a second the library is to let through; it asks for this beside a login's answer."""
    return record("QueryFreq").make(QueryFreq=queries_per_second or _ANY_RATE, FTDPkgFreq=_ANY_PACKETS)


def order_request(values: Mapping[str, Any]) -> OrderRequest:
    """Read an InputOrder."""
    return OrderRequest(
        symbol=values["InstrumentID"] or values["OldInstrumentID"],
        exchange=values["ExchangeID"],
        order_ref=values["OrderRef"],
        direction=values["Direction"],
        offset=values["CombOffsetFlag"][:1],
        hedge=values["CombHedgeFlag"][:1] or "1",
        price=values["LimitPrice"],
        volume=values["VolumeTotalOriginal"],
        price_type=values["OrderPriceType"],
        time_condition=values["TimeCondition"],
        volume_condition=values["VolumeCondition"],
        min_volume=values["MinVolume"],
        contingent=values["ContingentCondition"],
        memo=values["OrderMemo"],
        user_id=values["UserID"],
        request_id=values["RequestID"],
    )


def cancel_request(values: Mapping[str, Any]) -> CancelRequest:
    """Read an InputOrderAction."""
    return CancelRequest(
        symbol=values["InstrumentID"] or values["OldInstrumentID"],
        exchange=values["ExchangeID"],
        sys_id=values["OrderSysID"],
        front_id=values["FrontID"],
        session_id=values["SessionID"],
        order_ref=values["OrderRef"],
        action=values["ActionFlag"],
    )


def report(broker_id: str, told: Report) -> tuple[int, bytes]:
    """Give the TID and the field that tell of an order or a trade."""
    if isinstance(told, Order):
        return tids.RTN_ORDER, order(broker_id, told)
    return tids.RTN_TRADE, trade(broker_id, told)


def order(broker_id: str, told: Order) -> bytes:
    """Write an Order."""
    return record("Order").make(
        BrokerID=broker_id,
        InvestorID=told.account_id,
        AccountID=told.account_id,
        CurrencyID=CURRENCY,
        UserID=told.user_id,
        ClientID=told.account_id,
        ParticipantID=broker_id,
        FrontID=told.front_id,
        SessionID=told.session_id,
        OrderRef=told.order_ref,
        RequestID=told.request_id,
        OrderMemo=told.memo,
        InstrumentID=told.symbol,
        ExchangeInstID=told.symbol,
        ExchangeID=told.exchange,
        TraderID=_TRADER,
        OrderLocalID=told.local_id,
        OrderSysID=told.sys_id,
        OrderPriceType="2",
        Direction=told.direction,
        CombOffsetFlag=told.offset,
        CombHedgeFlag=told.hedge,
        LimitPrice=told.price,
        VolumeTotalOriginal=told.volume,
        VolumeTraded=told.traded,
        VolumeTotal=told.rest,
        TimeCondition=told.time_condition,
        VolumeCondition=told.volume_condition,
        MinVolume=told.min_volume,
        ContingentCondition="1",
        ForceCloseReason="0",
        OrderSource="0",
        OrderType="0",
        OrderStatus=told.status,
        OrderSubmitStatus=told.submit_status,
        StatusMsg=told.message,
        TradingDay=told.trading_day,
        SettlementID=1,
        InsertDate=told.insert_day,
        InsertTime=told.insert_time,
        UpdateTime=told.update_time,
        CancelTime=told.cancel_time,
        ActiveUserID=told.cancelled_by,
        ActiveTraderID=_TRADER if told.sys_id else "",
        SequenceNo=told.number,
        BrokerOrderSeq=told.number,
    )


def trade(broker_id: str, told: Trade) -> bytes:
    """Write a Trade."""
    return record("Trade").make(
        BrokerID=broker_id,
        InvestorID=told.account_id,
        UserID=told.user_id,
        ClientID=told.account_id,
        ParticipantID=broker_id,
        OrderRef=told.order_ref,
        InstrumentID=told.symbol,
        ExchangeInstID=told.symbol,
        ExchangeID=told.exchange,
        TraderID=_TRADER,
        OrderLocalID=number_text(told.order_number),
        OrderSysID=told.order_sys_id,
        TradeID=told.trade_id,
        Direction=told.direction,
        OffsetFlag=told.offset,
        HedgeFlag=told.hedge,
        Price=told.price,
        Volume=told.volume,
        TradeDate=told.day,
        TradeTime=told.time,
        TradeType="0",
        PriceSource="0",
        TradeSource="0",
        TradingDay=told.trading_day,
        SettlementID=1,
        SequenceNo=told.number,
        BrokerOrderSeq=told.order_number,
    )


def order_action(refused: Mapping[str, Any], refusal: Refusal) -> bytes:
    """Write the OrderAction of a cancel that was refused."""
    names = record("OrderAction").names
    echoed = {name: value for name, value in refused.items() if name in names}
    return record("OrderAction").encode({**echoed, "OrderActionStatus": "c", "StatusMsg": refusal.text})
