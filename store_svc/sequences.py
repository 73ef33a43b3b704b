"""The numbers of the streams whose events are born here.

Who makes an event locks the stream's row before anything else in its transaction and moves it in the
same one: numbers are committed in their order, from however many processes, and a follower that
has seen one has seen all before it. An auto-increment id does not do: a row that commits late
would come behind the followers' backs.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.database import DatabaseDown
from store_svc.tables.schema import sequences

STRATEGIES, TRIGGERS, LOGS = "strategies", "triggers", "logs"


async def head(connection: AsyncConnection, stream: str, *, lock: bool = False) -> Cursor:
    """Give the place of the stream's newest event."""
    query = select(sequences.c.epoch, sequences.c.seq).where(sequences.c.name == stream)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:  # MySQL shows a table before the migration has filled it
        raise DatabaseDown("its tables are being migrated")
    return Cursor(epoch=row.epoch, seq=row.seq)


async def lock(connection: AsyncConnection, stream: str) -> int:
    """Let no other transaction take a number of the stream before this one ends; give the newest."""
    return (await head(connection, stream, lock=True)).seq


async def move(connection: AsyncConnection, stream: str, seq: int) -> None:
    """Say that `seq` is now the stream's newest event; the stream must be locked."""
    await connection.execute(sequences.update().where(sequences.c.name == stream).values(seq=seq))
