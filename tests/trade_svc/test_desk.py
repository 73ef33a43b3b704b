"""What the desk lets through."""

from typing import Any

import pytest

from arbig.errors import AlreadyExists, ArbigError, InvalidField, Refused
from arbig.market.v1.market_pb2 import Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import desk

AU = Instrument(
    symbol="au2604",
    price_tick=0.02,
    min_limit_order_volume=1,
    max_limit_order_volume=500,
    trading=True,
    multiplier=1000,
)
TICK = Tick(upper_limit_price=880.0, lower_limit_price=720.0, bid_prices=[800.0], ask_prices=[800.04])


def request(**changed: Any) -> pb.SubmitOrderRequest:
    values: dict[str, Any] = {
        "client_order_id": "one",
        "symbol": "au2604",
        "direction": pb.DIRECTION_BUY,
        "offset": pb.OFFSET_OPEN,
        "price": 800.02,
        "volume": 1,
    }
    return pb.SubmitOrderRequest(**{**values, **changed})


def check(asked: pb.SubmitOrderRequest) -> None:
    desk.check_request(asked)
    instrument = desk.known_instrument(asked.symbol, AU if asked.symbol == AU.symbol else None)
    desk.check_instrument(desk.new_order(asked), instrument, TICK)


def test_a_good_order_passes() -> None:
    """At the limits too."""
    check(request())
    check(request(price=880.0, volume=500))
    check(request(price=720.0))


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"client_order_id": ""}, "client_order_id", "MISSING"),
        ({"client_order_id": "x" * 65}, "client_order_id", "BAD_ID"),
        ({"client_order_id": "a b"}, "client_order_id", "BAD_ID"),
        ({"client_order_id": "EXT.1"}, "client_order_id", "BAD_ID"),
        ({"symbol": ""}, "symbol", "MISSING"),
        ({"symbol": "';--"}, "symbol", "BAD_SYMBOL"),
        ({"symbol": "au9999"}, "symbol", "UNKNOWN_SYMBOL"),
        ({"direction": 0}, "direction", "MISSING"),
        ({"direction": 9}, "direction", "MISSING"),
        ({"offset": 0}, "offset", "MISSING"),
        ({"offset": 99}, "offset", "MISSING"),
        ({"type": 7}, "type", "BAD_TYPE"),
        ({"price": 0.0}, "price", "BAD_PRICE"),
        ({"price": -800.0}, "price", "BAD_PRICE"),
        ({"price": float("nan")}, "price", "BAD_PRICE"),
        ({"price": float("inf")}, "price", "BAD_PRICE"),
        ({"price": 1.7976931348623157e308}, "price", "OFF_TICK"),
        ({"price": 800.01}, "price", "OFF_TICK"),
        ({"price": 880.02}, "price", "ABOVE_LIMIT"),
        ({"price": 719.98}, "price", "BELOW_LIMIT"),
        ({"volume": 0}, "volume", "BAD_VOLUME"),
        ({"volume": -1}, "volume", "BAD_VOLUME"),
        ({"volume": 501}, "volume", "BAD_VOLUME"),
        ({"volume": 10**9}, "volume", "BAD_VOLUME"),
        ({"strategy": "no spaces"}, "strategy", "BAD_STRATEGY"),
    ],
)
def test_a_bad_field_is_named_with_a_stable_reason(changed: dict[str, Any], field: str, reason: str) -> None:
    """A program can act on the reason, a person on the message."""
    with pytest.raises(ArbigError) as raised:
        check(request(**changed))
    assert (raised.value.field, raised.value.reason) == (field, reason)


def test_the_same_request_again_is_the_same_order() -> None:
    """A retry is no second order."""
    desk.check_same(request(), desk.new_order(request()))


@pytest.mark.parametrize(
    "changed",
    [
        {"price": 800.04},
        {"volume": 2},
        {"direction": pb.DIRECTION_SELL},
        {"offset": pb.OFFSET_CLOSE},
        {"symbol": "au2606"},
        {"strategy": "other"},
    ],
)
def test_the_same_id_with_other_content_is_refused(changed: dict[str, Any]) -> None:
    """Whoever reuses an id is told what differs."""
    with pytest.raises(AlreadyExists, match=next(iter(changed))):
        desk.check_same(request(**changed), desk.new_order(request()))


def test_limits_are_not_checked_without_a_tick() -> None:
    """The exchange checks them again."""
    desk.check_instrument(desk.new_order(request(price=999.98)), AU, None)


@pytest.mark.parametrize("state", [pb.ORDER_STATE_FILLED, pb.ORDER_STATE_CANCELLED, pb.ORDER_STATE_REJECTED])
def test_a_final_order_cannot_be_cancelled(state: pb.OrderState.ValueType) -> None:
    """The refusal names the state."""
    with pytest.raises(Refused, match="already"):
        desk.check_cancel(pb.Order(client_order_id="one", state=state))


def test_the_mid_price_needs_both_sides() -> None:
    """At a limit one side is empty."""
    assert desk.mid_price(TICK) == pytest.approx(800.02)
    assert desk.mid_price(Tick(bid_prices=[800.0])) is None
    assert desk.mid_price(None) is None


def test_every_refusal_carries_its_field_over_the_wire() -> None:
    """google.rpc.BadRequest and ErrorInfo, as the contract says."""
    status = InvalidField("price", "too high", "ABOVE_LIMIT").to_status()
    assert [detail.TypeName() for detail in status.details] == ["google.rpc.ErrorInfo", "google.rpc.BadRequest"]
