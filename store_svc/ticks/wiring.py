"""What stores ticks, made as the settings want it."""

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from arbig.config import Settings, Store
from arbig.errors import ConfigError
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.ticks.archiver import MISSING, Archiver
from store_svc.ticks.history import TickHistory
from store_svc.ticks.recorder import TickRecorder
from store_svc.ticks.service import TickHistoryService
from store_svc.ticks.streams import TickStreams
from store_svc.ticks.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from store_svc.ticks.archive import Archive


class NoTicks:
    """Stores no ticks, as the settings want it; those that are archived can be read."""

    stored: Cursor | None = None
    reason = archive_reason = ""

    def __init__(self, archive: "Archive | None") -> None:
        self.service = TickHistoryService(TickHistory(None, archive))

    async def run(self) -> None:
        """Do nothing."""


class Ticks:
    """Ticks into Redis, from there into the archive, and back from both."""

    def __init__(
        self, recorder: TickRecorder, archiver: Archiver, history: TickHistory, server: EmbeddedValkey | None
    ) -> None:
        self.service = TickHistoryService(history)
        self._recorder = recorder
        self._archiver = archiver
        self._server = server

    @property
    def stored(self) -> Cursor | None:
        """The last tick that Redis has."""
        return self._recorder.stored.cursor

    @property
    def reason(self) -> str:
        """What keeps ticks from being stored; empty while they are."""
        return (self._server.reason if self._server else "") or self._recorder.reason

    @property
    def archive_reason(self) -> str:
        """What keeps ticks from the archive; empty while they get there, or none is kept."""
        return self._archiver.reason

    async def run(self) -> None:
        """Record and archive for ever."""
        async with asyncio.TaskGroup() as group:
            if self._server:
                group.create_task(self._server.run())
                await self._server.begun()
            group.create_task(self._recorder.run())
            group.create_task(self._archiver.run())


def open_ticks(settings: Settings, subscribe: object) -> Ticks | NoTicks:
    """Make what stores ticks; raises ConfigError for settings that cannot work."""
    archive, missing = _open_archive(settings)
    if settings.store.redis == "none":
        return NoTicks(archive)
    server = None if settings.store.redis else EmbeddedValkey(settings.directory("store"))
    streams = TickStreams(open_redis(settings.store, server.url if server else settings.store.redis))
    # Days that are in files already must not lack those that come before pyarrow is there again.
    keeps_all = bool(missing) and any(_archive_directory(settings).glob("*/*.parquet"))
    archiver = Archiver(streams, archive, None if keeps_all else settings.store.tick_days, missing)
    recorder = TickRecorder(streams, subscribe, archive, archiver.wake)
    return Ticks(recorder, archiver, TickHistory(streams, archive, lambda: recorder.newest), server)


def _open_archive(settings: Settings) -> "tuple[Archive | None, str]":
    if settings.store.archive == "none":
        return None, ""
    if find_spec("pyarrow") is None:
        return None, MISSING
    from store_svc.ticks.archive import Archive  # noqa: PLC0415 - pyarrow is an optional extra

    return Archive(_archive_directory(settings)), ""


def _archive_directory(settings: Settings) -> Path:
    chosen = settings.store.archive
    return Path(chosen) if chosen else settings.directory("store") / "archive"


def open_redis(store: Store, url: str) -> Redis:
    """Make a client that gives up after a time and tries nothing twice: we do, and say so.

    Raises ConfigError for a URL that cannot work.
    """
    try:
        parts = urlsplit(url)
        if parts.password and store.redis_password_file:
            raise ConfigError("store.redis: the URL has a password, and redis_password_file has one too")
        if parts.username and store.redis_user:
            raise ConfigError("store.redis: the URL names a user, and redis_user does too")
        client: Redis = Redis.from_url(
            url,
            socket_timeout=store.timeout_seconds,
            socket_connect_timeout=store.timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigError(f'store.redis: {error}; or "none", or nothing for the embedded Valkey') from None
    given = client.connection_pool.connection_kwargs
    if store.redis_user:
        given["username"] = store.redis_user
    if store.redis_password_file:
        given["password"] = store.redis_password_file.read_text().strip("\r\n")
    return client
