"""Messages of the contracts as rows of the tables, and back.

Each field has the column of its name; a field without one is found when this module is imported.
What comes back is the message that went in, its times cut to the microsecond and its money to the
hundredth of a cent.
"""

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import RowMapping, Table

from arbig.trade.v1.trade_pb2 import Account, Order, Position, Trade
from store_svc import schema
from store_svc.columns import LIMIT, STEP, Money
from store_svc.documents import plain

M = TypeVar("M", bound=Message)
Row = dict[str, Any]
_Read = Callable[[Any], Any]


class Unstorable(Exception):
    """A value that no column holds; the message names the field and the value."""


class Record(Generic[M]):
    """How one kind of message is kept."""

    def __init__(self, message: type[M], table: Table, seq: str = "") -> None:
        self.message = message
        self.table = table
        self.key = [column.name for column in table.primary_key]
        # The columns that say which event the row first came with; none where nobody asks.
        self.first = ("epoch", seq) if seq else ()
        self._fields = [_Field(field, table) for field in message.DESCRIPTOR.fields]

    def row(self, message: M) -> Row:
        """Give the row of the message; raises Unstorable."""
        return {field.name: field.read(message) for field in self._fields}

    def from_row(self, row: RowMapping | Row) -> M:
        """Give the message that the row was made of."""
        return self.message(**{field.name: field.restore(row[field.name]) for field in self._fields})


class _Field:
    """One field: how its value becomes a column's, and back."""

    def __init__(self, field: Any, table: Table) -> None:
        self.name = field.name
        self._money = isinstance(table.c[field.name].type, Money)
        # In characters, on both engines; None for a text that may be as long as it likes.
        self._longest: int | None = getattr(table.c[field.name].type, "length", None)
        self._words: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        if field.enum_type:
            prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
            self._words = {value.number: value.name.removeprefix(prefix) for value in field.enum_type.values}
            self._numbers = {word: number for number, word in self._words.items()}
        self.read = self._reader(field)
        if field.has_presence:
            self.read = _present(field.name, self.read)

    def _reader(self, field: Any) -> _Read:
        name = field.name
        if field.enum_type:
            return self._word
        if field.message_type == Struct.DESCRIPTOR:
            return lambda message: plain(getattr(message, name))
        if field.message_type:  # a Timestamp: the contract has no other message here
            return self._moment
        if field.type == FieldDescriptor.TYPE_STRING and self._longest:
            return self._text
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return self._amount if self._money else self._double
        return lambda message: getattr(message, name)

    def _word(self, message: Any) -> str:
        number = getattr(message, self.name)
        if number not in self._words:
            raise Unstorable(f"{self.name} {number} is not in this version's contract")
        return self._words[number]

    def _text(self, message: Any) -> str:
        value: str = getattr(message, self.name)
        if self._longest and len(value) > self._longest:
            raise Unstorable(f"{self.name} has {len(value)} characters, more than {self._longest}")
        return value

    def _moment(self, message: Any) -> datetime:
        value: Timestamp = getattr(message, self.name)
        try:
            return value.ToDatetime()
        except (ValueError, OverflowError) as error:
            raise Unstorable(f"{self.name} {value.seconds} s {value.nanos} ns is no time") from error

    def _double(self, message: Any) -> float:
        value: float = getattr(message, self.name)
        if not math.isfinite(value):
            raise Unstorable(f"{self.name} {value} is not a number")
        return value

    def _amount(self, message: Any) -> Decimal:
        value = Decimal(repr(self._double(message)))
        if abs(value) >= LIMIT:
            raise Unstorable(f"{self.name} {value:g} does not fit: {LIMIT:,} and more yuan do not")
        return value.quantize(STEP)

    def restore(self, value: Any) -> Any:
        """Give the field's value of the column's."""
        if self._numbers:
            return self._numbers[value]
        return float(value) if isinstance(value, Decimal) else value


def _present(name: str, read: _Read) -> _Read:
    """Read the field, or None where it is absent."""
    return lambda message: read(message) if message.HasField(name) else None


ACCOUNT = Record(Account, schema.accounts)
POSITION = Record(Position, schema.positions)
ORDER = Record(Order, schema.orders, "first_seq")
TRADE = Record(Trade, schema.trades, "seq")
