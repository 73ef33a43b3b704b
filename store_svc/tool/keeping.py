"""`arbig db init`, `backup`, `restore`, `verify` and `move`: making the database, and keeping it."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from arbig.config import Settings
from arbig.errors import ConfigError, Refused
from store_svc.backups.backup import back_up
from store_svc.backups.file import Manifest, open_backup
from store_svc.backups.restore import compare, prove
from store_svc.backups.restore import restore as fill
from store_svc.database import Database
from store_svc.engines import elsewhere
from store_svc.tables.describe import NAMES, describe
from store_svc.tables.migrate import SECONDS, differences, migrate, revision
from store_svc.tool import sample as samples
from store_svc.tool.progress import bar
from store_svc.tool.where import in_use, opened

Work = Callable[[Settings, Database], Awaitable[None]]


def init(*, sample: bool) -> Work:
    """Make or upgrade the tables; raises ConfigError for a database that is not ours."""

    async def work(_: Settings, database: Database) -> None:
        was = await database.read(lambda on: on.run_sync(revision))
        await database.write(lambda on: on.run_sync(migrate), SECONDS)
        if wrong := await database.read(lambda on: on.run_sync(differences)):
            raise ConfigError(f"store.database: it is not what this version makes: {'; '.join(wrong)}")
        found = await database.read(lambda on: on.run_sync(describe, NAMES), SECONDS)
        done = "checked" if was == found.revision else f"upgraded from {was}" if was else "made"
        print(f"{database.label}: revision {found.revision}, {done}")
        for table in found.tables:
            print(f"  {table.name:<26} {'view' if table.view else f'{table.rows} rows'}")
        if sample:
            put = await database.write(lambda on: on.run_sync(samples.put_in))
            print("sample:", ", ".join(f"{rows} {name}" for name, rows in put.items()))

    return work


def backup(file: Path, *, force: bool, proven: bool) -> Work:
    """Make a backup; raises BackupError."""

    async def work(settings: Settings, database: Database) -> None:
        proof = (lambda path: prove(path, settings, bar)) if proven else None
        manifest = await back_up(database, file, bar, force=force, proof=proof)
        print(f"{file}: {_said(manifest)}, {file.stat().st_size:,} bytes{', proven' if proven else ''}")

    return work


def _said(manifest: Manifest) -> str:
    stored = [f"{name} {place.seq}" for name, place in manifest.streams.items()]
    return f"{manifest.rows:,} rows at revision {manifest.revision}, stored to: {', '.join(stored) or 'nothing yet'}"


def restore(file: Path) -> Work:
    """Fill an empty database; raises BackupError."""

    async def work(settings: Settings, database: Database) -> None:
        await _fill(settings, database, file)
        print(f"{database.label}: restored and equal; the mesh goes on from here with the journal")

    return work


async def _fill(settings: Settings, database: Database, file: Path) -> None:
    if await in_use(settings, database):
        raise Refused("a storage service is writing to this database: stop it first", "IN_USE")
    with open_backup(file) as opened_file:
        await fill(database, opened_file, bar)


def verify(file: Path) -> Work:
    """Compare; raises Refused where they are not equal."""

    async def work(_: Settings, database: Database) -> None:
        with open_backup(file) as opened_file:
            found = await compare(database, opened_file, bar)
            print(f"{file}: {_said(opened_file.manifest)}")
        for one in found:
            print(f"  {one.table}: {one.rows} rows, {one.rows_of_backup} in the backup; first at {one.first}")
        if found:
            raise Refused(f"{database.label} is not equal to {file}: {len(found)} tables differ", "NOT_EQUAL")
        print(f"{database.label}: equal")

    return work


def move(url: str, password_file: Path | None, *, live: bool) -> Work:
    """Copy the database into an empty one; raises Refused while it is written to, unless `live`."""

    async def work(settings: Settings, database: Database) -> None:
        if not live and await in_use(settings, database):
            why = "a storage service is writing to this database: stop it first, or --live (see --help)"
            raise Refused(why, "IN_USE")
        target = elsewhere(settings, url, password_file)
        with tempfile.TemporaryDirectory(prefix="arbig-move-") as directory:
            file = Path(directory) / "move.zip"
            manifest = await back_up(database, file, bar)
            async with opened(target, create=True) as other:
                await _fill(target, other, file)
                print(f"{database.label} -> {other.label}: {_said(manifest)}, restored and equal")
        print("name it in store.database, and start the storage service: it goes on from there with the journal")

    return work
