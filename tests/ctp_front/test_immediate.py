"""FAK and FOK: what they get at once, and how each exchange tells of it."""

from typing import Any

import pytest

from ctp_front.exchange import Exchange
from ctp_front.orders import BUY, CLOSE_TODAY, SELL, Order, Trade
from tests.ctp_front.makers import FAK, FOK, NOW, SESSION, at_least, cancel, depth, exchange, request, told

# A contract of each exchange, and the case's callbacks as the vendor's manual has them.
PART_FILLED = {
    "au2612": "u c c T",  # SHFE: the cancel comes before its trade
    "sc2701": "u c c T",  # INE
    "IF2612": "u c c T",  # CFFEX
    "m2701": "u n p T c",  # DCE
    "si2701": "u n p T c",  # GFEX
    "AP701": "u n n p T c",  # CZCE
}


def _market(symbol: str, *asks: tuple[float, int]) -> Exchange:
    market = exchange(symbol=symbol)
    market.apply(depth(bids=[(790.0, 9)], asks=list(asks), symbol=symbol))
    return market


def _play(symbol: str, kind: dict[str, Any], volume: int, *asks: tuple[float, int]) -> str:
    market = _market(symbol, *asks)
    return told(market.insert(SESSION, request(symbol=symbol, exchange="", volume=volume, **kind), NOW))


@pytest.mark.parametrize(("symbol", "sequence"), PART_FILLED.items())
def test_a_part_filled_fak_is_told_as_its_exchange_does(symbol: str, sequence: str) -> None:
    """Rows 8, 9 and 10 of the manual."""
    assert _play(symbol, FAK, 5, (800.0, 2)) == sequence


@pytest.mark.parametrize(("symbol", "sequence"), {"au2612": "u u f T", "m2701": "u n f T", "AP701": "u u f T"}.items())
def test_a_fak_that_gets_all_is_told_like_any_order(symbol: str, sequence: str) -> None:
    """Rows 2 and D2."""
    assert _play(symbol, FAK, 2, (800.0, 2)) == sequence
    assert _play(symbol, FOK, 2, (800.0, 2)) == sequence


@pytest.mark.parametrize(("symbol", "sequence"), {"au2612": "u c", "m2701": "u n c", "AP701": "u n c"}.items())
@pytest.mark.parametrize("kind", [FAK, FOK, at_least(1)])
def test_what_gets_nothing_is_cancelled(symbol: str, sequence: str, kind: dict[str, Any]) -> None:
    """Nobody sells at its price."""
    assert _play(symbol, kind, 2, (800.02, 9)) == sequence


def test_each_level_is_a_trade_of_its_own() -> None:
    """The cancel that came first says all that was traded."""
    market = _market("au2612", (799.98, 2), (800.0, 1))
    reports = market.insert(SESSION, request(volume=5, **FAK), NOW)
    assert told(reports) == "u c c T c T"
    assert [report.traded for report in reports if isinstance(report, Order)] == [0, 3, 3, 3]
    assert [report.price for report in reports if isinstance(report, Trade)] == [799.98, 800.0]


@pytest.mark.parametrize(("least", "sequence"), [(2, "u c c T"), (3, "u c")])
def test_a_minimum_volume_is_met_or_nothing_trades(least: int, sequence: str) -> None:
    """Two lots are there."""
    assert _play("au2612", at_least(least), 5, (800.0, 2)) == sequence


def test_a_fok_trades_all_or_nothing() -> None:
    """What it leaves is there for the next order."""
    market = _market("au2612", (800.0, 2))
    assert told(market.insert(SESSION, request(volume=3, **FOK), NOW)) == "u c"
    assert told(market.insert(SESSION, request(volume=2, **FOK), NOW)) == "u u f T"


def test_nothing_stays_frozen_behind_a_fak() -> None:
    """Margin of what it opened, and lots of what it did not close, are free again."""
    market = _market("au2612", (800.0, 2))
    market.insert(SESSION, request(volume=5, **FAK), NOW)
    account = market.account("sim001")
    assert account.frozen_margin == pytest.approx(0)
    assert account.frozen_commission == pytest.approx(0)
    market.insert(SESSION, request(SELL, 795.0, 2, offset=CLOSE_TODAY, **FAK), NOW)
    assert [(lots.volume, lots.frozen) for lots in account.holdings.values()] == [(2, 0)]


def test_a_fak_never_rests() -> None:
    """A later snapshot that would reach it finds nothing."""
    market = _market("au2612", (800.0, 2))
    market.insert(SESSION, request(volume=5, **FAK), NOW)
    assert market.apply(depth(asks=[(799.0, 9)])) == []


def test_dce_tells_a_fill_without_the_state_before() -> None:
    """Rows D1 and D3."""
    market = _market("m2701")
    asked = request(symbol="m2701", exchange="DCE", volume=2)
    *_, order = market.insert(SESSION, asked, NOW)
    assert told(market.apply(depth(asks=[(800.0, 1)], symbol="m2701"))) == "p T"
    assert isinstance(order, Order)
    assert told(market.cancel("sim001", cancel(order), "sim001", NOW)) == "p c"


@pytest.mark.parametrize(("symbol", "offset"), {"au2612": "3", "AP701": "1"}.items())
def test_a_trade_names_the_offset_that_its_exchange_knows(symbol: str, offset: str) -> None:
    """At SHFE the order's; where days are not split there is one way to close."""
    market = _market(symbol, (800.0, 1))
    market.insert(SESSION, request(BUY, symbol=symbol, exchange=""), NOW)
    market.insert(SESSION, request(SELL, 790.0, symbol=symbol, exchange="", offset=CLOSE_TODAY), NOW)
    assert market.trades[-1].offset == offset
    assert market.account("sim001").close_profit < 0
