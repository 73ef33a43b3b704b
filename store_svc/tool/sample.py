"""Sample data: a small believable account to look at, in a database that has nothing yet.

Its events are of the epoch 1, older than those of any journal: what a mesh stores later is newer.
"""

from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Table, insert, select, update

from arbig.errors import Refused
from store_svc.backups.restore import occupied
from store_svc.backups.rows import decoded
from store_svc.tables.columns import Money
from store_svc.tables.schema import METADATA, sequences

_FILE = Path(__file__).with_name("sample.json")


def put_in(connection: Connection) -> dict[str, int]:
    """Put the sample in, and give how many rows each table got; raises Refused where any row exists."""
    # Who gives out a number waits for us.
    connection.execute(select(sequences).with_for_update())
    if found := occupied(connection):
        raise Refused(f"no sample: {', '.join(found)} has rows already; nothing was changed", "NOT_EMPTY")
    sample: dict[str, Any] = orjson.loads(_FILE.read_bytes())
    for stream, seq in sample.pop("sequences").items():
        connection.execute(update(sequences).where(sequences.c.name == stream).values(seq=seq))
    for name, rows in sample.items():
        table = METADATA.tables[name]
        connection.execute(insert(table), [_whole(table, row) for row in rows])
    return {name: len(rows) for name, rows in sample.items()}


def _whole(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    absent = {column.name: _nothing(column) for column in table.c if column.name not in row}
    return decoded(table, row | absent)


def _nothing(column: Column[Any]) -> object:
    """Give what a field that was not set is kept as."""
    if column.nullable:
        return None
    return "0" if isinstance(column.type, Money) else column.type.python_type()
