"""What lots cost and win, by the broker's own rates."""

from typing import Any

import pytest

from arbig.market.v1.market_pb2 import Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import AU, TERMS, account_row
from trade_svc.money import Money, commission_of, margin_of, reckon
from trade_svc.positions import Holding, Lot, Positions, SideKey
from trade_svc.reports import commission_rates, margin_price, margin_rates, opening_money
from trade_svc.terms import Opening, Rate, Rates

LONG, SHORT = pb.POSITION_SIDE_LONG, pb.POSITION_SIDE_SHORT


def trade(offset: pb.Offset.ValueType, volume: int, price: float, direction: pb.Direction.ValueType) -> pb.Trade:
    return pb.Trade(
        symbol="au2604", exchange="SHFE", direction=direction, offset=offset, volume=volume, price=price, trade_id="1"
    )


def held(*, yesterday: int = 0, today: int = 0) -> Holding:
    """Give lots that were opened at 780 and settled at 790, and lots that were opened at 800 today."""
    holding = Holding(1)
    holding.yesterday = [Lot(780.0, 790.0, yesterday)]
    holding.today = [Lot(800.0, 800.0, today)]
    return holding


def money(positions: Positions, opening: Opening = Opening(1e6, 0.0, 0.0), **terms: Any) -> Money:  # noqa: B008
    found = reckon(opening, positions, [], {"au2604": TERMS._replace(**terms)}, {"au2604": 801.0})
    assert found
    return found


def test_margin_is_a_share_of_the_value_and_yuan_a_lot() -> None:
    """CTP adds both; each side has a rate of its own."""
    terms = TERMS._replace(margin_long=Rate(0.1, 50.0), margin_short=Rate(0.2, 0.0))
    assert margin_of(LONG, held(today=2), terms) == pytest.approx(2 * 80_000 + 100)
    assert margin_of(SHORT, held(today=2), terms) == pytest.approx(2 * 160_000)


@pytest.mark.parametrize(
    ("price_type", "todays"),
    [("1", 790.0), ("2", 805.0), ("3", 803.0), ("4", 800.0)],
)
def test_margin_of_older_lots_counts_from_the_settlement_price_whatever_todays_does(
    price_type: str, todays: float
) -> None:
    """MarginPriceType: the settlement before, the last price, the day's average, their own."""
    rates = Rates()
    rates.margins["au2604"], rates.commissions["au2604"] = TERMS[1:3], TERMS[3:6]
    rates.margin_price = margin_price({"MarginPriceType": price_type})
    tick = Tick(pre_settlement_price=790.0, last_price=805.0, average_price=803.0)
    terms = rates.terms(Instrument(symbol="au2604", exchange="SHFE", multiplier=1000), tick)
    assert terms is not None
    assert margin_of(LONG, held(yesterday=1, today=1), terms) == pytest.approx((790.0 + todays) * 100)


@pytest.mark.parametrize(("one_side", "margin"), [(False, 240_000.0), (True, 160_000.0)])
def test_the_larger_side_alone_pays_where_the_exchange_says_so(one_side: bool, margin: float) -> None:
    """SHFE does for both sides of one instrument."""
    positions = Positions()
    positions.apply(trade(pb.OFFSET_OPEN, 1, 800.0, pb.DIRECTION_BUY))
    positions.apply(trade(pb.OFFSET_OPEN, 2, 800.0, pb.DIRECTION_SELL))
    assert money(positions, one_side=one_side).margin == pytest.approx(margin)


def test_commission_has_a_rate_for_each_way_to_trade() -> None:
    """A share of the value and yuan a lot, added: to open, to close, and to close today's."""
    terms = TERMS._replace(open=Rate(1e-5, 10.0), close=Rate(0.0, 7.0), close_today=Rate(0.0, 1.0))
    holding = held(yesterday=1)
    sell = pb.DIRECTION_SELL
    holding.apply(trade(pb.OFFSET_OPEN, 2, 800.0, pb.DIRECTION_BUY))
    assert commission_of(holding, terms) == pytest.approx(2 * (8.0 + 10.0))
    holding.apply(trade(pb.OFFSET_CLOSE_YESTERDAY, 1, 800.0, sell))
    holding.apply(trade(pb.OFFSET_CLOSE_TODAY, 1, 800.0, sell))
    assert commission_of(holding, terms) == pytest.approx(36.0 + 7.0 + 1.0)


def test_balance_and_available_are_ctps_own_sums() -> None:
    """Premiums, what they freeze, and the margin of a delivery are in them, though we trade no options."""
    row = account_row(Deposit=500.0, Withdraw=200.0, CashIn=40.0, FrozenCash=3.0, DeliveryMargin=70.0)
    positions = Positions()
    positions.apply(trade(pb.OFFSET_OPEN, 1, 800.0, pb.DIRECTION_BUY))
    found = money(positions, opening_money(row))
    assert found.balance == pytest.approx(1e6 + 500 - 200 + 40 + 1000 - 10)
    assert found.available == pytest.approx(found.balance - 80_000 - 3 - 70)


def test_the_money_is_not_guessed_without_a_rate_or_a_price() -> None:
    """Then nothing opens."""
    positions = Positions()
    positions.apply(trade(pb.OFFSET_OPEN, 1, 800.0, pb.DIRECTION_BUY))
    opening = Opening(1e6, 0.0, 0.0)
    assert reckon(opening, positions, [], {}, {"au2604": 801.0}) is None
    assert reckon(opening, positions, [], {"au2604": TERMS}, {}) is None
    assert positions.holding(SideKey("au2604", "SHFE", LONG)).lots


@pytest.mark.parametrize("named", ["au2604", "au"])
def test_a_commission_rate_is_the_instruments_or_its_products(named: str) -> None:
    """Older counters answer with the product; margin is always the instrument's."""
    rates = Rates()
    assert rates.terms(AU, None) is None
    margin = {f"{side}MarginRatioBy{by}": 0.1 for side in ("Long", "Short") for by in ("Money", "Volume")}
    commission = {f"{way}RatioBy{by}": 2.0 for way in ("Open", "Close", "CloseToday") for by in ("Money", "Volume")}
    rates.margins["au2604"] = margin_rates(margin)
    assert rates.terms(AU, None) is None
    rates.commissions[named] = commission_rates(commission)
    terms = rates.terms(AU, None)
    assert terms
    assert (terms.margin_long, terms.close_today) == (Rate(0.1, 0.1), Rate(2.0, 2.0))
