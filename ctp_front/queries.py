"""What a session may ask for, and the rows that answer it.

A query's empty fields ask for everything. No rows is an answer too: RspInfo without a data field.
"""

from collections.abc import Callable, Iterator
from typing import Any

from ctp_front import account_records, instrument_records, records, statement, tids
from ctp_front.account_records import Day, Owner
from ctp_front.exchange import Exchange
from ctp_front.instrument import Instrument
from ctp_front.layout import record
from ctp_front.position import Holding, HoldingKey, open_profit, profit
from ctp_front.wire import Message

Rows = Iterator[bytes]


class Queries:
    """Answers queries from the exchange's books."""

    def __init__(self, exchange: Exchange, broker_id: str) -> None:
        self._exchange = exchange
        self._broker_id = broker_id
        # The TID, the record that asks, and who answers.
        self._table: dict[int, tuple[str, Callable[[str, dict[str, Any]], Rows]]] = {
            tids.QUERY_ORDER: ("QryOrder", self._orders),
            tids.QUERY_TRADE: ("QryTrade", self._trades),
            tids.QUERY_POSITION: ("QryInvestorPosition", self._positions),
            tids.QUERY_POSITION_DETAIL: ("QryInvestorPositionDetail", self._details),
            tids.QUERY_ACCOUNT: ("QryTradingAccount", self._account),
            tids.QUERY_INVESTOR: ("QryInvestor", self._investor),
            tids.QUERY_TRADING_CODE: ("QryTradingCode", self._trading_codes),
            tids.QUERY_MARGIN_RATE: ("QryInstrumentMarginRate", self._margin_rates),
            tids.QUERY_COMMISSION_RATE: ("QryInstrumentCommissionRate", self._commission_rates),
            tids.QUERY_ORDER_COMMISSION: ("QryInstrumentOrderCommRate", self._nothing),
            tids.QUERY_EXCHANGE: ("QryExchange", self._exchanges),
            tids.QUERY_PRODUCT: ("QryProduct", self._products),
            tids.QUERY_INSTRUMENT: ("QryInstrument", self._instruments),
            tids.QUERY_DEPTH: ("QryDepthMarketData", self._depths),
            tids.QUERY_SETTLEMENT_INFO: ("QrySettlementInfo", self._settlement_info),
            tids.QUERY_SETTLEMENT_CONFIRM: ("QrySettlementInfoConfirm", self._settlement_confirm),
            tids.QUERY_BROKER_PARAMS: ("QryBrokerTradingParams", self._broker_params),
        }

    def __contains__(self, tid: int) -> bool:
        return tid in self._table

    def answer(self, account_id: str, message: Message) -> list[bytes]:
        """Give the rows that answer a query."""
        name, rows = self._table[message.tid]
        payload = message.field(record(name).fid)
        asked = {} if payload is None else record(name).decode(payload)
        return list(rows(account_id, {key: value for key, value in asked.items() if value}))

    # The day's books of the account.

    def _orders(self, account_id: str, asked: dict[str, Any]) -> Rows:
        for order in self._exchange.orders:
            if order.account_id == account_id and _wanted(asked, order.symbol, OrderSysID=order.sys_id):
                yield records.order(self._broker_id, order)

    def _trades(self, account_id: str, asked: dict[str, Any]) -> Rows:
        for trade in self._exchange.trades:
            if trade.account_id == account_id and _wanted(asked, trade.symbol, TradeID=trade.trade_id):
                yield records.trade(self._broker_id, trade)

    def _positions(self, account_id: str, asked: dict[str, Any]) -> Rows:
        for instrument, key, holding in self._holdings(account_id, asked):
            made = open_profit(instrument, key.side, holding, self._exchange.last(key.symbol))
            day = self._day(key.symbol, made)
            yield account_records.investor_position(self._owner(account_id), instrument, key, holding, day)

    def _details(self, account_id: str, asked: dict[str, Any]) -> Rows:
        for instrument, key, holding in self._holdings(account_id, asked):
            last = self._exchange.last(key.symbol)
            for lot in holding.lots:
                made = 0.0 if last is None else profit(instrument, key.side, lot.cost_price, last, lot.volume)
                day = self._day(key.symbol, made)
                yield account_records.position_detail(self._owner(account_id), instrument, key, lot, day)

    def _account(self, account_id: str, asked: dict[str, Any]) -> Rows:
        account = self._exchange.account(account_id)
        money = self._exchange.money(account)
        yield account_records.trading_account(self._broker_id, account, self._exchange.trading_day, money)

    def _settlement_info(self, account_id: str, asked: dict[str, Any]) -> Rows:
        # Of earlier days nothing is kept.
        trading_day = self._exchange.trading_day
        if asked.get("TradingDay", trading_day) == trading_day:
            yield from statement.pieces(self._owner(account_id), trading_day, self._exchange.account(account_id))

    def _settlement_confirm(self, account_id: str, asked: dict[str, Any]) -> Rows:
        confirmed = self._exchange.account(account_id).confirmed
        if confirmed:
            yield account_records.confirmation(self._owner(account_id), confirmed)

    def _investor(self, account_id: str, asked: dict[str, Any]) -> Rows:
        yield record("Investor").make(
            InvestorID=account_id, BrokerID=self._broker_id, InvestorName=f"模拟{account_id}", IsActive=1
        )

    def _trading_codes(self, account_id: str, asked: dict[str, Any]) -> Rows:
        for exchange in sorted({told.product.exchange for told in self._exchange.instruments.values()}):
            yield record("TradingCode").make(
                InvestorID=account_id,
                BrokerID=self._broker_id,
                ExchangeID=exchange,
                ClientID=account_id,
                IsActive=1,
                ClientIDType="1",
            )

    def _broker_params(self, account_id: str, asked: dict[str, Any]) -> Rows:
        # Margin of today's lots counts from their open price; profit, won or lost, counts as money.
        yield record("BrokerTradingParams").make(
            BrokerID=self._broker_id,
            InvestorID=account_id,
            AccountID=account_id,
            MarginPriceType="4",
            Algorithm="1",
            AvailIncludeCloseProfit="0",
            CurrencyID="CNY",
        )

    # What is traded.

    def _instruments(self, account_id: str, asked: dict[str, Any]) -> Rows:
        trading_day = self._exchange.trading_day
        return (instrument_records.instrument(told, trading_day) for told in self._matching(asked))

    def _margin_rates(self, account_id: str, asked: dict[str, Any]) -> Rows:
        return (instrument_records.margin_rate(self._broker_id, account_id, told) for told in self._matching(asked))

    def _commission_rates(self, account_id: str, asked: dict[str, Any]) -> Rows:
        return (instrument_records.commission_rate(self._broker_id, account_id, told) for told in self._matching(asked))

    def _exchanges(self, account_id: str, asked: dict[str, Any]) -> Rows:
        return iter(dict.fromkeys(map(instrument_records.exchange_of, self._matching(asked))))

    def _products(self, account_id: str, asked: dict[str, Any]) -> Rows:
        return iter(dict.fromkeys(map(instrument_records.product_of, self._matching(asked))))

    def _depths(self, account_id: str, asked: dict[str, Any]) -> Rows:
        for told in self._matching(asked):
            depth = self._exchange.books[told.symbol].depth
            if depth is not None:
                yield instrument_records.depth_market_data(depth, told.product.exchange)

    def _nothing(self, account_id: str, asked: dict[str, Any]) -> Rows:
        return iter(())

    def _matching(self, asked: dict[str, Any]) -> Iterator[Instrument]:
        for told in self._exchange.instruments.values():
            names = {"ExchangeID": told.product.exchange, "ProductID": told.product.name}
            if _wanted(asked, told.symbol, **names):
                yield told

    def _holdings(self, account_id: str, asked: dict[str, Any]) -> Iterator[tuple[Instrument, HoldingKey, Holding]]:
        for key, holding in sorted(self._exchange.account(account_id).holdings.items()):
            if _wanted(asked, key.symbol):
                yield self._exchange.instruments[key.symbol], key, holding

    def _owner(self, account_id: str) -> Owner:
        return Owner(self._broker_id, account_id)

    def _day(self, symbol: str, made: float) -> Day:
        depth = self._exchange.books[symbol].depth
        price = self._exchange.last(symbol) or 0.0
        return Day(self._exchange.trading_day, 0.0 if depth is None else depth.pre_settlement, price, made)


def _wanted(asked: dict[str, Any], symbol: str, **names: str) -> bool:
    named = {"InstrumentID": symbol, **names}
    return all(asked[name].strip() == value.strip() for name, value in named.items() if name in asked)
