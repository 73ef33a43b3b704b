"""The terms of a contract, told from its symbol."""

import pytest

from ctp_front import instrument_records
from ctp_front.instrument import from_symbol
from ctp_front.layout import record


def test_gold_is_a_thousand_grams_in_ticks_of_two_fen() -> None:
    """au2612 is SHFE gold for December 2026."""
    gold = from_symbol("au2612", "20261123")
    assert (gold.product.exchange, gold.product.multiplier, gold.product.price_tick) == ("SHFE", 1000, 0.02)
    assert (gold.year, gold.month, gold.splits_days) == (2026, 12, True)


@pytest.mark.parametrize(("symbol", "day", "year"), [("AP010", "20200803", 2020), ("AP101", "20200803", 2021)])
def test_czce_years_have_one_digit(symbol: str, day: str, year: int) -> None:
    """AP010 is October of the nearest year that ends in 0."""
    assert from_symbol(symbol, day).year == year


@pytest.mark.parametrize(("day", "is_trading"), [("20261231", 1), ("20270104", 0)])
def test_a_contract_trades_until_its_delivery_month_is_over(day: str, is_trading: int) -> None:
    """A client is told so with the instrument."""
    packed = instrument_records.instrument(from_symbol("au2612", "20261123"), day)
    assert record("Instrument").decode(packed[4:])["IsTrading"] == is_trading


def test_an_unknown_product_gets_round_terms() -> None:
    """Any recording can be replayed."""
    assert from_symbol("zz2701", "20261123").product.multiplier == 10


@pytest.mark.parametrize("ticks", [1, 39_999, 40_001, 43_210])
def test_every_multiple_of_the_tick_is_on_tick(ticks: int) -> None:
    """The remainder of a float division would refuse almost all gold prices."""
    gold = from_symbol("au2612", "20261123")
    assert gold.on_tick(ticks * 0.02)
    assert not gold.on_tick(ticks * 0.02 + 0.01)
