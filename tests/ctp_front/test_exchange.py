"""What becomes of an order: the vendor's official callback scenarios, and who refuses what."""

import math
from typing import Any

import pytest

from ctp_front.orders import BUY, CLOSE, CLOSE_TODAY, SELL, CancelRequest, Order, Refusal, Trade
from tests.ctp_front.makers import NOW, SESSION, cancel, depth, exchange, request, told


def test_one_lot_rests_then_fills() -> None:
    """Scenario 1: u n, then n f T."""
    market = exchange()
    market.apply(depth(asks=[(800.02, 5)]))
    assert told(market.insert(SESSION, request(), NOW)) == "u n"
    assert told(market.apply(depth(asks=[(800.0, 5)]))) == "n f T"


def test_one_lot_fills_at_once() -> None:
    """Scenario 2: u, then u f T, at the price that was shown."""
    market = exchange()
    market.apply(depth(asks=[(799.98, 5)]))
    reports = market.insert(SESSION, request(price=800.0), NOW)
    assert told(reports) == "u u f T"
    assert isinstance(reports[-1], Trade)
    assert reports[-1].price == 799.98


def test_the_exchange_number_comes_with_the_second_report() -> None:
    """OrderSysID is empty in the first report, and right-justified after it."""
    market = exchange()
    first, second = market.insert(SESSION, request(), NOW)
    assert isinstance(first, Order)
    assert isinstance(second, Order)
    assert (first.sys_id, second.sys_id) == ("", "           1")
    assert (first.submit_status, second.submit_status) == ("0", "3")


def test_one_lot_rests_then_is_cancelled() -> None:
    """Scenario 3: u n, then n c."""
    market = exchange()
    *_, order = market.insert(SESSION, request(), NOW)
    assert isinstance(order, Order)
    assert told(market.cancel("sim001", cancel(order), "sim001", NOW)) == "n c"


def test_ten_lots_fill_in_two_parts() -> None:
    """Scenario 4: u n, n p T, p f T."""
    market = exchange()
    assert told(market.insert(SESSION, request(volume=10), NOW)) == "u n"
    assert told(market.apply(depth(asks=[(800.0, 3)]))) == "n p T"
    assert told(market.apply(depth(asks=[(800.0, 9)]))) == "p f T"


def test_ten_lots_fill_in_part_and_are_cancelled() -> None:
    """Scenario 5: u n, n p T, then p c, and the order keeps what it traded."""
    market = exchange()
    market.insert(SESSION, request(volume=10), NOW)
    assert told(market.apply(depth(asks=[(800.0, 4)]))) == "n p T"
    by_session = CancelRequest("au2612", "", "", SESSION.front_id, SESSION.session_id, "1", "0")
    reports = market.cancel("sim001", by_session, "sim001", NOW)
    assert told(reports) == "p c"
    assert isinstance(reports[-1], Order)
    assert (reports[-1].traded, reports[-1].rest) == (4, 6)


def test_a_final_order_cannot_be_cancelled() -> None:
    """Scenario 6: error 26."""
    market = exchange()
    *_, order = market.insert(SESSION, request(), NOW)
    assert isinstance(order, Order)
    market.cancel("sim001", cancel(order), "sim001", NOW)
    with pytest.raises(Refusal) as refused:
        market.cancel("sim001", cancel(order), "sim001", NOW)
    assert refused.value.error_id == 26


@pytest.mark.parametrize("change", [{"sys_id": "99"}, {"exchange": "CZCE"}])
def test_an_unknown_order_cannot_be_cancelled(change: dict[str, Any]) -> None:
    """Scenario 7: error 25."""
    market = exchange()
    *_, order = market.insert(SESSION, request(), NOW)
    assert isinstance(order, Order)
    with pytest.raises(Refusal) as refused:
        market.cancel("sim001", cancel(order, **change), "sim001", NOW)
    assert refused.value.error_id == 25


def test_an_order_cannot_be_amended() -> None:
    """An OrderAction cancels, or it is error 27; the order works on."""
    market = exchange()
    *_, order = market.insert(SESSION, request(), NOW)
    assert isinstance(order, Order)
    with pytest.raises(Refusal) as refused:
        market.cancel("sim001", cancel(order, action="3"), "sim001", NOW)
    assert refused.value.error_id == 27
    assert market.orders[order.number].working


def test_another_accounts_order_is_not_found() -> None:
    """An account cancels its own orders only."""
    market = exchange()
    *_, order = market.insert(SESSION, request(), NOW)
    assert isinstance(order, Order)
    with pytest.raises(Refusal):
        market.cancel("sim002", cancel(order), "sim002", NOW)


def test_part_fills_at_once_and_rests() -> None:
    """What does not fill completely at once is first not traded: u n n p T."""
    market = exchange()
    market.apply(depth(asks=[(800.0, 2)]))
    assert told(market.insert(SESSION, request(volume=5), NOW)) == "u n n p T"


def test_an_order_takes_several_levels() -> None:
    """Level by level, each a trade at its own price."""
    market = exchange()
    market.apply(depth(asks=[(799.96, 2), (799.98, 2), (800.02, 9)]))
    reports = market.insert(SESSION, request(volume=4), NOW)
    assert told(reports) == "u u p T p f T"
    assert [report.price for report in reports if isinstance(report, Trade)] == [799.96, 799.98]


def _refused(**changes: Any) -> int:
    market = exchange()
    market.apply(depth(bids=[(799.98, 5)], asks=[(800.0, 5)]))
    with pytest.raises(Refusal) as refused:
        market.insert(SESSION, request(**changes), NOW)
    assert refused.value.text.startswith("CTP:")
    assert list(market.orders) == []
    return refused.value.error_id


@pytest.mark.parametrize(
    "field",
    [
        {"volume": 0},
        {"volume": -1},
        {"volume": 10**9},
        {"price": math.nan},
        {"price": math.inf},
        {"price": 0.0},
        {"price_type": "3"},
        {"time_condition": "1", "volume_condition": "4"},
        {"time_condition": "1", "volume_condition": "2", "min_volume": 2},
        {"time_condition": "1", "volume_condition": "2", "min_volume": 0},
        {"time_condition": "5"},
        {"direction": "7"},
        {"offset": "2"},
        {"volume_condition": "3"},
        {"contingent": "2"},
    ],
)
def test_a_field_that_cannot_be_is_error_15(field: dict[str, Any]) -> None:
    """CTP refuses it; the exchange never sees the order."""
    assert _refused(**field) == 15


def test_there_are_no_orders_at_any_price() -> None:
    """SHFE takes limit prices only: error 80."""
    assert _refused(price_type="1") == 80


def test_ctp_refuses_what_the_account_cannot_do() -> None:
    """Each has CTP's own number: 16 contract, 31 money, 50 today's lots, 51 older lots."""
    assert _refused(symbol="au9999") == 16
    assert _refused(exchange="CZCE") == 16
    assert _refused(volume=500) == 31
    assert _refused(direction=SELL, offset=CLOSE_TODAY) == 50
    assert _refused(direction=SELL, offset=CLOSE) == 51


def test_a_contract_whose_delivery_month_is_over_does_not_trade() -> None:
    """Error 17."""
    market = exchange(symbol="au2610")
    with pytest.raises(Refusal) as refused:
        market.insert(SESSION, request(symbol="au2610"), NOW)
    assert refused.value.error_id == 17


def test_the_position_limit_counts_lots_and_what_rests() -> None:
    """Error 106 for what could go beyond it on one side; the other side and closing have room."""
    market = exchange()
    market.position_limit = 3
    market.apply(depth(bids=[(799.98, 9)], asks=[(800.0, 9)]))
    market.insert(SESSION, request(volume=2), NOW)
    market.insert(SESSION, request(price=799.0), NOW)
    with pytest.raises(Refusal) as refused:
        market.insert(SESSION, request(price=799.0), NOW)
    assert refused.value.error_id == 106
    assert told(market.insert(SESSION, request(SELL, 799.98, 3), NOW)) == "u u f T"
    assert told(market.insert(SESSION, request(SELL, 799.98, 2, offset=CLOSE_TODAY), NOW)) == "u u f T"


def test_czce_does_not_split_days() -> None:
    """There, closing too much is error 30."""
    market = exchange(symbol="AP701")
    with pytest.raises(Refusal) as refused:
        market.insert(SESSION, request(SELL, 7000.0, symbol="AP701", exchange="CZCE", offset=CLOSE), NOW)
    assert refused.value.error_id == 30


def test_orders_wait_for_the_settlement_to_be_confirmed() -> None:
    """Error 42 until the account has confirmed this trading day."""
    market = exchange()
    market.account("sim001").confirmed = "20261120"
    with pytest.raises(Refusal) as refused:
        market.insert(SESSION, request(), NOW)
    assert refused.value.error_id == 42


@pytest.mark.parametrize("price", [800.01, 864.02, 735.98])
def test_the_exchange_refuses_a_price(price: float) -> None:
    """Off tick or outside the limits: 'a', then '5' with OrderSubmitStatus '4', a text and no OrderSysID."""
    market = exchange()
    market.apply(depth(asks=[(800.0, 5)]))
    reports = market.insert(SESSION, request(BUY, price), NOW)
    assert told(reports) == "u c"
    assert isinstance(reports[-1], Order)
    assert (reports[-1].submit_status, reports[-1].sys_id) == ("4", "")
    assert "拒绝" in reports[-1].message


def test_an_order_is_good_for_its_day() -> None:
    """What rests at the end of the day expires, and frees what it froze."""
    market = exchange()
    market.insert(SESSION, request(), NOW)
    assert told(market.expire(NOW)) == "n c"
    assert market.account("sim001").frozen_margin == 0
