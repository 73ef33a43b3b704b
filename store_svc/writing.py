"""One batch of journal events as one transaction.

The stream's cursor row is locked first, what is at or below it is left out, the rest is written
as upserts, and the cursor moves: a batch that is written again, by us or by another process,
changes nothing.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from google.protobuf.message import Message
from sqlalchemy import Insert, Table, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1.trade_pb2 import Event
from store_svc import records
from store_svc.records import Record, Row, Unstorable
from store_svc.schema import streams

STREAM = "trade"
RECORDS: dict[str, Record[Any]] = {
    "account": records.ACCOUNT,
    "position": records.POSITION,
    "order": records.ORDER,
    "trade": records.TRADE,
}


class Batch(NamedTuple):
    """Events of one life of the journal, in their order; none asks only if the database is there."""

    epoch: int
    events: list[Event]


async def read_cursor(connection: AsyncConnection) -> Cursor:
    """Give the last event that the database has; epoch 0 where it has none."""
    found = (await connection.execute(select(streams).where(streams.c.name == STREAM))).one_or_none()
    return Cursor(epoch=found.epoch, seq=found.seq) if found else Cursor()


async def rewind(connection: AsyncConnection) -> None:
    """Forget how far the stream is stored, to store it again from its beginning."""
    await connection.execute(streams.delete().where(streams.c.name == STREAM))


async def write(connection: AsyncConnection, batch: Batch) -> None:
    """Write what the database does not have yet of the batch; raises Unstorable."""
    locked = select(streams).where(streams.c.name == STREAM).with_for_update()
    cursor = (await connection.execute(locked)).one_or_none()
    stored = cursor.seq if cursor and cursor.epoch == batch.epoch else 0
    new = [event for event in batch.events if event.seq > stored]
    if not new:
        return
    for kind, rows in _rows(batch.epoch, new).items():
        record = RECORDS[kind]
        await connection.execute(upsert(record.table, record.first, connection.dialect.name), rows)
    place = {"name": STREAM, "epoch": batch.epoch, "seq": new[-1].seq}
    await connection.execute(upsert(streams, (), connection.dialect.name), [place])


def _rows(epoch: int, events: Iterable[Event]) -> dict[str, list[Row]]:
    """Give the rows of each kind, the last of each key, with the event that the key first came in."""
    kinds: dict[str, dict[tuple[object, ...], tuple[int, Message, int]]] = {}
    for event in events:
        for kind, record in RECORDS.items():
            if event.HasField(kind):  # type: ignore[arg-type]
                message = getattr(event, kind)
                rows = kinds.setdefault(kind, {})
                key = tuple(getattr(message, name) for name in record.key)
                first = rows[key][0] if key in rows else event.seq
                rows[key] = first, message, event.seq
    return {kind: [_row(RECORDS[kind], epoch, *found) for found in rows.values()] for kind, rows in kinds.items()}


def _row(record: Record[Any], epoch: int, first: int, message: Message, seq: int) -> Row:
    try:
        row = record.row(message)
    except Unstorable as error:
        raise Unstorable(f"event {seq}: {record.table.name}: {error}") from error
    if record.first:
        row.update(zip(record.first, (epoch, first), strict=True))
    return row


@cache
def upsert(table: Table, once: tuple[str, ...], dialect: str) -> Insert:
    """Insert a row, or change the one that has its key, but not the columns `once`."""
    changing = [column.name for column in table.c if not column.primary_key and column.name not in once]
    if dialect == "mysql":
        ours = mysql.insert(table)
        return ours.on_duplicate_key_update({name: ours.inserted[name] for name in changing})
    theirs = sqlite.insert(table)
    return theirs.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: theirs.excluded[name] for name in changing}
    )
