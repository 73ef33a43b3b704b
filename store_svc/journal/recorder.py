"""Remembering the trade service's journal: followed from the cursor that the database has.

Reading goes on while a batch is being written, up to a bound; then it waits, and the journal keeps
what was not read. A batch that cannot be written is tried again for ever, and GetStatus says why.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import grpc
from sqlalchemy import select

from arbig.follow import Link
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.database import PATIENCE_SECONDS, Database, DatabaseDown, DataRefused
from store_svc.journal import set_aside
from store_svc.journal.ahead import Ahead
from store_svc.journal.batch import Batch
from store_svc.journal.following import Hole, Journal, WentBack
from store_svc.journal.writing import MovedBack, read_stored, rewind, store_again, write
from store_svc.tables.migrate import SECONDS, migrate

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_BACKOFF, LAST_BACKOFF = 0.05, 2.0
# How long a journal that has a hole is left alone.
HOLE_SECONDS = 10.0
# How long nothing is written before the database is asked whether it is there.
IDLE_SECONDS = 2.0


class Recorder:
    """The follower of SubscribeEvents, `subscribe` being the stub's method."""

    def __init__(self, database: Database, subscribe: Callable[..., Any], batch: int) -> None:
        self.stored = Cursor()
        # What the tables are at; empty until the database was reached.
        self.revision = ""
        # How many events no table can hold.
        self.set_aside = 0
        self.link = Link("trade service")
        self._database = database
        self._subscribe = subscribe
        self._batch = batch
        self._trouble = "the database was not asked yet"
        # The digest of the last stored event, where we began.
        self._last = ""
        # What the journal lacks.
        self._hole = ""

    @property
    def reason(self) -> str:
        """What keeps events from being stored; empty while they are."""
        return self._trouble or self._hole or self.link.reason

    async def run(self) -> None:
        """Record for ever; raises ConfigError for a database that is not ours."""
        await self._persist(lambda: self._database.read(lambda on: on.execute(select(1))))
        self._trouble = "database: its tables are being migrated"
        self.revision = await self._persist(self._migrate)
        while True:
            # The place first: nobody is to see "nothing set aside" beside a place that was moved back.
            self.stored, self._last = await self._persist(lambda: self._database.read(read_stored))
            self.set_aside = await self._persist(lambda: self._database.read(set_aside.count))
            log.info("recording", extra={"epoch": self.stored.epoch, "seq": self.stored.seq})
            if why := await self._record_until_it_went_back():
                # It was put back from an older copy: its numbers now mean other events. Everything
                # it has is written again; rows have keys of their own, so nothing comes twice.
                log.error("the journal went back, reading it again from its beginning", extra={"why": why})
                await self._persist(lambda: self._database.write(rewind))

    async def _migrate(self) -> str:
        return await self._database.write(lambda on: on.run_sync(migrate), SECONDS)

    async def store_again(self) -> Cursor:
        """Read the journal again from before the first event that was set aside; raises DatabaseDown.

        Gives where that is; the newest place if nothing was set aside. The recording finds the
        cursor moved back, and begins there.
        """
        return await self._database.write(store_again)

    async def _record_until_it_went_back(self) -> str:
        """Record until the journal or its cursor went back; say why if it was the journal."""
        try:
            await self._record()
        except BaseExceptionGroup as group:
            match group.exceptions[0]:
                case MovedBack() as why:
                    log.warning("the cursor was moved back, recording from there", extra={"why": why})
                case Hole():
                    pass  # as was said; it may be mended
                case WentBack() as why:
                    return str(why)
                case grpc.aio.AioRpcError() as why if why.code() is grpc.StatusCode.OUT_OF_RANGE:
                    return why.details() or "it is shorter than what is stored"
                case _:
                    raise
        return ""

    async def _record(self) -> None:
        ahead = Ahead(4 * self._batch, self.stored)
        batches: asyncio.Queue[Batch] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(ahead))
            group.create_task(self._prepare(ahead, batches))
            group.create_task(self._write(batches))

    async def _read(self, ahead: Ahead) -> None:
        journal = Journal(self._subscribe, self.stored, self._last)
        try:
            async with contextlib.aclosing(journal.replies(self.link)) as replies:
                async for reply in replies:
                    if reply.HasField("gap"):
                        # Another journal: what it has follows wholly, and goes to the rows that are there.
                        log.error(
                            "the journal began anew; what was stored of the old one is kept",
                            extra={"why": reply.gap.reason, "epoch": reply.cursor.epoch},
                        )
                    elif reply.events:
                        self._hole = ""
                    await ahead.put(reply.cursor.epoch, reply.events)
        except Hole as hole:
            if str(hole) != self._hole:
                log.error("the journal has a hole", extra={"why": hole})
            self._hole = str(hole)
            await asyncio.sleep(HOLE_SECONDS)  # what comes before it is written meanwhile
            raise

    async def _prepare(self, ahead: Ahead, batches: asyncio.Queue[Batch]) -> None:
        """Make the rows of the next batch while the database is busy with this one."""
        while True:
            batch = await ahead.take(self._batch, IDLE_SECONDS)
            for _ in batch.prepare():
                await asyncio.sleep(0)
            await batches.put(batch)

    async def _write(self, batches: asyncio.Queue[Batch]) -> None:
        while True:
            batch = await batches.get()
            await self._store(batch)
            if batch.events:
                self.stored = Cursor(epoch=batch.epoch, seq=batch.events[-1].seq)

    async def _store(self, batch: Batch) -> None:
        """Write a batch; an event that the database refuses is found by halves and set aside."""
        refused = await self._persist(lambda: self._refused(batch))
        if not refused:
            await self._tell_set_aside(batch)
        elif len(batch.events) == 1:
            await self._store(Batch(batch.epoch, batch.events, refused=refused))
        else:
            for half in batch.halves():
                await self._store(half)

    async def _refused(self, batch: Batch) -> str:
        """Write a batch, or say why the database refuses it."""
        try:
            await self._database.write(lambda on: write(on, batch))
        except DataRefused as error:
            if batch.refused:
                raise  # not even as it came
            return str(error)
        return ""

    async def _tell_set_aside(self, batch: Batch) -> None:
        if not batch.rows.aside:
            return
        for row in batch.rows.aside:
            facts = {name: row[name] for name in ("epoch", "seq", "kind")}
            log.error("an event cannot be stored and was set aside", extra={**facts, "why": row["reason"]})
        self.set_aside = await self._persist(lambda: self._database.read(set_aside.count))

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work`, again and again until it is done, and say what keeps it from being done."""
        backoff = FIRST_BACKOFF
        while True:
            try:
                with self._watched():
                    done = await work()
            except (DatabaseDown, DataRefused) as error:
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

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Say that storing takes too long while it does: a disk that hangs raises nothing."""
        seconds = self._database.seconds

        def late() -> None:
            if not self._trouble:
                self._trouble = f"database: no answer within {seconds:g} s"
                log.warning("cannot store", extra={"why": self._trouble})

        # Whoever gives up by himself says why.
        timer = asyncio.get_running_loop().call_later(seconds + PATIENCE_SECONDS, late)
        try:
            yield
        finally:
            timer.cancel()
