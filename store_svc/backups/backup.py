"""Making a backup: one moment of the database, read while others write."""

import contextlib
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, func, select

from arbig.durable import sync_directory
from store_svc.backups.file import TABLES, BackupError, Manifest, Place, version, writing
from store_svc.backups.progress import Long, Step, silent
from store_svc.backups.rows import lines
from store_svc.database import Database
from store_svc.tables.migrate import migrated
from store_svc.tables.schema import sequences, streams

# What a backup is called until it is whole, behind a dot and its name.
PART = ".part"

Proof = Callable[[Path], Awaitable[None]]


async def back_up(
    database: Database, path: Path, step: Step = silent, *, force: bool = False, proof: Proof | None = None
) -> Manifest:
    """Make a backup; the file is there only when it is whole and, with a `proof`, proven.

    Raises BackupError, and DatabaseDown.
    """
    if not force:
        _refuse_there(path)
    # A short question first: a database that hangs does not answer it either.
    await database.read(lambda on: on.run_sync(migrated))
    work = Long(database, step)
    with _in_the_making(path) as (part, file):
        manifest = await database.read(lambda on: on.run_sync(_write, file, work.step), work.deadline)
        if proof:
            await proof(part)
        _name(part, path, force=force)
    return manifest


def _refuse_there(path: Path) -> None:
    try:
        there = path.exists()
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    if there:
        raise BackupError(f"{path} is there already: --force replaces it")


def _name(part: Path, path: Path, *, force: bool) -> None:
    """Give the backup its name; without `force` it takes that from no file that was made meanwhile."""
    if not force:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            _refuse_there(path)
        except OSError:
            _refuse_there(path)  # a file system without links: this is as close as it goes
        else:
            return
    part.replace(path)


@contextlib.contextmanager
def _in_the_making(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open a file beside `path`; what is left of it afterwards is removed."""
    # With a name of its own, known before there is a file: a signal may come at any moment.
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PART}")
    try:
        with open(part, "x+b", opener=_readable_by_us_alone) as file:
            yield part, file
        sync_directory(path.parent)
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _readable_by_us_alone(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _write(connection: Connection, file: IO[bytes], step: Step) -> Manifest:
    one_moment(connection)
    revision, time = migrated(connection), datetime.now(UTC)
    with writing(file) as writer:
        with step("back up", _rows(connection)) as advance:
            contents = {table.name: writer.table(table, advance(lines(connection, table))) for table in TABLES}
        manifest = Manifest(
            arbig=version(),
            revision=revision,
            time=time,
            tables=contents,
            streams={row.name: Place(epoch=row.epoch, seq=row.seq) for row in connection.execute(select(streams))},
            sequences={row.name: row.seq for row in connection.execute(select(sequences))},
        )
        writer.manifest(manifest)
    return manifest


def one_moment(connection: Connection) -> None:
    """See from now on what is committed now, whatever others write; SQLite does so of itself."""
    if connection.dialect.name == "mysql":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


def _rows(connection: Connection) -> int:
    return sum(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES)
