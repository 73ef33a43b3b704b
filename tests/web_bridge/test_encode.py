"""How a message becomes JSON for a browser, and back."""

from typing import Any

import pytest

from arbig.errors import InvalidField
from arbig.market.v1.config_pb2 import MarketConfig, Product
from arbig.market.v1.market_pb2 import SubscribeTicksRequest, Tick
from arbig.trade.v1 import trade_pb2 as trade
from web_bridge.encode import decode, encoder


def encode(message: Any) -> Any:
    return encoder(message.DESCRIPTOR)(message)


def test_an_absent_price_is_a_missing_key() -> None:
    """Never 0: a page that shows 0 for a price lies."""
    encoded = encode(Tick(symbol="au2604"))
    assert "lastPrice" not in encoded
    assert encoded["volume"] == 0


def test_a_price_that_is_there_is_a_number() -> None:
    """Also where it is the default of its type."""
    assert encode(Tick(last_price=0.0))["lastPrice"] == 0.0


def test_a_map_is_an_object_by_its_keys() -> None:
    """A product's terms by the product's name."""
    config = MarketConfig(main_contract="au2604", products={"au": Product(multiplier=1000, name_zh="黄金")})
    encoded = encode(config)
    assert encoded["mainContract"] == "au2604"
    assert encoded["products"] == {"au": {"multiplier": 1000, "priceTick": 0.0, "name": "", "nameZh": "黄金"}}


def test_large_integers_are_numbers() -> None:
    """json_format would make them texts."""
    assert encode(Tick(seq=2**53 - 1))["seq"] == 2**53 - 1


def test_a_time_is_milliseconds() -> None:
    """What JavaScript's Date takes."""
    tick = Tick()
    tick.time.seconds, tick.time.nanos = 1_700_000_000, 500_000_000
    assert encode(tick)["time"] == 1_700_000_000_500.0


def test_an_enum_is_its_name_without_the_prefix() -> None:
    """CLOSE_TODAY, not OFFSET_CLOSE_TODAY."""
    order = trade.Order(direction=trade.DIRECTION_BUY, offset=trade.OFFSET_CLOSE_TODAY)
    assert (encode(order)["direction"], encode(order)["offset"]) == ("BUY", "CLOSE_TODAY")


def test_an_enum_value_of_a_newer_contract_is_its_number() -> None:
    """A bridge that is older than a service goes on."""
    assert encode(trade.Order(state=77))["state"] == 77  # type: ignore[arg-type]


def test_messages_nest() -> None:
    """In lists and alone."""
    reply = trade.ListOrdersResponse(orders=[trade.Order(client_order_id="a")])
    reply.cursor.seq = 3
    encoded = encode(reply)
    assert (encoded["orders"][0]["clientOrderId"], encoded["cursor"]) == ("a", {"epoch": 0, "seq": 3})


@pytest.mark.parametrize("direction", ["BUY", "DIRECTION_BUY", 1])
def test_an_enum_may_be_given_in_any_form(direction: str | int) -> None:
    """The short one is what the bridge itself says."""
    assert decode(trade.SubmitOrderRequest, {"direction": direction}).direction == 1  # type: ignore[attr-defined]


def test_both_spellings_of_a_field_are_taken() -> None:
    """The contract's and JSON's."""
    for name in ("client_order_id", "clientOrderId"):
        assert decode(trade.SubmitOrderRequest, {name: "a"}) == trade.SubmitOrderRequest(client_order_id="a")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"prize": 1}, "prize"),
        ({"price": "much"}, "price"),
        ({"volume": 1.5}, "volume"),
        ({"volume": 10**12}, "volume"),
        ({"direction": "UP"}, "direction"),
        ([], "request"),
        (None, "request"),
    ],
)
def test_what_cannot_be_read_is_named(given: Any, field: str) -> None:
    """By the field a user can look for."""
    with pytest.raises(InvalidField) as refused:
        decode(trade.SubmitOrderRequest, given)
    assert refused.value.field == field


def test_an_unknown_field_inside_a_field_is_named_with_its_path() -> None:
    """after.sequence, not just sequence."""
    with pytest.raises(InvalidField, match=r"after\.sequence"):
        decode(SubscribeTicksRequest, {"after": {"sequence": 1}})
