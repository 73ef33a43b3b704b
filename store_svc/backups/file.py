"""The backup file: a zip with a member of JSON lines for each table, and a manifest.

The manifest is written last and says what the file must hold, so a file that was cut short or
changed is told from a whole one before anything is done with it.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Table

from arbig.errors import Refused
from store_svc.backups.progress import Step, silent
from store_svc.tables.migrate import head
from store_svc.tables.schema import METADATA

TABLES: list[Table] = [METADATA.tables[name] for name in sorted(METADATA.tables)]
_MANIFEST = "manifest.json"
# Six times smaller than the rows; a higher level is slower than the database.
_LEVEL = 3
# All that reading a damaged zip raises; OSError where an offset points before the file.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError, KeyError)


class BackupError(Refused):
    """There is no backup, or it cannot be used; nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "BACKUP_FAILED")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(_Part):
    """What a table's member is."""

    rows: int
    sha256: str


class Place(_Part):
    """How far a followed stream was stored."""

    epoch: int
    seq: int


class Manifest(_Part):
    """What a backup has."""

    format: Literal[1] = 1
    arbig: str
    revision: str
    time: datetime
    tables: dict[str, Content]
    streams: dict[str, Place]
    sequences: dict[str, int]

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(content.rows for content in self.tables.values())


def version() -> str:
    """Give our own version."""
    return importlib.metadata.version("arbig")


def content(rows: Iterable[bytes], write: IO[bytes] | None = None) -> Content:
    """Count and hash lines, and write them."""
    count, digest = 0, hashlib.sha256()
    for line in rows:
        digest.update(line)
        count += 1
        if write:
            write.write(line)
    return Content(rows=count, sha256=digest.hexdigest())


class Writer:
    """A backup file in the making."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive

    def table(self, table: Table, rows: Iterable[bytes]) -> Content:
        """Write a table's rows."""
        with self._zip.open(_member(table), "w", force_zip64=True) as member:
            return content(rows, member)

    def manifest(self, manifest: Manifest) -> None:
        """Say what the file holds: it is whole."""
        self._zip.writestr(_MANIFEST, manifest.model_dump_json(indent=1))


@contextlib.contextmanager
def writing(file: IO[bytes]) -> Iterator[Writer]:
    """Make a backup file; raises BackupError where it cannot be written."""
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            yield Writer(archive)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise BackupError(f"the backup cannot be written: {error.strerror or error}") from error


class Backup:
    """A backup file that is there to be read."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._zip = archive

    def lines(self, table: Table) -> Iterator[bytes]:
        """Give a table's rows; raises BackupError."""
        try:
            with self._zip.open(_member(table)) as member:
                yield from member
        except _DAMAGE as error:
            raise BackupError(f"{self.path}: {_member(table)} is damaged: {error}") from error

    def check(self, step: Step = silent) -> None:
        """Read all of it; raises BackupError where it is not what its manifest says."""
        with step("check the file", self.manifest.rows) as advance:
            for table in TABLES:
                found, wanted = content(advance(self.lines(table))), self.manifest.tables[table.name]
                if found != wanted:
                    what = f"{found.rows} rows, the manifest says {wanted.rows}"
                    raise BackupError(f"{self.path}: {_member(table)} was changed: {what}, or the hash differs")


def read_manifest(path: Path) -> Manifest:
    """Read what a backup has, of any revision; raises BackupError."""
    with _opened(path) as archive:
        return _manifest(path, archive)


@contextlib.contextmanager
def open_backup(path: Path) -> Iterator[Backup]:
    """Open a backup of this version's tables; raises BackupError that says what is wrong with it."""
    with _opened(path) as archive:
        manifest = _manifest(path, archive)
        _same_revision(path, manifest)
        missing = {_member(table) for table in TABLES} - set(archive.namelist())
        if missing or set(manifest.tables) != set(METADATA.tables):
            raise BackupError(f"{path}: lacks {', '.join(sorted(missing)) or 'tables in its manifest'}")
        yield Backup(path, archive, manifest)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise BackupError(f"{path}: cut short, or no backup: {error}") from error
        with archive:
            yield archive


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        text = archive.read(_MANIFEST)
    except _DAMAGE as error:
        raise BackupError(f"{path}: no backup, or damaged: {error}") from error
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        ours = Manifest.model_fields["format"].default
        raise BackupError(f"{path}: its manifest is not one of format {ours}: {where}: {wrong['msg']}") from error
    return manifest


def _same_revision(path: Path, manifest: Manifest) -> None:
    if manifest.revision != head():
        what = f'its tables are at revision "{manifest.revision}", this version\'s at "{head()}"'
        raise BackupError(f"{path}: {what}: restore it with ARBIG {manifest.arbig}, which made it, then upgrade")


def _member(table: Table) -> str:
    return f"{table.name}.jsonl"
