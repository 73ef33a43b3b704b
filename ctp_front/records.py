"""How what the exchange knows is written in CTP's own records, and how requests are read from them.

An absent price is DBL_MAX, as CTP writes it. Texts go out in GB18030.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctp_front import tids
from ctp_front.account import Account, Money
from ctp_front.depth import ABSENT, PARTS, Depth
from ctp_front.instrument import CZCE, EXCHANGES, MAX_VOLUME, Instrument
from ctp_front.layout import record
from ctp_front.orders import CancelRequest, Order, OrderRequest, Refusal, Report, Trade
from ctp_front.position import Holding, HoldingKey, Lot

FRONT_ID = 1
_TRADER, _CURRENCY = "SIM0001", "CNY"


@dataclass(frozen=True)
class Day:
    """What a position row says about its day: prices are 0 where there are none, as CTP writes it."""

    trading_day: str
    pre_settlement: float
    price: float
    profit: float


def info(refusal: Refusal | None = None) -> bytes:
    """Write the RspInfo that opens every reply."""
    if refusal is None:
        return record("RspInfo").make(ErrorMsg="正确")
    return record("RspInfo").make(ErrorID=refusal.error_id, ErrorMsg=refusal.text)


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
        CurrencyID=_CURRENCY,
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
        TimeCondition="3",
        VolumeCondition="1",
        MinVolume=1,
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
        OrderLocalID=f"{told.order_number:12d}",
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


def instrument(told: Instrument) -> bytes:
    """Write an Instrument."""
    product = told.product
    delivery = f"{told.year}{told.month:02}"
    return record("Instrument").make(
        InstrumentID=told.symbol,
        ExchangeInstID=told.symbol,
        ExchangeID=product.exchange,
        InstrumentName=told.title,
        ProductID=product.name,
        ProductClass="1",
        DeliveryYear=told.year,
        DeliveryMonth=told.month,
        MaxMarketOrderVolume=MAX_VOLUME,
        MinMarketOrderVolume=1,
        MaxLimitOrderVolume=MAX_VOLUME,
        MinLimitOrderVolume=1,
        VolumeMultiple=product.multiplier,
        PriceTick=product.price_tick,
        CreateDate=f"{told.year - 1}{told.month:02}01",
        OpenDate=f"{told.year - 1}{told.month:02}16",
        ExpireDate=f"{delivery}15",
        StartDelivDate=f"{delivery}16",
        EndDelivDate=f"{delivery}20",
        InstLifePhase="1",
        IsTrading=1,
        PositionType="2",
        PositionDateType="1" if told.splits_days else "2",
        LongMarginRatio=product.margin_ratio,
        ShortMarginRatio=product.margin_ratio,
        MaxMarginSideAlgorithm="0",
        StrikePrice=ABSENT,
        UnderlyingMultiple=1.0,
        CombinationType="0",
    )


def product_of(told: Instrument) -> bytes:
    """Write the Product of a contract."""
    product = told.product
    return record("Product").make(
        ProductID=product.name,
        ProductName=product.title,
        ExchangeID=product.exchange,
        ExchangeProductID=product.name,
        ProductClass="1",
        VolumeMultiple=product.multiplier,
        PriceTick=product.price_tick,
        MaxMarketOrderVolume=MAX_VOLUME,
        MinMarketOrderVolume=1,
        MaxLimitOrderVolume=MAX_VOLUME,
        MinLimitOrderVolume=1,
        PositionType="2",
        PositionDateType="1" if told.splits_days else "2",
        CloseDealType="0",
        TradeCurrencyID=_CURRENCY,
        UnderlyingMultiple=1.0,
    )


def exchange_of(told: Instrument) -> bytes:
    """Write the Exchange of a contract."""
    name = told.product.exchange
    return record("Exchange").make(
        ExchangeID=name, ExchangeName=EXCHANGES[name], ExchangeProperty="1" if name == CZCE else "0"
    )


def status(told: Instrument, code: str, time: str) -> bytes:
    """Write the InstrumentStatus of a contract's product: CTP tells it by product."""
    product = told.product
    return record("InstrumentStatus").make(
        ExchangeID=product.exchange,
        SettlementGroupID="00000001",
        InstrumentID=product.name,
        ExchangeInstID=product.name,
        InstrumentStatus=code,
        TradingSegmentSN=1,
        EnterTime=time,
        EnterReason="1",
    )


def depth_market_data(told: Depth, exchange: str) -> bytes:
    """Write a DepthMarketData, the answer to a query; here the exchange is named."""
    names = [name for part in PARTS for name in record(part, "mduser").names if name != "OldInstrumentID"]
    values = dict(zip(names, told, strict=True))
    return record("DepthMarketData").encode(
        {
            **values,
            "ExchangeID": exchange,
            "ExchangeInstID": told.symbol,
            "BandingUpperPrice": ABSENT,
            "BandingLowerPrice": ABSENT,
        }
    )


def trading_account(broker_id: str, account: Account, trading_day: str, money: Money) -> bytes:
    """Write a TradingAccount."""
    return record("TradingAccount").make(
        BrokerID=broker_id,
        AccountID=account.account_id,
        CurrencyID=_CURRENCY,
        TradingDay=trading_day,
        SettlementID=1,
        PreBalance=account.pre_balance,
        PreMargin=account.pre_margin,
        Deposit=account.deposit,
        Withdraw=account.withdraw,
        FrozenMargin=_cents(account.frozen_margin),
        FrozenCommission=_cents(account.frozen_commission),
        CurrMargin=_cents(money.margin),
        ExchangeMargin=_cents(money.margin),
        Commission=_cents(account.commission),
        CloseProfit=_cents(account.close_profit),
        PositionProfit=_cents(money.position_profit),
        Balance=_cents(money.balance),
        Available=_cents(money.available),
        WithdrawQuota=max(_cents(money.available), 0.0),
    )


def investor_position(
    broker_id: str, account_id: str, told: Instrument, key: HoldingKey, holding: Holding, day: Day
) -> bytes:
    """Write one InvestorPosition row: one side of a contract, today's or older lots."""
    amount = told.amount
    today = sum(lot.volume for lot in holding.lots if lot.open_day == day.trading_day)
    return record("InvestorPosition").make(
        BrokerID=broker_id,
        InvestorID=account_id,
        InstrumentID=told.symbol,
        ExchangeID=told.product.exchange,
        PosiDirection=key.side,
        HedgeFlag="1",
        PositionDate=key.date,
        YdPosition=holding.yesterday,
        Position=holding.volume,
        TodayPosition=today,
        # What closes long lots is sold: it is counted as frozen short, and the other way round.
        ShortFrozen=holding.frozen if key.side == "2" else 0,
        LongFrozen=holding.frozen if key.side == "3" else 0,
        OpenVolume=holding.opened,
        CloseVolume=holding.closed,
        OpenAmount=holding.open_amount,
        CloseAmount=holding.close_amount,
        PositionCost=_cents(amount(holding.cost_value, 1)),
        OpenCost=_cents(amount(holding.open_value, 1)),
        UseMargin=_cents(told.margin(amount(holding.cost_value, 1))),
        ExchangeMargin=_cents(told.margin(amount(holding.cost_value, 1))),
        Commission=_cents(holding.commission),
        CloseProfit=_cents(holding.close_profit),
        CloseProfitByDate=_cents(holding.close_profit),
        PositionProfit=_cents(day.profit),
        PreSettlementPrice=day.pre_settlement,
        SettlementPrice=day.price,
        TradingDay=day.trading_day,
        SettlementID=1,
        MarginRateByMoney=told.product.margin_ratio,
    )


def position_detail(
    broker_id: str, account_id: str, told: Instrument, key: HoldingKey, lot: Lot, day: Day
) -> bytes:
    """Write one InvestorPositionDetail row: what one trade opened."""
    return record("InvestorPositionDetail").make(
        BrokerID=broker_id,
        InvestorID=account_id,
        InstrumentID=told.symbol,
        ExchangeID=told.product.exchange,
        HedgeFlag="1",
        Direction="0" if key.side == "2" else "1",
        OpenDate=lot.open_day,
        TradeID=lot.trade_id,
        Volume=lot.volume,
        OpenPrice=lot.open_price,
        TradingDay=day.trading_day,
        SettlementID=1,
        TradeType="0",
        PositionProfitByDate=_cents(day.profit),
        Margin=_cents(told.margin(told.amount(lot.cost_price, lot.volume))),
        ExchMargin=_cents(told.margin(told.amount(lot.cost_price, lot.volume))),
        MarginRateByMoney=told.product.margin_ratio,
        LastSettlementPrice=day.pre_settlement,
        SettlementPrice=day.price,
        CloseVolume=lot.closed,
    )


def margin_rate(broker_id: str, account_id: str, told: Instrument) -> bytes:
    """Write the InstrumentMarginRate that the account pays."""
    return record("InstrumentMarginRate").make(
        InvestorRange="1",
        BrokerID=broker_id,
        InvestorID=account_id,
        HedgeFlag="1",
        LongMarginRatioByMoney=told.product.margin_ratio,
        ShortMarginRatioByMoney=told.product.margin_ratio,
        ExchangeID=told.product.exchange,
        InstrumentID=told.symbol,
    )


def commission_rate(broker_id: str, account_id: str, told: Instrument) -> bytes:
    """Write the InstrumentCommissionRate that the account pays."""
    return record("InstrumentCommissionRate").make(
        InvestorRange="1",
        BrokerID=broker_id,
        InvestorID=account_id,
        OpenRatioByVolume=told.product.open_fee,
        CloseRatioByVolume=told.product.close_fee,
        CloseTodayRatioByVolume=told.product.close_today_fee,
        ExchangeID=told.product.exchange,
        InstrumentID=told.symbol,
    )


def confirmation(broker_id: str, account_id: str, trading_day: str, time: str = "") -> bytes:
    """Write the SettlementInfoConfirm of a day."""
    return record("SettlementInfoConfirm").make(
        BrokerID=broker_id,
        InvestorID=account_id,
        AccountID=account_id,
        CurrencyID=_CURRENCY,
        ConfirmDate=trading_day,
        ConfirmTime=time,
        SettlementID=1,
    )


def _cents(amount: float) -> float:
    # Money is kept in floats; what is told is free of their last digits.
    return round(amount, 4)
