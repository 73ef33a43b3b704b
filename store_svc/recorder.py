"""Remembering the trade service's journal: followed from the cursor that the database has.

Reading goes on while a batch is being written, up to a bound; then it waits, and the journal keeps
what was not read. A batch that cannot be written is tried again for ever, and GetStatus says why.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from sqlalchemy import select

from arbig.follow import Link, follow
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1.trade_pb2 import Event, SubscribeEventsRequest, SubscribeEventsResponse
from store_svc.database import Database, DatabaseDown
from store_svc.migrate import migrate
from store_svc.records import Unstorable
from store_svc.writing import Batch, read_cursor, rewind, write

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_BACKOFF, LAST_BACKOFF = 0.05, 2.0
# A migration may have to copy every row.
MIGRATION_SECONDS = 3600.0
# How long nothing is written before the database is asked whether it is there.
IDLE_SECONDS = 2.0


class Ahead:
    """Events that were read and are not written yet: at most `size`, and one message more."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._events: deque[tuple[int, Event]] = deque()
        self._changed = asyncio.Condition()

    async def put(self, epoch: int, events: list[Event]) -> None:
        """Add events, once there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._events) < self._size)
            self._events.extend((epoch, event) for event in events)
            self._changed.notify_all()

    async def take(self, limit: int, seconds: float) -> Batch:
        """Take the oldest events, `limit` at most; none if none came within `seconds`."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: bool(self._events))
            batch = Batch(self._events[0][0] if self._events else 0, [])
            while self._events and len(batch.events) < limit and self._events[0][0] == batch.epoch:
                batch.events.append(self._events.popleft()[1])
            self._changed.notify_all()
            return batch


class Recorder:
    """The follower of SubscribeEvents, `subscribe` being the stub's method."""

    def __init__(self, database: Database, subscribe: object, batch: int) -> None:
        self.stored = Cursor()
        self.link = Link("trade service")
        self._database = database
        self._subscribe = subscribe
        self._batch = batch
        self._trouble = "the database was not asked yet"

    @property
    def reason(self) -> str:
        """What keeps events from being stored; empty while they are."""
        return self._trouble or self.link.reason

    async def run(self) -> None:
        """Record for ever; raises ConfigError for a database that is not ours."""
        await self._persist(lambda: self._database.read(lambda on: on.execute(select(1))))
        self._trouble = "database: its tables are being migrated"
        await self._persist(lambda: self._database.write(lambda on: on.run_sync(migrate), MIGRATION_SECONDS))
        while True:
            self.stored = await self._persist(lambda: self._database.read(read_cursor))
            log.info("recording", extra={"epoch": self.stored.epoch, "seq": self.stored.seq})
            try:
                await self._record()
            except* grpc.aio.AioRpcError as group:
                await self._begin_again(group)

    async def _begin_again(self, group: BaseExceptionGroup[grpc.aio.AioRpcError]) -> None:
        """Store the journal again from its beginning, where it went back behind what is stored.

        It was put back from an older copy: its numbers now mean other events. Everything it has is
        written again; rows have keys of their own, so nothing comes twice.
        """
        why = group.exceptions[0]
        if not isinstance(why, grpc.aio.AioRpcError) or why.code() is not grpc.StatusCode.OUT_OF_RANGE:
            raise group
        log.error("the journal went back, reading it again from its beginning", extra={"why": why.details()})
        await self._persist(lambda: self._database.write(rewind))

    async def _record(self) -> None:
        ahead = Ahead(4 * self._batch)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(ahead))
            group.create_task(self._write(ahead))

    async def _read(self, ahead: Ahead) -> None:
        request = SubscribeEventsRequest(after=self.stored)
        replies = follow(self._subscribe, request, SubscribeEventsResponse, self.link)
        async with contextlib.aclosing(replies):
            async for reply in replies:
                if reply.HasField("gap"):
                    # Another journal: what it has follows wholly, and goes to the rows that are there.
                    log.error(
                        "the journal began anew; what was stored of the old one is kept",
                        extra={"why": reply.gap.reason, "epoch": reply.cursor.epoch},
                    )
                await ahead.put(reply.cursor.epoch, list(reply.events))

    async def _write(self, ahead: Ahead) -> None:
        while True:
            batch = await ahead.take(self._batch, IDLE_SECONDS)
            await self._persist(lambda batch=batch: self._database.write(lambda on: write(on, batch)))  # type: ignore[misc]
            if batch.events:
                self.stored = Cursor(epoch=batch.epoch, seq=batch.events[-1].seq)

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work`, again and again until it is done, and say what keeps it from being done."""
        backoff = FIRST_BACKOFF
        while True:
            try:
                done = await work()
            except (DatabaseDown, Unstorable) as error:
                if str(error) != self._trouble:
                    log.warning("cannot store, trying again", extra={"why": error})
                self._trouble = str(error)
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, LAST_BACKOFF)
            else:
                if backoff > FIRST_BACKOFF:
                    log.info("storing again")
                self._trouble = ""
                return done
