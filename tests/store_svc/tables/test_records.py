"""Messages as rows, and back."""

import math
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from arbig.trade.v1.trade_pb2 import DIRECTION_SELL, Account, Order, Position, Trade
from store_svc.tables.records import ACCOUNT, ORDER, POSITION, TRADE, Record, Unstorable
from tests.store_svc.mesh import order

TICKS = st.integers(-(10**9), 10**9).map(lambda ticks: round(ticks * 0.02, 2))
MICROSECONDS = st.integers(0, 4 * 10**15)


def values(message: type[Message], money: frozenset[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Make any values that the fields of a message can have."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in message.DESCRIPTOR.fields:
        if field.enum_type:
            fields[field.name] = st.sampled_from([value.number for value in field.enum_type.values])
        elif field.message_type:
            fields[field.name] = MICROSECONDS
        elif field.type == field.TYPE_DOUBLE:
            exact = TICKS if field.name in money else st.floats(allow_nan=False, allow_infinity=False)
            fields[field.name] = exact
        elif field.type == field.TYPE_BOOL:
            fields[field.name] = st.booleans()
        elif field.type == field.TYPE_STRING:
            fields[field.name] = st.text(max_size=8).filter(sorts_alike)
        else:
            fields[field.name] = st.integers(-(2**31), 2**31 - 1)
    return st.fixed_dictionaries({}, optional=fields)


def sorts_alike(text: str) -> bool:
    """Whether both engines know it from others, and put it in the same place."""
    return not text.endswith(" ") and all(letter >= " " for letter in text)


@pytest.mark.parametrize("record", [ACCOUNT, POSITION, ORDER, TRADE], ids=lambda record: record.table.name)
@given(data=st.data())
def test_a_message_comes_back_from_its_row(record: Record[Any], data: st.DataObject) -> None:
    averages = {"average_price", "open_price"}
    money = frozenset(field.name for field in record.message.DESCRIPTOR.fields if field.name not in averages)
    message = record.message()
    for name, value in data.draw(values(record.message, money)).items():
        if record.message.DESCRIPTOR.fields_by_name[name].message_type:
            getattr(message, name).FromMicroseconds(value)
        else:
            setattr(message, name, value)
    assert record.from_row(record.row(message)) == message


def test_an_absent_value_is_null_and_never_0() -> None:
    row = ORDER.row(Order())
    assert row["average_price"] is row["submit_mid_price"] is row["error_id"] is row["create_time"] is None
    assert row["price"] == 0


def test_words_are_kept_for_people() -> None:
    assert TRADE.row(Trade(direction=DIRECTION_SELL))["direction"] == "SELL"


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.7976931348623157e308, 1e14])
def test_an_amount_that_no_column_holds_is_named(value: float) -> None:
    with pytest.raises(Unstorable, match="balance"):
        ACCOUNT.row(Account(balance=value))


def test_a_state_of_a_newer_contract_is_named() -> None:
    message = order("a")
    message.state = 77  # type: ignore[assignment]
    with pytest.raises(Unstorable, match="state 77"):
        ORDER.row(message)


def test_a_text_that_is_longer_than_its_column_is_named() -> None:
    assert ORDER.row(order("a", status_text="金" * 255))
    with pytest.raises(Unstorable, match="status_text has 256 characters, more than 255"):
        ORDER.row(order("a", status_text="金" * 256))


@pytest.mark.parametrize("name", ["a ", "a\t", "a\n", "\0", "a\x1fb"])
def test_a_key_that_mysql_takes_for_another_is_named(name: str) -> None:
    """Anything but a key may have it."""
    with pytest.raises(Unstorable, match="client_order_id"):
        ORDER.row(order(name))
    with pytest.raises(Unstorable, match="trade_id"):
        TRADE.row(Trade(trade_id=name))
    assert ORDER.row(order(" a b", status_text=name, order_sys_id="       17 "))["client_order_id"] == " a b"


@pytest.mark.parametrize(("seconds", "nanos"), [(10**15, 0), (-(10**12), 0), (1, 2**31 - 1)])
def test_a_time_that_is_none_is_named(seconds: int, nanos: int) -> None:
    with pytest.raises(Unstorable, match="update_time"):
        ORDER.row(order("a", update_time=Timestamp(seconds=seconds, nanos=nanos)))


def test_an_average_that_is_no_number_is_named() -> None:
    with pytest.raises(Unstorable, match="open_price nan"):
        POSITION.row(Position(open_price=math.nan))
