"""The database behind a URL: one transaction at a time, each bounded in time.

Whatever keeps the database from answering - it is down, it hangs, another writer holds the lock -
is one `DatabaseDown` with the reason for people. Whether the transaction was committed is then
unknown; who repeats it must be able to tell.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from arbig.config import Settings
from arbig.errors import ConfigError, Unavailable

T = TypeVar("T")

# How long a driver that was cancelled may take to let go before it is cancelled again.
PATIENCE_SECONDS = 1.0
# Times are UTC, and a value that does not fit is an error, never cut.
MYSQL_SESSION = "SET SESSION time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"


class DatabaseDown(Unavailable):
    """The database cannot be asked now."""

    def __init__(self, message: str) -> None:
        super().__init__(f"database: {message}", "DATABASE_DOWN")


class Database:
    """An engine, and how long one transaction may take."""

    def __init__(self, engine: AsyncEngine, seconds: float) -> None:
        self.engine = engine
        self.seconds = seconds
        # A local file answers within its own time, and its driver, a thread, hangs when it is cancelled.
        self._cancels = engine.url.get_backend_name() != "sqlite"
        # Without its password.
        self.label = engine.url.render_as_string(hide_password=True)

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], seconds: float | None = None) -> T:
        """Give what `work` reads; raises DatabaseDown within the time."""
        return await self._transaction(work, seconds or self.seconds, write=False)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]], seconds: float | None = None) -> T:
        """Do `work` wholly or not at all; raises DatabaseDown within the time."""
        return await self._transaction(work, seconds or self.seconds, write=True)

    async def _transaction(self, work: Callable[[AsyncConnection], Awaitable[T]], seconds: float, *, write: bool) -> T:
        async def transaction() -> T:
            async with self.engine.execution_options(write=write).begin() as connection:
                return await work(connection)

        try:
            return await bounded(transaction(), seconds, cancels=self._cancels)
        except DBAPIError as error:
            raise DatabaseDown(str(error.orig)) from error
        except TimeoutError as error:
            raise DatabaseDown(f"no answer within {seconds:g} s") from error
        except (OSError, PoolTimeoutError) as error:
            raise DatabaseDown(str(error)) from error

    async def aclose(self) -> None:
        """Close every connection."""
        await bounded(self.engine.dispose(), self.seconds, cancels=self._cancels)


async def bounded(work: Coroutine[Any, Any, T], seconds: float, *, cancels: bool = True) -> T:
    """Give what `work` gives; raises TimeoutError after `seconds`.

    asyncio.timeout is not enough: a driver that is cancelled says goodbye to the server, and to a
    server that hangs it says it for ever. It is cancelled again until it lets go, or, where it
    cannot be cancelled, waited for.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
    finally:
        while not task.done():
            if cancels:
                task.cancel()
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    if not task.cancelled():
        return task.result()  # it ended while it was being cancelled
    raise TimeoutError


def open_database(settings: Settings) -> Database:
    """Open the database of the settings; connects at the first use.

    Raises ConfigError for a URL that cannot work.
    """
    text = settings.store.database or f"sqlite+aiosqlite:///{settings.directory('store') / 'store.db'}"
    seconds = settings.store.timeout_seconds
    url = _url(text)
    try:
        if url.get_backend_name() == "mysql":
            return Database(_mysql(url), seconds)
        return Database(_sqlite(url, seconds), seconds)
    except (ArgumentError, NoSuchModuleError, TypeError) as error:
        raise ConfigError(f"store.database: {url.render_as_string()}: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"store.database: {error.name} is not installed: pip install 'arbig[mysql]'") from error


DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "mysql+aiomysql": "mysql+aiomysql",
}


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text is not shown: there may be a password in it.
        raise ConfigError('store.database: not a URL like "mysql+aiomysql://user:password@host/name"') from None
    if url.drivername not in DRIVERS:
        raise ConfigError(f'store.database: "{url.drivername}" is not one of {", ".join(sorted(DRIVERS))}')
    return url.set(drivername=DRIVERS[url.drivername])


def _mysql(url: URL) -> AsyncEngine:
    if not url.database:
        raise ConfigError(f"store.database: {url.render_as_string()} names no database")
    return create_async_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        connect_args={"init_command": MYSQL_SESSION},
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _sqlite(url: URL, seconds: float) -> AsyncEngine:
    if url.database and not Path(url.database).parent.is_dir():
        raise ConfigError(f"store.database: {Path(url.database).parent} is not a directory")
    engine = create_async_engine(url, connect_args={"timeout": seconds}, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # A power cut may take the last transactions, with their cursor: they are followed again.
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: Connection) -> None:
        # A writer takes the lock before it reads the cursor.
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
