"""One batch of journal events as one transaction.

The stream's cursor row is locked first, what is at or below it is left out, the rest is written
as upserts, and the cursor moves: a batch that is written again, by us or by another process,
changes nothing. A batch that would leave a hole behind it is not written.
"""

from functools import cache

from sqlalchemy import Insert, Table, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.stream.v1.stream_pb2 import Cursor
from store_svc import set_aside
from store_svc.batch import RECORDS, STREAM, Batch
from store_svc.schema import set_aside as set_aside_table
from store_svc.schema import streams


class MovedBack(Exception):
    """The cursor lies before what the batch follows: the journal must be read from there."""


async def read_cursor(connection: AsyncConnection, *, lock: bool = False) -> Cursor:
    """Give the last event that the database has; epoch 0 where it has none."""
    query = select(streams).where(streams.c.name == STREAM)
    found = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return Cursor(epoch=found.epoch, seq=found.seq) if found else Cursor()


async def rewind(connection: AsyncConnection) -> None:
    """Forget how far the stream is stored, to store it again from its beginning."""
    await connection.execute(streams.delete().where(streams.c.name == STREAM))


async def store_again(connection: AsyncConnection) -> Cursor:
    """Move the cursor before the first event of its journal that was set aside, and forget those.

    Gives where the cursor is then. What was set aside of an older journal stays: it comes no more.
    """
    cursor = await read_cursor(connection, lock=True)
    first = await set_aside.forget(connection, STREAM, cursor.epoch)
    if first is not None:
        cursor.seq = first - 1
        await _move(connection, cursor)
    return cursor


async def write(connection: AsyncConnection, batch: Batch) -> None:
    """Write what the database does not have yet of the batch; raises MovedBack."""
    cursor = await read_cursor(connection, lock=True)
    stored = cursor.seq if cursor.epoch == batch.epoch else 0
    if stored < batch.after:
        raise MovedBack(f"the cursor is at {stored}, not at {batch.after}")
    batch = batch.since(stored)
    if not batch.events:
        return
    dialect = connection.dialect.name
    for kind, rows in batch.rows.kinds.items():
        record = RECORDS[kind]
        if rows:
            await connection.execute(upsert(record.table, record.first, dialect), rows)
    if batch.rows.aside:
        await connection.execute(upsert(set_aside_table, (), dialect), batch.rows.aside)
    await _move(connection, Cursor(epoch=batch.epoch, seq=batch.events[-1].seq))


async def _move(connection: AsyncConnection, cursor: Cursor) -> None:
    place = {"name": STREAM, "epoch": cursor.epoch, "seq": cursor.seq}
    await connection.execute(upsert(streams, (), connection.dialect.name), [place])


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
