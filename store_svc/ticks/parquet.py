"""A tick as a row of a Parquet file, exactly.

A column has the name of the tick's field; the levels are `bid_price_1` to `ask_volume_5`. What is
absent is null. Times are UTC, without saying so: DuckDB can do little with nanoseconds that do.
Prices and money are DECIMAL(18,4) over 64-bit integers, which any reader understands; a column with
a value that is no such number holds doubles instead, in this file.

A row from whose columns the tick cannot be made again byte for byte, such as one with a field of a
newer contract, also has the tick itself, serialised, in `raw`.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.market.v1.market_pb2 import Tick, TickFlag
from store_svc.ticks.place import nanoseconds

LEVELS = 5
PLACES = 4
_STEPS = 10.0**PLACES
_MONEY = pa.decimal128(18, PLACES)
# DECIMAL(18,4) ends here.
_LIMIT = 1e14
RAW = "raw"
_TYPES = {
    Field.TYPE_STRING: pa.string(),
    Field.TYPE_DOUBLE: pa.float64(),
    Field.TYPE_INT64: pa.int64(),
    Field.TYPE_INT32: pa.int32(),
    Field.TYPE_UINT64: pa.uint64(),
    Field.TYPE_MESSAGE: pa.timestamp("ns"),
    # Names, with commas between; null for none.
    Field.TYPE_ENUM: pa.string(),
}
_PREFIX = "TICK_FLAG_"
_TIME_RANGE = range(-(2**63), 2**63)


class Column(NamedTuple):
    """A column, and the field and the level that it holds."""

    name: str
    field: Field
    level: int
    type: pa.DataType


def _columns() -> Iterator[Column]:
    for field in Tick.DESCRIPTOR.fields:
        if _is_levels(field):
            for level in range(1, LEVELS + 1):
                yield Column(f"{field.name.removesuffix('s')}_{level}", field, level, _TYPES[field.type])
        else:
            yield Column(field.name, field, 0, _TYPES[field.type])


def _is_levels(field: Field) -> bool:
    return field.is_repeated and field.type != Field.TYPE_ENUM


COLUMNS = list(_columns())
SCHEMA = pa.schema([*((one.name, one.type) for one in COLUMNS), (RAW, pa.binary())])


def to_table(serialised: Sequence[bytes]) -> pa.Table:
    """Make rows of ticks, all numbers as they are."""
    ticks = [Tick.FromString(one) for one in serialised]
    arrays = [array for field in Tick.DESCRIPTOR.fields for array in _arrays(field, ticks)]
    table = pa.table([*arrays, pa.nulls(len(ticks), pa.binary())], SCHEMA)
    again = from_rows(table)
    if again == list(serialised):
        return table
    raw = [None if ours == theirs else theirs for ours, theirs in zip(again, serialised, strict=True)]
    return table.set_column(len(COLUMNS), RAW, pa.array(raw, pa.binary()))


def _arrays(field: Field, ticks: Sequence[Tick]) -> Iterator[pa.Array]:
    name, kind = field.name, _TYPES[field.type]
    # `or 0`: no DECIMAL is -0.0, which goes to `raw`.
    if field.type == Field.TYPE_ENUM:
        yield pa.array([_names(tick.flags) for tick in ticks], kind)
    elif field.is_repeated:
        whole = [list(getattr(tick, name)[:LEVELS]) for tick in ticks]
        for level in range(LEVELS):
            yield pa.array([one[level] or 0 if level < len(one) else None for one in whole], kind)
    elif field.type == Field.TYPE_MESSAGE:
        yield pa.array([_nanoseconds(tick, name) for tick in ticks], pa.int64()).cast(kind)
    elif field.has_presence:
        yield pa.array([getattr(tick, name) or 0 if tick.HasField(name) else None for tick in ticks], kind)  # type: ignore[arg-type]
    else:
        yield pa.array([getattr(tick, name) for tick in ticks], kind)


def _names(flags: Sequence[TickFlag.ValueType]) -> str | None:
    # A flag that we have no name for goes to `raw`.
    known = [TickFlag.Name(flag).removeprefix(_PREFIX) for flag in flags if flag in TickFlag.values()]
    return ",".join(known) or None


def _flags(names: str | None) -> list[TickFlag.ValueType]:
    return [TickFlag.Value(_PREFIX + name) for name in names.split(",")] if names else []


def _nanoseconds(tick: Tick, name: Any) -> int | None:
    if not tick.HasField(name):
        return None
    since = nanoseconds(getattr(tick, name))
    return since if since in _TIME_RANGE else None


def compact(table: pa.Table) -> pa.Table:
    """Make the doubles DECIMALs, column by column, where nothing is lost."""
    for number, column in enumerate(COLUMNS):
        if column.type == pa.float64() and (exact := _money(table.column(number).combine_chunks())) is not None:
            table = table.set_column(number, column.name, exact)
    return table


def _money(doubles: pa.DoubleArray) -> pa.Array | None:
    if not pc.all(pc.less(pc.abs(doubles), _LIMIT), min_count=0).as_py():
        return None
    steps = pc.round(pc.multiply(doubles, _STEPS)).cast(pa.int64())
    if not pc.all(pc.equal(_doubles(steps), doubles), min_count=0).as_py():
        return None
    return pc.multiply(steps.cast(pa.decimal128(19)), pa.scalar(Decimal(1).scaleb(-PLACES))).cast(_MONEY)


def _doubles(steps: pa.Array) -> pa.Array:
    # The nearest double, as every reader of decimal digits finds it; Arrow's own cast may miss it.
    return pc.divide(steps.cast(pa.float64(), safe=False), _STEPS)


def _plain(values: pa.Array) -> pa.Array:
    if pa.types.is_decimal(values.type):
        return _doubles(pc.multiply(values, pa.scalar(Decimal(10**PLACES))).cast(pa.int64()))
    return values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values


def from_rows(rows: pa.Table | pa.RecordBatch) -> list[bytes]:
    """Give the ticks of some rows, serialised."""
    lists = {name: _plain(rows.column(name)).to_pylist() for name in rows.schema.names}
    raw = lists.pop(RAW)
    lists.setdefault("flags", [None] * rows.num_rows)  # files of the time before ticks had flags
    values = {field.name: _values(field, lists) for field in Tick.DESCRIPTOR.fields}
    made = (Tick(**dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True))
    return [whole or tick.SerializeToString(deterministic=True) for tick, whole in zip(made, raw, strict=True)]


def _values(field: Field, lists: dict[str, list[Any]]) -> Sequence[Any]:
    if field.type == Field.TYPE_ENUM:
        return [_flags(names) for names in lists[field.name]]
    if field.is_repeated:
        stem = field.name.removesuffix("s")
        levels = zip(*(lists[f"{stem}_{level}"] for level in range(1, LEVELS + 1)), strict=True)
        return [[value for value in one if value is not None] for one in levels]
    if field.type == Field.TYPE_MESSAGE:
        return [None if since is None else to_time(since) for since in lists[field.name]]
    return lists[field.name]


def to_time(since: int) -> Timestamp:
    """Give nanoseconds since 1970 as a time."""
    return Timestamp(seconds=since // 1_000_000_000, nanos=since % 1_000_000_000)
