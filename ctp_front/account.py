"""One investor's money and positions: margin, fees, frozen amounts, profit, and the daily settlement.

Balance = PreBalance + Deposit - Withdraw + PositionProfit + CloseProfit - Commission, and
Available = Balance - CurrMargin - FrozenMargin - FrozenCommission.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ctp_front import refusals
from ctp_front.instrument import Instrument
from ctp_front.orders import OPEN, Order, OrderRequest, Trade
from ctp_front.position import HISTORY, TODAY, Holding, HoldingKey, Lot, key_of, open_profit, profit

# The price to mark a contract's lots at; None where there has been none.
Mark = Callable[[str], float | None]
Instruments = Callable[[str], Instrument]


class Money(NamedTuple):
    """The account's money at one moment, in yuan."""

    balance: float
    available: float
    margin: float
    position_profit: float


@dataclass(slots=True)
class Account:
    """An investor."""

    account_id: str
    pre_balance: float
    deposit: float = 0.0
    withdraw: float = 0.0
    pre_margin: float = 0.0
    close_profit: float = 0.0
    commission: float = 0.0
    confirmed: str = ""  # the trading day whose settlement was confirmed
    max_order_ref: int = 0  # of the trading day
    holdings: dict[HoldingKey, Holding] = field(default_factory=dict)
    frozen_margin: float = 0.0
    frozen_commission: float = 0.0

    def holding(self, key: HoldingKey) -> Holding:
        """Give a holding, empty if there was none."""
        return self.holdings.setdefault(key, Holding())

    def money(self, instruments: Instruments, mark: Mark) -> Money:
        """Count the money at the market's prices."""
        margin = held_profit = 0.0
        for key, holding in self.holdings.items():
            instrument = instruments(key.symbol)
            margin += instrument.margin(instrument.amount(holding.cost_value, 1))
            held_profit += open_profit(instrument, key.side, holding, mark(key.symbol))
        balance = self.pre_balance + self.deposit - self.withdraw + held_profit + self.close_profit - self.commission
        available = balance - margin - self.frozen_margin - self.frozen_commission
        return Money(balance, available, margin, held_profit)

    def check(self, instrument: Instrument, request: OrderRequest, available: Callable[[], float]) -> None:
        """Raise the refusal of an order that the account cannot pay for, or has no lots to close with."""
        if request.offset == OPEN:
            needed = instrument.margin(instrument.amount(request.price, request.volume))
            if needed + instrument.product.open_fee * request.volume > available():
                raise refusals.insufficient_money()
            return
        key = key_of(instrument, request.direction, request.offset)
        holding = self.holdings.get(key)
        if holding is not None and request.volume <= holding.free:
            return
        if not instrument.splits_days:
            raise refusals.over_close()
        raise refusals.over_close_today() if key.date == TODAY else refusals.over_close_yesterday()

    def freeze(self, instrument: Instrument, order: Order, lots: int) -> None:
        """Freeze what `lots` of an order need, or free it again where `lots` is negative."""
        if order.offset == OPEN:
            self.frozen_margin += instrument.margin(instrument.amount(order.price, lots))
            self.frozen_commission += instrument.product.open_fee * lots
        else:
            self.holding(key_of(instrument, order.direction, order.offset)).frozen += lots

    def book(self, instrument: Instrument, trade: Trade) -> None:
        """Book a trade: lots, fees, and the profit of what it closed."""
        key = key_of(instrument, trade.direction, trade.offset)
        holding = self.holding(key)
        if trade.offset == OPEN:
            holding.add(Lot(trade.trade_id, trade.trading_day, trade.price, trade.price, trade.volume))
            holding.opened += trade.volume
            holding.open_amount += instrument.amount(trade.price, trade.volume)
            fee = instrument.product.open_fee * trade.volume
        else:
            fee = self._close(instrument, key, trade)
        holding.commission += fee
        self.commission += fee

    def _close(self, instrument: Instrument, key: HoldingKey, trade: Trade) -> float:
        holding = self.holding(key)
        made = fee = 0.0
        for lot, volume in holding.close(trade.volume):
            made += profit(instrument, key.side, lot.cost_price, trade.price, volume)
            same_day = lot.open_day == trade.trading_day
            fee += (instrument.product.close_today_fee if same_day else instrument.product.close_fee) * volume
        holding.closed += trade.volume
        holding.close_amount += instrument.amount(trade.price, trade.volume)
        holding.close_profit += made
        self.close_profit += made
        return fee

    def settle(self, instruments: Instruments, settlement: Mark) -> None:
        """End the trading day: profit becomes balance, and today's lots become yesterday's."""
        money = self.money(instruments, settlement)
        self.pre_balance, self.pre_margin = money.balance, money.margin
        self.deposit = self.withdraw = self.close_profit = self.commission = 0.0
        self.frozen_margin = self.frozen_commission = 0.0
        self.confirmed, self.max_order_ref = "", 0
        held, self.holdings = self.holdings, {}
        # Older lots first: they stay in front of those that join them.
        for key, holding in sorted(held.items(), key=lambda item: item[0].date != HISTORY):
            if not holding.lots:
                continue
            date = HISTORY if instruments(key.symbol).splits_days else TODAY
            price = settlement(key.symbol)
            kept = self.holding(key._replace(date=date))
            for lot in holding.lots:
                cost = lot.cost_price if price is None else price
                kept.add(Lot(lot.trade_id, lot.open_day, lot.open_price, cost, lot.volume))
            kept.yesterday = kept.volume
