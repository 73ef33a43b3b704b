"""Which database the tool works on: that of the settings, or the one it is told."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from grpc import StatusCode
from grpc.aio import AioRpcError
from sqlalchemy import URL, make_url

from arbig.channel import open_channel
from arbig.config import Settings, load
from arbig.errors import Refused
from arbig.store.v1.store_pb2 import GetStatusRequest
from arbig.store.v1.store_pb2_grpc import RecordServiceStub
from store_svc.database import Database, open_database
from store_svc.engines import elsewhere

PEER_SECONDS = 2.0
_HERE = {"localhost", "127.0.0.1", "::1"}


def settings(database: str | None, password_file: Path | None) -> Settings:
    """Give the settings, with another database if one is named; raises ConfigError."""
    loaded = load()
    if database is not None:
        return elsewhere(loaded, database, password_file)
    if password_file:
        return elsewhere(loaded, loaded.store.database, password_file)
    return loaded


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, create: bool = False) -> AsyncIterator[Database]:
    """Open the database; raises Refused where there is no such file and none is to be made."""
    if not settings.store.database and not create and not (settings.data / "store").is_dir():
        raise Refused(f"no database in {settings.data}: run `arbig db init`", "NOT_MIGRATED")
    async with contextlib.aclosing(open_database(settings)) as database:
        url = database.engine.url
        if url.get_backend_name() == "sqlite" and url.database and not create and not Path(url.database).exists():
            raise Refused(f"no database at {url.database}: run `arbig db init`", "NOT_MIGRATED")
        yield database


async def in_use(settings: Settings, database: Database) -> bool:
    """Tell whether a storage service of this machine writes to the database; raises Refused if that is not known."""
    address = settings.address("store")
    async with open_channel(address) as channel:
        try:
            status = await RecordServiceStub(channel).GetStatus(GetStatusRequest(), timeout=PEER_SECONDS)
        except AioRpcError as error:
            if error.code() is StatusCode.UNAVAILABLE:
                return False
            why = error.details() or error.code().name
            raise Refused(
                f"cannot tell whether the storage service at {address} writes to this database: {why}", "IN_USE"
            ) from error
    return same(make_url(status.database), database.engine.url)


def same(one: URL, other: URL) -> bool:
    """Tell whether two URLs name one database, whoever logs in to it and however it is spelled."""
    return _place(one) == _place(other)


def _place(url: URL) -> tuple[object, ...]:
    if url.get_backend_name() == "sqlite":
        return "sqlite", str(Path(url.database or "").resolve())
    host = (url.host or "localhost").lower()
    return "mysql", "localhost" if host in _HERE else host, url.port or 3306, url.database
