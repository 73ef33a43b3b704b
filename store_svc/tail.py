"""Following a table whose rows are numbered as events of a stream.

The table is the stream: nothing is kept in memory, and a follower is a position. It reads what has
a higher number, sends that, and waits until this process commits something (`wake`) or, since
another one may share the database, for a second. A database that is down ends the stream; the
follower comes back with its cursor.

The head is read before the rows, and the oldest row after them: whatever commits in between comes
with the next read, and what is removed in between is a gap.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, RowMapping, Select, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.errors import OutOfRange
from arbig.fanout import HEARTBEAT_SECONDS, Batch, element
from arbig.stream.v1.stream_pb2 import Cursor, Gap
from store_svc import sequences
from store_svc.database import Database, Work

T = TypeVar("T")

POLL_SECONDS = 1.0
# At most this many rows in one read, and about this many bytes in one message.
ROWS = 500
MESSAGE_BYTES = 1 << 20

Where = Sequence[ColumnElement[bool]]


class Stream(NamedTuple):
    """A stream's name in `sequences`, its rows, and how they are sent."""

    name: str
    table: Table
    item: Callable[[RowMapping], Message]
    response: type[Message]
    # Whether its oldest rows are removed in time.
    pruned: bool = False


class _Seen(NamedTuple):
    """What one read saw: the newest place, the one before the oldest row, and rows with items."""

    head: Cursor
    oldest: int
    rows: Sequence[RowMapping]


class Tail:
    """The end of a stream, where its followers wait."""

    def __init__(self, database: Database, stream: Stream) -> None:
        self._database = database
        self._stream = stream
        self._changed = asyncio.Event()

    async def write(self, work: Work[T]) -> T:
        """Do `work` as Database.write does, and let the followers see what was committed."""
        done = await self._database.write(work)
        self.wake()
        return done

    def wake(self) -> None:
        """Let the followers look."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(
        self, request: Any, where: Where = (), snapshot: Callable[[int], Select[Any]] | None = None
    ) -> AsyncIterator[bytes]:
        """Give the responses that a follower of the rows `where` gets after the request's cursor, for ever.

        Without a cursor come the rows of `snapshot(head)`, none if absent, and a heartbeat. Raises
        OutOfRange for a cursor ahead of the stream, and DatabaseDown.
        """
        clock = asyncio.get_running_loop().time
        quiet_until = 0.0
        after: Cursor = request.after
        if not request.HasField("after"):
            seen = await self._database.read(lambda on: self._begin(on, where, snapshot))
            after = seen.head
            for batch in [*self._cut(seen), Batch([], None, after)]:
                yield batch.response(self._stream.response)
            quiet_until = clock() + HEARTBEAT_SECONDS
        async for batch in self._looks(after, where):
            if batch.items or batch.gap or clock() >= quiet_until:
                yield batch.response(self._stream.response)
                quiet_until = clock() + HEARTBEAT_SECONDS

    async def _looks(self, position: Cursor, where: Where) -> AsyncIterator[Batch]:
        """Give what each look at the table finds: a gap, or rows, and in the end nothing new."""
        while True:
            changed = self._changed  # before the look: a commit during it wakes us
            seen = await self._read(position, where)
            if gap := missed(position, seen.head, seen.oldest):
                position = gap.resume
                yield Batch([], gap, position)
                continue
            for batch in self._cut(seen):
                yield batch
            position = _after(seen)
            if len(seen.rows) < ROWS:
                yield Batch([], None, position)
                await _wait(changed, POLL_SECONDS)

    async def _begin(
        self, connection: AsyncConnection, where: Where, snapshot: Callable[[int], Select[Any]] | None
    ) -> _Seen:
        head = await sequences.head(connection, self._stream.name)
        if snapshot is None:
            return _Seen(head, 0, [])
        return _Seen(head, 0, (await connection.execute(snapshot(head.seq).where(*where))).mappings().all())

    async def _read(self, position: Cursor, where: Where) -> _Seen:
        async def read(connection: AsyncConnection) -> _Seen:
            head = await sequences.head(connection, self._stream.name)
            seq = self._stream.table.c.seq
            behind = position.seq if position.epoch == head.epoch else 0
            rows: Sequence[RowMapping] = []
            if behind < head.seq:
                query = select(self._stream.table).where(seq > behind, seq <= head.seq, *where)
                rows = (await connection.execute(query.order_by(seq).limit(ROWS))).mappings().all()
            oldest = await connection.scalar(select(func.min(seq))) if self._stream.pruned else 1
            return _Seen(head, head.seq if oldest is None else oldest - 1, rows)

        return await self._database.read(read)

    def _cut(self, seen: _Seen) -> Iterator[Batch]:
        """Give the rows as messages of a bearable size, each with the place after it."""
        items, size = [], 0
        for number, row in enumerate(seen.rows, 1):
            items.append(element(self._stream.item(row).SerializeToString()))
            size += len(items[-1])
            if size > MESSAGE_BYTES or number == len(seen.rows):
                yield Batch(items, None, Cursor(epoch=seen.head.epoch, seq=row["seq"]))
                items, size = [], 0


def missed(position: Cursor, head: Cursor, oldest: int) -> Gap | None:
    """Say what a follower at `position` cannot have; raises OutOfRange for one ahead of the stream."""
    kept = Cursor(epoch=head.epoch, seq=oldest)
    if position.epoch not in (0, head.epoch):
        return Gap(after=position, resume=kept, reason=f"another database: epoch {head.epoch}, not {position.epoch}")
    if position.epoch and position.seq > head.seq:
        raise OutOfRange(f"cursor {position.seq} lies ahead of the stream, which is at {head.seq}", "CURSOR_AHEAD")
    if position.epoch and position.seq < oldest:
        return Gap(after=position, resume=kept, reason=f"older than what is kept, from {oldest + 1} on")
    return None


def _after(seen: _Seen) -> Cursor:
    """Give the place after all that was seen: rows that a filter left out are behind it too."""
    return Cursor(epoch=seen.head.epoch, seq=seen.rows[-1]["seq"]) if len(seen.rows) == ROWS else seen.head


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()
