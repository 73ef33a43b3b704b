"""What lots cost and win: margin, commission, profit and what is left, in yuan.

Balance = PreBalance + Deposit - Withdraw + PositionProfit + CloseProfit + CashIn - Commission, and
Available = Balance - CurrMargin - FrozenMargin - FrozenCommission - FrozenCash - DeliveryMargin (CTP's
note on the account query).
Rates are those that the broker gave for the account, never the exchange's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.positions import Holding, Positions, count, key_of
from trade_svc.terms import Opening, Terms


class Money(NamedTuple):
    """The account's money at one moment."""

    balance: float
    available: float
    margin: float
    frozen_margin: float
    frozen_commission: float
    commission: float
    close_profit: float
    position_profit: float


Prices = Mapping[str, float]


def margin_of(side: pb.PositionSide.ValueType, holding: Holding, terms: Terms) -> float:
    """Give the margin of a side; lots of earlier days always count from their settlement price."""
    value = sum(lot.cost_price * lot.volume for lot in holding.yesterday)
    value += sum((terms.base_price or lot.open_price) * lot.volume for lot in holding.today)
    return terms.margin_rate(side).on(value * terms.multiplier, count(holding.lots))


def commission_of(holding: Holding, terms: Terms) -> float:
    """Give the commission of a side's trades of the day."""
    kinds = ((holding.opened, terms.open), (holding.closed, terms.close), (holding.closed_today, terms.close_today))
    return sum(rate.on(done.value * terms.multiplier, done.lots) for done, rate in kinds)


def reckon(
    opening: Opening, positions: Positions, orders: Iterable[pb.Order], terms: Mapping[str, Terms], prices: Prices
) -> Money | None:
    """Give the account's money; None where the terms or the price of something held are not known."""
    margins: defaultdict[str, list[float]] = defaultdict(list)
    commission = won = floating = 0.0
    for key, holding in positions.holdings.items():
        known = terms.get(key.symbol)
        if known is None or (holding.lots and key.symbol not in prices):
            return None
        margins[key.symbol].append(margin_of(key.side, holding, known))
        commission += commission_of(holding, known)
        won += holding.won * known.multiplier
        floating += holding.profit(prices[key.symbol]) * known.multiplier if holding.lots else 0.0
    margin = sum(max(sides) if terms[symbol].one_side else sum(sides) for symbol, sides in margins.items())
    frozen_margin, frozen_commission = _frozen(orders, terms)
    paid = opening.deposit - opening.withdraw + opening.cash_in
    balance = opening.pre_balance + paid + floating + won - commission
    available = balance - margin - frozen_margin - frozen_commission - opening.set_aside
    return Money(balance, available, margin, frozen_margin, frozen_commission, commission, won, floating)


def _frozen(orders: Iterable[pb.Order], terms: Mapping[str, Terms]) -> tuple[float, float]:
    margin = commission = 0.0
    for order in orders:
        if order.offset == pb.OFFSET_OPEN and order.symbol in terms:
            rest = order.volume - order.filled_volume
            margin += terms[order.symbol].margin(key_of(order).side, order.price, rest)
            commission += terms[order.symbol].commission(order.offset, order.price, rest)
    return margin, commission


def cost_of(order: pb.Order, terms: Terms) -> float:
    """Give the margin and commission that an order to open needs."""
    margin = terms.margin(key_of(order).side, order.price, order.volume)
    return margin + terms.commission(order.offset, order.price, order.volume)
