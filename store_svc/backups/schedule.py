"""Backups on a schedule: when the next one is due, which are kept, and what was wrong with the last.

Each is made by a process of its own, and proven by a real restore, so that recording is not held up.
"""

import asyncio
import contextlib
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
        self._wrong = ""
        self._begun: datetime | None = None
        self._directory = _directory(settings)
        self._every = timedelta(hours=settings.store.backup_hours)
        self._keep = settings.store.backup_keep
        # Those that a caller asked for.
        self._asked: set[asyncio.Task[Path]] = set()

    @property
    def time(self) -> Timestamp | None:
        """When the newest proven backup was begun; None where there is none."""
        made = self._newest()
        return Timestamp(seconds=int(made.timestamp())) if made else None

    @property
    def reason(self) -> str:
        """What was wrong with the last backup, and since when one is being made; empty for neither."""
        making = f"being made since {self._begun:%Y-%m-%d %H:%M:%S} UTC" if self._begun else ""
        return "; ".join(filter(None, (self._wrong, making)))

    def files(self) -> list[Path]:
        """Give the backups, the newest first; each was proven before it got its name.

        Those of a clock that was ahead once come last: what is in them is old.
        """
        now = datetime.now(UTC)
        with contextlib.suppress(OSError):  # making the next one will say so
            dated = [(made, path) for path in self._directory.glob(_PATTERN) if (made := _made(path))]
            dated.sort(key=lambda one: (one[0] <= now, one[0]), reverse=True)
            return [path for _, path in dated]
        return []

    async def run(self) -> None:
        """Make a backup whenever one is due, until cancelled; one that is being made then is stopped."""
        try:
            await self._on_schedule()
        finally:
            for task in self._asked:
                task.cancel()
            await asyncio.gather(*self._asked, return_exceptions=True)

    async def _on_schedule(self) -> None:
        failed = False
        while self._every:
            await asyncio.sleep(due(self._newest(), datetime.now(UTC), self._every, failed=failed).total_seconds())
            try:
                await self.make()
            except (BackupError, Unavailable):
                failed = True
            else:
                failed = False
        await asyncio.Event().wait()  # there may be one that was asked for

    async def ask(self) -> Path:
        """Make a backup now, and to its end though the caller goes away; raises what `make` raises."""
        task = asyncio.create_task(self.make())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        return await asyncio.shield(task)

    async def make(self) -> Path:
        """Make a backup now, and remove those that are too many.

        Raises BackupError, and Unavailable while another one is being made.
        """
        if self._begun:
            raise Unavailable("a backup is being made", "BACKUP_RUNNING")
        self._begun = datetime.now(UTC)
        try:
            path = await self._make(self._directory / self._begun.strftime(_NAME))
        except (BackupError, OSError) as error:
            self._wrong = str(error)
            log.error("no backup", extra={"why": error})
            raise BackupError(self._wrong) from error
        finally:
            self._begun = None
        self._wrong = self._remove_old(path)
        return path

    async def _make(self, path: Path) -> Path:
        self._sweep()
        try:
            await _back_up(path)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                self._sweep()  # the tool may have been killed
            raise
        log.info("backup made", extra={"file": path})
        return path

    def _remove_old(self, made: Path) -> str:
        """Remove the backups that are too many, but never the one just made; say what went wrong."""
        others = [path for path in self.files() if path != made]
        for old in others[self._keep - 1 :]:
            try:
                old.unlink(missing_ok=True)
            except OSError as error:
                log.error("an old backup cannot be removed", extra={"file": old, "why": error})
                return f"{old} cannot be removed: {error.strerror}"
        return ""

    def _newest(self) -> datetime | None:
        files = self.files()
        return _made(files[0]) if files else None

    def _sweep(self) -> None:
        """Remove what a backup that was stopped or killed has left: its file and its proof."""
        for part in self._directory.glob(f".{_PATTERN}.*"):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)


def _made(path: Path) -> datetime | None:
    """Give when a backup was begun, by its name; None for a file that is none of ours."""
    try:
        return datetime.strptime(path.name, _NAME).replace(tzinfo=UTC)
    except ValueError:
        return None


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
    """Run the tool, which reads the settings again, as they are now: our environment and arbig.toml."""
    with tempfile.TemporaryFile() as said:
        tool = (sys.executable, "-m", "arbig.cli", "db", "backup", "--prove", "--file", path)
        if await run_child(*tool, output=said):
            raise BackupError(_last_line(said) or "the tool was killed")


def _last_line(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("arbig: ") if lines else ""
