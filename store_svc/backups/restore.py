"""Filling an empty database from a backup, and comparing one with it."""

import time
from collections.abc import Iterator
from contextlib import aclosing
from itertools import islice, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, insert, inspect, literal, select

from arbig.config import Settings
from store_svc.backups.backup import one_moment
from store_svc.backups.file import TABLES, Backup, BackupError, content, open_backup
from store_svc.backups.progress import Advance, Long, Step, silent
from store_svc.backups.rows import from_line, key, lines
from store_svc.database import Database, open_database
from store_svc.engines import elsewhere
from store_svc.tables.migrate import differences, migrate, migrated, revision_of_ours
from store_svc.tables.schema import sequences

_BATCH = 500


async def restore(database: Database, backup: Backup, step: Step = silent) -> None:
    """Fill an empty database, all or nothing, and prove that it has what the manifest says.

    Raises BackupError, DatabaseDown, and ConfigError for a database that is not ours.
    """
    # A short question first: a database that hangs does not answer it either.
    await database.read(lambda on: on.run_sync(_check))
    backup.check(step)
    work = Long(database, step)
    await database.write(lambda on: on.run_sync(_prepare), work.deadline)
    await database.write(lambda on: on.run_sync(_fill, backup, work.step), work.deadline)


async def prove(path: Path, settings: Settings, step: Step = silent) -> None:
    """Restore a backup into a database of its own, beside it, which is removed; raises BackupError."""
    # Cut, for it must not become longer than a name may be.
    name = f".{path.name.lstrip('.')[:60]}.proof-"
    with TemporaryDirectory(prefix=name, dir=path.parent) as directory, open_backup(path) as backup:
        its_own = elsewhere(settings, "").model_copy(update={"data": Path(directory)})
        async with aclosing(open_database(its_own)) as database:
            await restore(database, backup, step)


def occupied(connection: Connection) -> list[str]:
    """Name the tables that have rows, of any revision; a stream without events is none."""
    rows = {table: select(literal(1)).select_from(table).limit(1) for table in TABLES}
    rows[sequences] = rows[sequences].where(sequences.c.seq > 0)
    there = set(inspect(connection).get_table_names())
    return [table.name for table, query in rows.items() if table.name in there and connection.execute(query).first()]


def _check(connection: Connection) -> None:
    revision_of_ours(connection)
    _refuse_rows(connection)


def _prepare(connection: Connection) -> None:
    _check(connection)
    migrate(connection)
    if wrong := differences(connection):
        raise BackupError(f"the database's tables are not those of this version: {wrong[0]}")


def _refuse_rows(connection: Connection) -> None:
    if found := occupied(connection):
        raise BackupError(f"the database is not empty: {', '.join(found)} has rows; nothing was changed")


def _fill(connection: Connection, backup: Backup, step: Step) -> None:
    # Who gives out a number locks these: nobody does until we are done.
    connection.execute(select(sequences).with_for_update())
    _refuse_rows(connection)
    connection.execute(sequences.delete())
    with step("restore", backup.manifest.rows) as advance:
        for table in TABLES:
            _insert(connection, table, advance(backup.lines(table)))
    with step("read back", backup.manifest.rows) as advance:
        for table in TABLES:
            _read_back(connection, table, backup, advance)


def _insert(connection: Connection, table: Table, rows: Iterator[bytes]) -> None:
    # A new life of each stream: the numbers after the backup may have meant other events.
    begun: dict[str, Any] = {"epoch": time.time_ns() // 1_000_000} if table is sequences else {}
    while batch := [from_line(table, line) | begun for line in islice(rows, _BATCH)]:
        connection.execute(insert(table), batch)


def _read_back(connection: Connection, table: Table, backup: Backup, advance: Advance) -> None:
    found, wanted = content(advance(lines(connection, table))), backup.manifest.tables[table.name]
    if found != wanted:
        first = _first_difference(table, backup.lines(table), advance(lines(connection, table)))
        raise BackupError(f"{table.name} came back otherwise than it went in, at {first}; nothing was restored")


class Difference(NamedTuple):
    """A table that is not what the backup has."""

    table: str
    rows: int
    rows_of_backup: int
    first: str


async def compare(database: Database, backup: Backup, step: Step = silent) -> list[Difference]:
    """Give the tables that are not what a backup has; raises BackupError and DatabaseDown."""
    await database.read(lambda on: on.run_sync(migrated))
    backup.check(step)
    work = Long(database, step)
    return await database.read(lambda on: on.run_sync(_compare, backup, work.step), work.deadline)


def _compare(connection: Connection, backup: Backup, step: Step) -> list[Difference]:
    one_moment(connection)
    migrated(connection)
    with step("compare", backup.manifest.rows) as advance:
        return [found for table in TABLES if (found := _difference(connection, table, backup, advance))]


def _difference(connection: Connection, table: Table, backup: Backup, advance: Advance) -> Difference | None:
    found, wanted = content(advance(lines(connection, table))), backup.manifest.tables[table.name]
    if found == wanted:
        return None
    first = _first_difference(table, advance(lines(connection, table)), backup.lines(table))
    return Difference(table.name, found.rows, wanted.rows, first)


def _first_difference(table: Table, one: Iterator[bytes], other: Iterator[bytes]) -> str:
    """Name the first row that only one has, or that they have otherwise."""
    first = ""
    for mine, theirs in zip_longest(one, other):  # to the end: the connection is not free before
        if mine != theirs and not first:
            first = min(key(table, line) for line in (mine, theirs) if line)
    return first
