"""Rows as lines of JSON that are the same whatever the engine, and back.

Keys are sorted, money is a decimal string, a time ISO text in UTC, bytes base64. Rows come in the
order of their keys, so equal tables give equal lines: both engines compare them byte by byte, MySQL
as if blanks followed, and no key ends with a blank or has anything that sorts before one
(tables/records.py).
"""

import base64
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Column, Connection, DateTime, LargeBinary, Table, select

from store_svc.tables.columns import Money

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
# Numbers given after a backup are unknown to what is restored from it, so its streams begin anew.
_LEFT_OUT = {"sequences": {"epoch"}}
_PAGE = 1_000


def kept(table: Table) -> list[Column[Any]]:
    """Give the columns that a backup keeps."""
    return [column for column in table.c if column.name not in _LEFT_OUT.get(table.name, ())]


def lines(connection: Connection, table: Table) -> Iterator[bytes]:
    """Give each row as a line, in the order of the keys; holds a page of them at a time."""
    columns = kept(table)
    names = [str(column.name) for column in columns]  # plain: orjson takes no subclass for a key
    query = select(*columns).order_by(*table.primary_key)
    for row in connection.execute(query, execution_options={"yield_per": _PAGE}):
        yield orjson.dumps(dict(zip(names, row, strict=True)), default=_encode, option=_OPTIONS)


def _encode(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value))


def from_line(table: Table, line: bytes) -> dict[str, Any]:
    """Give the row of a line."""
    return decoded(table, orjson.loads(line))


def decoded(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Give a row whose values are still as JSON has them."""
    for column in kept(table):
        if (value := row[column.name]) is not None:
            row[column.name] = _decode(column, value)
    return row


def _decode(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, Money):
        return Decimal(value)
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(value).replace(tzinfo=None)
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    return value


def key(table: Table, line: bytes) -> str:
    """Name the row of a line: "account_id=sim001 client_order_id=o1"."""
    row = orjson.loads(line)
    return " ".join(f"{column.name}={row[column.name]}" for column in table.primary_key)
