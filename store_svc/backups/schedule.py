"""Backups on a schedule: when the next one is due, which are kept, and what was wrong with the last.

Each is made by a process of its own, and proven by a real restore, so that recording is not held up.
"""

import asyncio
import logging
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.child import run_child
from arbig.config import Settings
from arbig.errors import ConfigError, Unavailable
from store_svc.backups.file import BackupError

log = logging.getLogger(__name__)

_NAME = "arbig-%Y%m%dT%H%M%SZ.zip"
_PATTERN = "arbig-????????T??????Z.zip"
# A service that starts has other things to do, and what failed may need a while to mend.
SETTLE, RETRY = timedelta(minutes=5), timedelta(hours=1)


def due(newest: datetime | None, now: datetime, every: timedelta, *, failed: bool) -> timedelta:
    """Say in how long the next backup is to be made, also over restarts."""
    if failed:
        return min(RETRY, every)
    soonest = min(SETTLE, every)
    return min(max(newest + every - now, soonest), every) if newest else soonest


class Backups:
    """The directory of the backups; `time` and `reason` say how the last ones went."""

    def __init__(self, settings: Settings) -> None:
        self.reason = ""
        self._directory = _directory(settings)
        self._every = timedelta(hours=settings.store.backup_hours)
        self._keep = settings.store.backup_keep
        self._making = asyncio.Lock()

    @property
    def time(self) -> Timestamp | None:
        """When the newest proven backup was begun; None where there is none."""
        made = self._newest()
        return Timestamp(seconds=int(made.timestamp())) if made else None

    def files(self) -> list[Path]:
        """Give the backups, the newest first; each was proven before it got its name."""
        return sorted(self._directory.glob(_PATTERN), reverse=True)

    async def run(self) -> None:
        """Make a backup whenever one is due, for ever; never where the settings want none."""
        failed = False
        while self._every:
            await asyncio.sleep(due(self._newest(), datetime.now(UTC), self._every, failed=failed).total_seconds())
            try:
                await self.make()
            except (BackupError, Unavailable):
                failed = True
            else:
                failed = False

    async def make(self) -> Path:
        """Make a backup now, and remove those that are too many.

        Raises BackupError, and Unavailable while another one is being made.
        """
        if self._making.locked():
            raise Unavailable("a backup is being made", "BACKUP_RUNNING")
        async with self._making:
            self._sweep()
            path = self._directory / datetime.now(UTC).strftime(_NAME)
            try:
                await _back_up(path)
            except BackupError as error:
                self.reason = str(error)
                log.error("no backup", extra={"why": error})
                raise
            self.reason = ""
            log.info("backup made", extra={"file": path})
            for old in self.files()[self._keep :]:
                old.unlink()
            return path

    def _newest(self) -> datetime | None:
        files = self.files()
        return datetime.strptime(files[0].name, _NAME).replace(tzinfo=UTC) if files else None

    def _sweep(self) -> None:
        """Remove what a backup that was killed has left."""
        for part in self._directory.glob(f".{_PATTERN}.*"):
            part.unlink(missing_ok=True)
        for proof in self._directory.glob(".proof-*"):
            shutil.rmtree(proof, ignore_errors=True)


def _directory(settings: Settings) -> Path:
    """Give the directory of the settings, made if missing; raises ConfigError where it cannot be."""
    if not settings.store.backup_directory:
        return settings.directory("backups")
    path = Path(settings.store.backup_directory).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"store.backup_directory: {path} cannot be made: {error.strerror}") from error
    return path


async def _back_up(path: Path) -> None:
    """Run the tool; it has our settings, from our environment."""
    with tempfile.TemporaryFile() as said:
        tool = (sys.executable, "-m", "arbig.cli", "db", "backup", "--prove", "--file", path)
        if await run_child(*tool, output=said):
            raise BackupError(_last_line(said) or "the tool was killed")


def _last_line(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("arbig: ") if lines else ""
