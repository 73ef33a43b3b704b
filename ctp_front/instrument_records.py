"""How a contract's terms, status and prices are written in CTP's own records.

An absent price is DBL_MAX, as CTP writes it.
"""

from ctp_front.depth import ABSENT, PARTS, Depth
from ctp_front.instrument import CZCE, EXCHANGES, MAX_VOLUME, Instrument
from ctp_front.layout import record
from ctp_front.records import CURRENCY


def instrument(told: Instrument, trading_day: str) -> bytes:
    """Write an Instrument as it is on a day."""
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
        IsTrading=0 if told.has_expired(trading_day) else 1,
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
        TradeCurrencyID=CURRENCY,
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
