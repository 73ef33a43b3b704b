"""The database behind a URL: one transaction at a time, each bounded in time.

Whatever keeps the database from answering - it is down, it hangs, it is full, it does not let us
in - is one `DatabaseDown` with the reason for people. Whether the transaction was committed is then
unknown; who repeats it must be able to tell. Data that it does not take is `DataRefused`.
"""

import asyncio
import contextlib
import sqlite3
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from arbig.config import Settings
from arbig.errors import Refused, Unavailable
from store_svc.engines import open_engine

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

# How long a driver that was cancelled may take to let go before it is cancelled again.
PATIENCE_SECONDS = 1.0
FIRST_PAUSE, LAST_PAUSE = 0.01, 0.5

# MySQL's numbers for another writer in the way, all rolled back: record changed, lock wait timeout,
# deadlock, which Galera says at COMMIT too. SQLite's is SQLITE_BUSY.
IN_THE_WAY = {1020, 1205, 1213}
# Data that is refused, though the driver's class does not say so: wrong value, out of range, a
# CHECK of MySQL's and of MariaDB's, a trigger's SIGNAL.
REFUSED = {1292, 1690, 3819, 4025, 1644}
# Refused for what the table is, though the driver calls it the data's fault: a column without a
# default, as in the tables of a newer version.
NOT_THE_DATA = {1364}


class DatabaseDown(Unavailable):
    """The database cannot be asked now."""

    def __init__(self, message: str) -> None:
        super().__init__(f"database: {message}", "DATABASE_DOWN")


class InTheWay(DatabaseDown):
    """Another writer was in the way; nothing was done."""


class DataRefused(Refused):
    """The database does not take this data, and will not later."""

    def __init__(self, message: str) -> None:
        super().__init__(f"database: {message}", "DATA_REFUSED")


class Database:
    """An engine, how long one transaction may take, and how often one is repeated."""

    def __init__(
        self, engine: AsyncEngine, seconds: float, retries: int = 0, asking: AsyncEngine | None = None
    ) -> None:
        self.engine = engine
        # What one statement is asked by.
        self.asking = asking or engine
        self.seconds = seconds
        self._retries = retries
        self._writing = engine.execution_options(write=True)
        # SQLite's driver is a thread, and hangs when it is cancelled.
        self._cancels = engine.url.get_backend_name() != "sqlite"
        # Without its password.
        self.label = engine.url.render_as_string(hide_password=True)

    async def read(self, work: Work[T], until: "float | Deadline | None" = None) -> T:
        """Give what `work` reads; raises DatabaseDown within the time, or when that is over."""
        # It ends with a rollback: one answer to wait for, not two.
        return await self._transaction(work, self._deadline(until), self.engine.connect())

    async def ask(self, work: Work[T]) -> T:
        """Give what `work` reads by one statement, as soon as may be; raises DatabaseDown within the time."""
        return await self._transaction(work, Deadline(self.seconds), self.asking.connect())

    async def write(self, work: Work[T], until: "float | Deadline | None" = None) -> T:
        """Do `work` wholly or not at all, again where another writer was in the way.

        Raises DatabaseDown within the time, or DataRefused.
        """
        deadline = self._deadline(until)
        for attempt in range(self._retries):
            try:
                return await self._transaction(work, deadline, self._writing.begin())
            except InTheWay:
                if deadline.left <= 0:
                    raise
                await asyncio.sleep(min(FIRST_PAUSE * 2**attempt, LAST_PAUSE, deadline.left))
        return await self._transaction(work, deadline, self._writing.begin())

    def _deadline(self, until: "float | Deadline | None") -> "Deadline":
        return until if isinstance(until, Deadline) else Deadline(until or self.seconds)

    async def _transaction(
        self, work: Work[T], deadline: "Deadline", opened: AbstractAsyncContextManager[AsyncConnection]
    ) -> T:
        interrupt = None if self._cancels else _Interrupt()

        async def transaction() -> T:
            async with opened as connection:
                if interrupt:
                    await interrupt.reach(connection)
                try:
                    return await work(connection)
                except DBAPIError as error:
                    if type(_fault(error)) is DatabaseDown:
                        # The server looks only at a new connection at what we may do now, and a
                        # proxy at who is the master.
                        await connection.invalidate()
                    raise

        with _translated(deadline.seconds):
            return await bounded(transaction(), deadline, interrupt)

    async def aclose(self) -> None:
        """Close every connection."""
        for engine in {self.engine, self.asking}:
            await bounded(engine.dispose(), Deadline(self.seconds), None if self._cancels else _let_be)


class Deadline:
    """When what may take some seconds must be done; long work puts it off with each sign of life."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.put_off()

    def put_off(self) -> None:
        """Let the time begin again."""
        self._end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """The seconds until then."""
        return self._end - time.monotonic()


class _Interrupt:
    """What ends a statement of SQLite that takes too long, from another thread than the driver's."""

    def __init__(self) -> None:
        self._driver: Any = None

    async def reach(self, connection: AsyncConnection) -> None:
        """Know the connection, once it is there."""
        self._driver = (await connection.get_raw_connection()).driver_connection

    def __call__(self) -> None:
        """End the statement that runs now, if one does."""
        if self._driver:
            with contextlib.suppress(ValueError, sqlite3.ProgrammingError):  # closed meanwhile
                self._driver._conn.interrupt()  # noqa: SLF001 - the driver's own is a coroutine


def _let_be() -> None:
    """Wait for what cannot be hurried."""


@contextlib.contextmanager
def _translated(seconds: float) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT:
            raise DatabaseDown(f"no answer within {seconds:g} s") from error
        raise _fault(error) from error
    except TimeoutError as error:
        raise DatabaseDown(f"no answer within {seconds:g} s") from error
    except (OSError, PoolTimeoutError, InvalidRequestError, struct.error) as error:
        # The last two: a connection that broke while it was taken from the pool, and a server that
        # does not speak as one.
        raise DatabaseDown(str(error)) from error


def _fault(error: DBAPIError) -> DatabaseDown | DataRefused:
    code, text = _said(error.orig)
    if code in IN_THE_WAY:
        return InTheWay(text)
    if code in REFUSED or (isinstance(error, DataError | IntegrityError) and code not in NOT_THE_DATA):
        return DataRefused(text)
    return DatabaseDown(text)


def _said(error: BaseException | None) -> tuple[int, str]:
    """Give the engine's number of an error, MySQL's or SQLite's as MySQL's, and its text."""
    if isinstance(error, sqlite3.Error):
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        return 1205 if busy else 0, str(error)
    code, *text = error.args if error else ("",)
    if not text or not isinstance(code, int):
        return 0, str(error)
    # What is wrong with a connection, say its certificate, stands in the cause alone.
    cause = f": {error.__cause__}" if error and error.__cause__ else ""
    return code, f"{text[0]} ({code}){cause}"


async def bounded(work: Coroutine[Any, Any, T], deadline: Deadline, stop: Callable[[], None] | None = None) -> T:
    """Give what `work` gives; raises TimeoutError after the deadline.

    asyncio.timeout is not enough: a driver that is cancelled says goodbye to the server, and to a
    server that hangs it says it for ever. It is cancelled again until it lets go; where it cannot
    be cancelled, `stop` is called instead.
    """
    task = asyncio.create_task(work)
    # Who was cancelled meanwhile does not ask what came of it; asyncio would call that a mistake.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        while not task.done() and (left := deadline.left) > 0:
            await asyncio.wait({task}, timeout=left)
        if task.done():
            return task.result()
    finally:
        while not task.done():
            (stop or task.cancel)()
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    if not task.cancelled():
        return task.result()  # it ended while it was being stopped
    raise TimeoutError


def open_database(settings: Settings) -> Database:
    """Open the database of the settings; connects at the first use.

    Raises ConfigError for settings that cannot work.
    """
    engine, store = open_engine(settings), settings.store
    # SQLite has no server to save answers of.
    asking = open_engine(settings, alone=True) if engine.dialect.name == "mysql" else None
    return Database(engine, store.timeout_seconds, store.retries, asking)
