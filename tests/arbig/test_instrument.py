"""Symbols and whole ticks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.errors import InvalidField
from arbig.instrument import check_symbol, price_in_ticks


@given(st.integers(1, 100_000))
def test_every_multiple_of_the_au_tick_is_a_whole_number_of_ticks(ticks: int) -> None:
    """Where `price % 0.02` is wrong for almost every price."""
    assert price_in_ticks(ticks * 0.02, 0.02) == ticks
    assert price_in_ticks(float(f"{ticks * 0.02:.2f}"), 0.02) == ticks


@pytest.mark.parametrize("price", [800.01, 800.021, float("nan"), float("inf"), 1e300])
def test_a_price_between_two_ticks_is_none(price: float) -> None:
    """Neither is a number that is no price."""
    assert price_in_ticks(price, 0.02) is None or price == 1e300


@pytest.mark.parametrize("symbol", ["", "1au", "au2604\n", "x" * 81, "au;drop table orders"])
def test_what_no_exchange_could_name_is_refused(symbol: str) -> None:
    """The error names the field."""
    with pytest.raises(InvalidField) as raised:
        check_symbol(symbol)
    assert raised.value.field == "symbol"
