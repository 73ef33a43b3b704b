"""One batch of journal events as one transaction.

The stream's cursor row is locked first, what is at or below it is left out, the rest is written
as upserts, and the cursor moves: a batch that is written again, by us or by another process,
changes nothing. A batch that would leave a hole behind it is not written.
"""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.journal import set_aside
from store_svc.journal.batch import RECORDS, STREAM, Batch
from store_svc.journal.following import digest
from store_svc.journal.upserts import upsert
from store_svc.tables.schema import set_aside as set_aside_table
from store_svc.tables.schema import streams


class MovedBack(Exception):
    """The cursor lies before what the batch follows: the journal must be read from there."""


class Stored(NamedTuple):
    """The last event that the database has, epoch 0 where it has none, and what tells it from another."""

    cursor: Cursor
    digest: str


async def read_stored(connection: AsyncConnection, *, lock: bool = False) -> Stored:
    """Give how far the stream is stored."""
    query = select(streams).where(streams.c.name == STREAM)
    found = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return Stored(Cursor(epoch=found.epoch, seq=found.seq), found.digest or "") if found else Stored(Cursor(), "")


async def read_cursor(connection: AsyncConnection, *, lock: bool = False) -> Cursor:
    """Give the last event that the database has; epoch 0 where it has none."""
    return (await read_stored(connection, lock=lock)).cursor


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
        await _move(connection, Stored(cursor, ""))
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
    for kind, rows in batch.rows.kinds.items():
        await upsert(connection, RECORDS[kind].table, rows, RECORDS[kind].first)
    await upsert(connection, set_aside_table, batch.rows.aside)
    last = batch.events[-1]
    await _move(connection, Stored(Cursor(epoch=batch.epoch, seq=last.seq), digest(last)))


async def _move(connection: AsyncConnection, to: Stored) -> None:
    place = {"name": STREAM, "epoch": to.cursor.epoch, "seq": to.cursor.seq, "digest": to.digest or None}
    await upsert(connection, streams, [place])
