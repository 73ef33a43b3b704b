"""The exchange's books as the rows that the vendor's library would hand over."""

from collections.abc import Iterator
from typing import Any

from ctp_front.account import Account
from ctp_front.exchange import Exchange
from ctp_front.orders import BUY, Order, OrderRequest, Trade
from ctp_front.position import LONG

Row = dict[str, Any]


def order_row(order: Order) -> Row:
    """Give an Order."""
    return {
        "InvestorID": order.account_id,
        "InstrumentID": order.symbol,
        "ExchangeID": order.exchange,
        "Direction": order.direction,
        "CombOffsetFlag": order.offset,
        "LimitPrice": order.price,
        "VolumeTotalOriginal": order.volume,
        "TradingDay": order.trading_day,
        "FrontID": order.front_id,
        "SessionID": order.session_id,
        "OrderRef": order.order_ref,
        "OrderSysID": order.sys_id,
        "OrderMemo": order.memo,
        "OrderStatus": order.status,
        "OrderSubmitStatus": order.submit_status,
        "VolumeTraded": order.traded,
        "StatusMsg": order.message,
        "ActiveUserID": order.cancelled_by,
        "TimeCondition": order.time_condition,
        "VolumeCondition": order.volume_condition,
    }


def trade_row(trade: Trade) -> Row:
    """Give a Trade."""
    return {
        "InvestorID": trade.account_id,
        "TradingDay": trade.trading_day,
        "ExchangeID": trade.exchange,
        "TradeID": trade.trade_id,
        "Direction": trade.direction,
        "OrderSysID": trade.order_sys_id,
        "InstrumentID": trade.symbol,
        "OffsetFlag": trade.offset,
        "Price": trade.price,
        "Volume": trade.volume,
        "TradeDate": trade.day,
        "TradeTime": trade.time,
    }


def request_row(request: OrderRequest) -> Row:
    """Give the InputOrder that a refusal repeats."""
    return {"OrderRef": request.order_ref, "OrderMemo": request.memo}


def detail_rows(account: Account, settlement: float) -> Iterator[Row]:
    """Give the position details: lots that are closed wholly are in none."""
    for key, holding in account.holdings.items():
        for lot in holding.lots:
            yield {
                "InstrumentID": key.symbol,
                "ExchangeID": "SHFE",
                "Direction": BUY if key.side == LONG else "1",
                "OpenDate": lot.open_day,
                "TradeID": lot.trade_id,
                "OpenPrice": lot.open_price,
                "LastSettlementPrice": settlement,
                "Volume": lot.volume,
                "CloseVolume": lot.closed,
            }


def position_rows(account: Account, settlement: float) -> Iterator[Row]:
    """Give the positions: what each began the day with stays."""
    for key, holding in account.holdings.items():
        yield {
            "InstrumentID": key.symbol,
            "ExchangeID": "SHFE",
            "PosiDirection": key.side,
            "YdPosition": holding.yesterday,
            "PreSettlementPrice": settlement,
        }


def account_row(exchange: Exchange, account: Account) -> Row:
    """Give the TradingAccount."""
    money = exchange.money(account)
    return {
        "AccountID": account.account_id,
        "Balance": money.balance,
        "Available": money.available,
        "CurrMargin": money.margin,
        "FrozenMargin": account.frozen_margin,
        "FrozenCommission": account.frozen_commission,
        "Commission": account.commission,
        "CloseProfit": account.close_profit,
        "PositionProfit": money.position_profit,
        "PreBalance": account.pre_balance,
        "Deposit": account.deposit,
        "Withdraw": account.withdraw,
        "CashIn": 0.0,
        "FrozenCash": 0.0,
        "DeliveryMargin": 0.0,
        "TradingDay": exchange.trading_day,
    }
