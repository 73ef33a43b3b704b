"""Messages of the contracts as rows of the tables, and back.

Each field has the column of its name; a field without one is found when this module is imported.
What comes back is the message that went in, its times cut to the microsecond and its money to the
hundredth of a cent.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import RowMapping, Table

from arbig.trade.v1.trade_pb2 import Account, Order, Position, Trade
from store_svc.tables import schema
from store_svc.tables.columns import LIMIT, STEP, Money
from store_svc.tables.documents import plain
from store_svc.tables.words import words

M = TypeVar("M", bound=Message)
Row = dict[str, Any]
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as a Timestamp gives it
_Keep = Callable[[Any], Any]
# MySQL compares keys as if blanks followed: "a" is "a " to it, and "a\t" comes before "a".
_control = re.compile(r"[\x00-\x1f]").search


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
        fields = [_Field(field, table) for field in message.DESCRIPTOR.fields]
        self._names = [field.name for field in fields]
        # By descriptor, as a message lists its fields.
        self._kept = {field.described: (field.name, field.keep) for field in fields}
        self._restored = [(field.name, field.restore) for field in fields if field.restore]
        self._empty: Row = {field.name: field.empty for field in fields}

    def row(self, message: M) -> Row:
        """Give the row of the message; raises Unstorable."""
        row = self._empty.copy()
        for described, value in message.ListFields():
            name, keep = self._kept[described]
            row[name] = keep(value) if keep else value
        return row

    def from_row(self, row: RowMapping | Row) -> M:
        """Give the message that the row was made of."""
        values = {name: row[name] for name in self._names}
        for name, restore in self._restored:
            if values[name] is not None:
                values[name] = restore(values[name])
        return self.message(**values)


class _Field:
    """One field: how its value becomes a column's, and back."""

    def __init__(self, field: Any, table: Table) -> None:
        column = table.c[field.name]
        money = isinstance(column.type, Money)
        self.described = field
        self.name: str = field.name
        self._is_key = column.primary_key
        # In characters, on both engines; 0 for what may be as long as it likes.
        self._longest: int = getattr(column.type, "length", None) or 0
        self._words = words(field.enum_type) if field.enum_type else {}
        # Makes the column's value; None where it is the field's.
        self.keep = self._keeper(field, money=money)
        # Makes the field's value of the column's; None where it is that.
        self.restore = self._restorer(field, money=money)
        # What the column has where the message says nothing.
        self.empty = None if field.has_presence else self._kept(field.default_value)

    def _kept(self, value: Any) -> Any:
        return self.keep(value) if self.keep else value

    def _keeper(self, field: Any, *, money: bool) -> _Keep | None:
        if field.enum_type:
            return self._word
        if field.message_type == Struct.DESCRIPTOR:
            return plain
        if field.message_type:  # a Timestamp: the contract has no other message here
            return self._moment
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return self._amount if money else self._double
        return self._text if field.type == FieldDescriptor.TYPE_STRING and self._longest else None

    def _text(self, value: str) -> str:
        if len(value) > self._longest:
            raise Unstorable(f"{self.name} has {len(value)} characters, more than {self._longest}")
        if self._is_key and (value.endswith(" ") or _control(value)):
            raise Unstorable(f"{self.name} {value!r} ends with a blank or has a control character")
        return value

    def _word(self, number: int) -> str:
        if number not in self._words:
            raise Unstorable(f"{self.name} {number} is not in this version's contract")
        return self._words[number]

    def _moment(self, value: Timestamp) -> datetime:
        try:
            if 0 <= value.nanos < 10**9:
                return _EPOCH + timedelta(0, value.seconds, value.nanos // 1000)
        except OverflowError:
            pass
        raise Unstorable(f"{self.name} {value.seconds} s {value.nanos} ns is no time")

    def _double(self, value: float) -> float:
        if not math.isfinite(value):
            raise Unstorable(f"{self.name} {value} is not a number")
        return value

    def _amount(self, value: float) -> Decimal:
        amount = Decimal(repr(self._double(value)))
        if abs(amount) >= LIMIT:
            raise Unstorable(f"{self.name} {value:g} does not fit: {LIMIT:,} and more yuan do not")
        return amount.quantize(STEP)

    def _restorer(self, field: Any, *, money: bool) -> Callable[[Any], Any] | None:
        if field.enum_type:
            return {word: number for number, word in self._words.items()}.__getitem__
        if field.message_type == Timestamp.DESCRIPTOR:
            return _timestamp
        return float if money else None


def _timestamp(moment: datetime) -> Timestamp:
    since = moment - _EPOCH  # FromDatetime goes by a calendar and takes ten times as long
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


ACCOUNT = Record(Account, schema.accounts)
POSITION = Record(Position, schema.positions)
ORDER = Record(Order, schema.orders, "first_seq")
TRADE = Record(Trade, schema.trades, "seq")
