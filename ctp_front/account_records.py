"""How an account's money and positions are written in CTP's own records."""

from dataclasses import dataclass

from ctp_front.account import Account, Money
from ctp_front.instrument import Instrument
from ctp_front.layout import record
from ctp_front.position import LONG, SHORT, Holding, HoldingKey, Lot
from ctp_front.records import CURRENCY


@dataclass(frozen=True)
class Owner:
    """Whose records they are."""

    broker_id: str
    account_id: str


@dataclass(frozen=True)
class Day:
    """What a position row says about its day: prices are 0 where there are none, as CTP writes it."""

    trading_day: str
    pre_settlement: float
    price: float
    profit: float


def trading_account(broker_id: str, account: Account, trading_day: str, money: Money) -> bytes:
    """Write a TradingAccount."""
    return record("TradingAccount").make(
        BrokerID=broker_id,
        AccountID=account.account_id,
        CurrencyID=CURRENCY,
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


def investor_position(owner: Owner, told: Instrument, key: HoldingKey, holding: Holding, day: Day) -> bytes:
    """Write one InvestorPosition row: one side of a contract, today's or older lots."""
    amount = told.amount
    today = sum(lot.volume for lot in holding.lots if lot.open_day == day.trading_day)
    return record("InvestorPosition").make(
        BrokerID=owner.broker_id,
        InvestorID=owner.account_id,
        InstrumentID=told.symbol,
        ExchangeID=told.product.exchange,
        PosiDirection=key.side,
        HedgeFlag="1",
        PositionDate=key.date,
        YdPosition=holding.yesterday,
        Position=holding.volume,
        TodayPosition=today,
        # What closes long lots is sold: it is counted as frozen short, and the other way round.
        ShortFrozen=holding.frozen if key.side == LONG else 0,
        LongFrozen=holding.frozen if key.side == SHORT else 0,
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


def position_detail(owner: Owner, told: Instrument, key: HoldingKey, lot: Lot, day: Day) -> bytes:
    """Write one InvestorPositionDetail row: what one trade opened."""
    return record("InvestorPositionDetail").make(
        BrokerID=owner.broker_id,
        InvestorID=owner.account_id,
        InstrumentID=told.symbol,
        ExchangeID=told.product.exchange,
        HedgeFlag="1",
        Direction="0" if key.side == LONG else "1",
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


def confirmation(owner: Owner, trading_day: str, time: str = "") -> bytes:
    """Write the SettlementInfoConfirm of a day."""
    return record("SettlementInfoConfirm").make(
        BrokerID=owner.broker_id,
        InvestorID=owner.account_id,
        AccountID=owner.account_id,
        CurrencyID=CURRENCY,
        ConfirmDate=trading_day,
        ConfirmTime=time,
        SettlementID=1,
    )


def _cents(amount: float) -> float:
    # Money is kept in floats; what is told is free of their last digits.
    return round(amount, 4)
