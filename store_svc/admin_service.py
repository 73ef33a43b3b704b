"""AdminService: looking after the storage, over gRPC."""

import asyncio
import logging
from pathlib import Path

from arbig.server import Context
from arbig.store.v1 import admin_pb2 as pb
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.backups.file import BackupError, read_manifest
from store_svc.backups.schedule import Backups
from store_svc.database import Database
from store_svc.journal.batch import STREAM
from store_svc.journal.recorder import Recorder
from store_svc.journal.set_aside import listed
from store_svc.tables.describe import NAMES, checked, describe

NAME = "arbig.store.v1.AdminService"

log = logging.getLogger(__name__)


class AdminService:
    """Describes, backs up, and stores again; the contract says what."""

    def __init__(self, database: Database, events: Recorder, backups: Backups) -> None:
        self._database = database
        self._events = events
        self._backups = backups

    async def DescribeTables(self, request: pb.DescribeTablesRequest, _: Context) -> pb.DescribeTablesResponse:  # noqa: N802
        """Tables and views as they are."""
        names = checked(request.table) if request.table else NAMES
        return await self._database.read(lambda on: on.run_sync(describe, names))

    async def Backup(self, request: pb.BackupRequest, _: Context) -> pb.BackupResponse:  # noqa: N802
        """Make a backup, and prove it."""
        return pb.BackupResponse(backup=_info(await self._backups.ask()))

    async def ListBackups(self, request: pb.ListBackupsRequest, _: Context) -> pb.ListBackupsResponse:  # noqa: N802
        """Backups, the newest first."""
        return pb.ListBackupsResponse(backups=await asyncio.to_thread(_infos, self._backups.files()))

    async def ListSetAside(self, request: pb.ListSetAsideRequest, _: Context) -> pb.ListSetAsideResponse:  # noqa: N802
        """Events that no table can hold, the oldest first."""
        events, token = await self._database.ask(listed(request))
        return pb.ListSetAsideResponse(events=events, next_page_token=token)

    async def StoreAgain(self, request: pb.StoreAgainRequest, _: Context) -> pb.StoreAgainResponse:  # noqa: N802
        """Read the journal again from before the first event that was set aside."""
        return pb.StoreAgainResponse(after=await self._events.store_again())


def _infos(files: list[Path]) -> list[pb.BackupInfo]:
    found = []
    for file in files:
        try:
            found.append(_info(file))
        except (BackupError, FileNotFoundError) as error:  # or one too many, and just removed
            log.warning("a backup cannot be read", extra={"why": error})
    return found


def _info(file: Path) -> pb.BackupInfo:
    manifest = read_manifest(file)
    stored = manifest.streams.get(STREAM)
    return pb.BackupInfo(
        file=str(file),
        time=manifest.time,  # type: ignore[arg-type]
        bytes=file.stat().st_size,
        rows=manifest.rows,
        revision=manifest.revision,
        events=Cursor(epoch=stored.epoch, seq=stored.seq) if stored else Cursor(),
    )
