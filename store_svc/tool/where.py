"""Which database the tool works on: that of the settings, or the one it is told."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from grpc.aio import AioRpcError

from arbig.channel import open_channel
from arbig.config import Settings, load
from arbig.errors import Refused
from arbig.store.v1.store_pb2 import GetStatusRequest
from arbig.store.v1.store_pb2_grpc import RecordServiceStub
from store_svc.database import Database, open_database

PEER_SECONDS = 2.0


def settings(database: str | None, password_file: Path | None) -> Settings:
    """Give the settings, with another database if one is named; raises ConfigError."""
    loaded = load()
    changed = {"database": database, "password_file": password_file}
    if database is None:
        changed = {"password_file": password_file} if password_file else {}
    return loaded.model_copy(update={"store": loaded.store.model_copy(update=changed)})


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
    """Tell whether a storage service of this machine writes to the database."""
    async with open_channel(settings.address("store")) as channel:
        try:
            status = await RecordServiceStub(channel).GetStatus(GetStatusRequest(), timeout=PEER_SECONDS)
        except AioRpcError:
            return False
    return bool(status.database == database.label)
