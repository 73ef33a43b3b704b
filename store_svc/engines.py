"""An SQLAlchemy engine of the settings: which database, who we are there, and whether over TLS."""

import math
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from arbig.config import Settings, Store
from arbig.errors import ConfigError
from arbig.options import password_in_query

# After it, a connection is tried before it is used.
PAUSE_SECONDS = 1.0
DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "mysql+aiomysql": "mysql+aiomysql",
}
# What a URL may ask of a driver; what it does not know, it finds out at the first connection.
OPTIONS = {
    "sqlite": {"cache", "cached_statements", "mode", "uri"},
    "mysql": {"charset", "connect_timeout", "unix_socket"},
}
# Times are UTC, a value that does not fit is an error, never cut, and who waits for a lock is told
# so while there is time to try again.
MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'),"
    " innodb_lock_wait_timeout = {seconds}"
)


def elsewhere(settings: Settings, url: str, password_file: Path | None = None) -> Settings:
    """Give settings whose database is another one; empty means SQLite in the data directory."""
    changed = {"database": url, "password_file": password_file}
    if not url or url.startswith("sqlite"):
        # It would refuse them, and they are not its own.
        changed |= {"tls_ca": None, "tls_certificate": None, "tls_key": None}
    return settings.model_copy(update={"store": settings.store.model_copy(update=changed)})


def open_engine(settings: Settings, *, alone: bool = False) -> AsyncEngine:
    """Open the database of the settings; connects at the first use.

    With `alone`, each statement on MySQL stands alone: nothing is said before it or after it.
    Raises ConfigError for settings that cannot work.
    """
    store = settings.store
    url = _url(store.database) if store.database else _in(settings.directory("store"))
    try:
        return _mysql(url, store, alone=alone) if url.get_backend_name() == "mysql" else _sqlite(url, store)
    except (ArgumentError, NoSuchModuleError, TypeError, ValueError) as error:
        raise ConfigError(f"store.database: {url.render_as_string()}: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"store.database: {error.name} is not installed: pip install 'arbig[mysql]'") from error


def _in(directory: Path) -> URL:
    return URL.create(DRIVERS["sqlite"], database=str(directory / "store.db"))


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text is not shown: there may be a password in it.
        raise ConfigError('store.database: not a URL like "mysql+aiomysql://user@host/name"') from None
    if url.drivername not in DRIVERS:
        raise ConfigError(f'store.database: "{url.drivername}" is not one of {", ".join(sorted(DRIVERS))}')
    if password_in_query(text):
        raise ConfigError("store.database: a password in its query would be shown: name its file in password_file")
    url = url.set(drivername=DRIVERS[url.drivername])
    _check_options(url)
    return url


def _check_options(url: URL) -> None:
    known = OPTIONS[url.get_backend_name()]
    if unknown := sorted(set(url.query) - known):
        raise ConfigError(f'store.database: the option "{unknown[0]}" is not one of {", ".join(sorted(known))}')


def _pool(store: Store) -> dict[str, Any]:
    # Who waits for a connection is told so before the time is up.
    seconds = 0.9 * store.timeout_seconds
    return {"pool_size": store.pool_size, "max_overflow": store.pool_overflow, "pool_timeout": seconds}


def _mysql(url: URL, store: Store, *, alone: bool) -> AsyncEngine:
    if not url.database:
        raise ConfigError(f"store.database: {url.render_as_string()} names no database")
    if url.password and store.password_file:
        raise ConfigError("store.password_file: there is a password in store.database too")
    lock_seconds = max(1, int(store.timeout_seconds / 3))
    engine = create_async_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        connect_args={"init_command": MYSQL_SESSION.format(seconds=lock_seconds), **_tls(store)},
        pool_pre_ping=not alone,
        hide_parameters=True,
        **_pool(store),
        **({"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True} if alone else {}),
    )
    if alone:
        _ping_after_a_pause(engine.sync_engine)
    if store.password_file:
        _use_password(engine.sync_engine, store.password_file)
    return engine


def _ping_after_a_pause(engine: Engine) -> None:
    """Ask whether the server is there only after a while: a ping costs what an answer does."""

    @event.listens_for(engine, "checkin")
    def _returned(_: object, record: ConnectionPoolEntry) -> None:
        record.info["returned"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _taken(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        # A connection that nobody had yet is new.
        if time.monotonic() - record.info.get("returned", math.inf) > PAUSE_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error


def _use_password(engine: Engine, path: Path) -> None:
    """Read the password now, and at each new connection: it may be changed while we run."""
    try:
        if not _password(path):
            raise ConfigError(f"store.password_file: {path} is empty")
    except (OSError, ValueError) as error:
        raise ConfigError(f"store.password_file: {path} cannot be read: {error}") from error

    @event.listens_for(engine, "do_connect")
    def _connecting(_: object, __: object, ___: object, arguments: dict[str, Any]) -> None:
        arguments["password"] = _password(path)


def _password(path: Path) -> str:
    return path.read_text().strip()


def _tls(store: Store) -> dict[str, Any]:
    if not store.tls_ca:
        if store.tls_certificate or store.tls_key:
            raise ConfigError("store.tls_ca: needed where there is a tls_certificate or a tls_key")
        return {}
    if store.tls_key and not store.tls_certificate:
        raise ConfigError("store.tls_certificate: needed where there is a tls_key")
    try:
        context = ssl.create_default_context(cafile=store.tls_ca)
        if store.tls_certificate:
            context.load_cert_chain(store.tls_certificate, store.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"store.tls_ca, tls_certificate, tls_key: {error}") from error
    return {"ssl": context, "async_creator_fn": _connect_over_tls()}


def _connect_over_tls() -> Callable[..., Any]:
    """Give what connects to a server that offers TLS, and to no other: the driver would go on without."""
    # An extra: not everyone has MySQL.
    import aiomysql  # noqa: PLC0415
    from pymysql.constants import CLIENT, CR  # type: ignore[import-untyped]  # noqa: PLC0415

    class Secure(aiomysql.Connection):  # type: ignore[misc]
        async def _request_authentication(self) -> None:
            if not self.server_capabilities & CLIENT.SSL:
                raise aiomysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the server offers no TLS")
            await super()._request_authentication()

    async def connect(**arguments: Any) -> Secure:
        connection = Secure(**arguments)
        await connection._connect()  # noqa: SLF001
        return connection

    return connect


def _sqlite(url: URL, store: Store) -> AsyncEngine:
    if store.password_file or store.tls_ca:
        raise ConfigError("store.password_file, tls_ca: SQLite has neither passwords nor TLS")
    in_memory = url.database in {None, "", ":memory:"}
    if not in_memory:
        # Its name is shown to others, who may be in another directory.
        path = Path(str(url.database)).resolve()
        if not path.parent.is_dir():
            raise ConfigError(f"store.database: {path.parent} is not a directory")
        url = url.set(database=str(path))
    engine = create_async_engine(
        url,
        connect_args={"timeout": store.timeout_seconds},
        hide_parameters=True,
        **({} if in_memory else _pool(store)),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # What a caller was told is stored stays so over a power cut.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: Connection) -> None:
        # A writer takes the lock before it reads the cursor.
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
