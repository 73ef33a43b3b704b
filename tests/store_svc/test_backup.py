"""A backup is what the tables were at one moment; what is restored from it is equal, on either engine."""

import asyncio
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Table, insert, inspect, select, update
from sqlalchemy.util import await_only

from arbig.config import Settings, Store
from arbig.errors import ConfigError, Refused
from store_svc.backups.backup import back_up
from store_svc.backups.file import BackupError, Manifest, open_backup, read_manifest
from store_svc.backups.progress import Advance, Long, silent
from store_svc.backups.restore import Difference, compare, occupied, prove, restore
from store_svc.backups.rows import from_line
from store_svc.database import Database, DatabaseDown, open_database
from store_svc.journal.writing import write
from store_svc.tables.migrate import config, migrate, revision
from store_svc.tables.schema import METADATA, orders, sequences, system_logs
from tests.servers import Server
from tests.store_svc.conftest import NUMBERS, empty_database
from tests.store_svc.journal.test_writing import batch
from tests.store_svc.mesh import a_day
from tests.store_svc.rows import every_table

ENGINES = ("sqlite", "mariadb")
Empty = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def opened(url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database with the tables in it."""
    async with aclosing(open_database(Settings(data=tmp_path, store=Store(database=url)))) as database:
        await database.write(lambda on: on.run_sync(migrate), 60)
        yield database


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Empty:
    """Make an empty database on an engine; give its URL."""

    async def made(engine: str) -> str:
        if engine == "sqlite":
            return f"sqlite:///{tmp_path / f'{next(NUMBERS)}.db'}"
        server: Server = request.getfixturevalue("mariadb")
        return await empty_database(server.url)

    return made


async def fill(database: Database, seed: int = 1, count: int = 40) -> None:
    """Put random rows into every table."""
    for name, rows in every_table(count, seed).items():
        await database.write(lambda on, name=name, rows=rows: on.execute(insert(METADATA.tables[name]), rows))  # type: ignore[misc]
    await database.write(lambda on: on.execute(update(sequences).values(seq=2**62)))


def content(manifest: Manifest) -> object:
    """Give what a manifest says of the rows."""
    return manifest.tables, manifest.streams, manifest.sequences


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(f"sqlite:///{tmp_path / 'here.db'}", tmp_path) as made:
        yield made


@pytest.fixture
async def full(database: Database) -> Database:
    """Give a database with three orders that filled."""
    await database.write(lambda on: write(on, batch(*a_day(3))))
    return database


@pytest.fixture
async def backup(full: Database, tmp_path: Path) -> Path:
    """Make a backup of it."""
    await back_up(full, tmp_path / "b.zip")
    return tmp_path / "b.zip"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("source", "target"), [(a, b) for a in ENGINES for b in ENGINES])
async def test_every_row_goes_from_one_engine_to_the_other_and_back_unchanged(
    empty: Empty, tmp_path: Path, source: str, target: str, seed: int
) -> None:
    async with opened(await empty(source), tmp_path) as here, opened(await empty(target), tmp_path) as there:
        await fill(here, seed)
        before = await back_up(here, tmp_path / "here.zip")
        with open_backup(tmp_path / "here.zip") as file:
            await restore(there, file)
            assert await compare(there, file) == []
        assert content(await back_up(there, tmp_path / "there.zip")) == content(before)


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_is_committed_meanwhile_is_not_in_the_backup(empty: Empty, tmp_path: Path, engine: str) -> None:
    async with opened(await empty(engine), tmp_path) as database:
        await fill(database)
        wanted = await back_up(database, tmp_path / "before.zip")
        slowly = Slowly()
        reading = asyncio.create_task(back_up(database, tmp_path / "b.zip", slowly.step))
        await slowly.reading.wait()
        await database.write(lambda on: on.execute(system_logs.delete()))
        await database.write(lambda on: on.execute(update(orders).values(volume=7)))
        slowly.go_on.set()
        assert content(await reading) == content(wanted)


async def test_a_restored_stream_has_a_new_epoch_and_goes_on_with_its_numbers(
    full: Database, empty: Empty, tmp_path: Path
) -> None:
    await full.write(lambda on: on.execute(update(sequences).values(epoch=5, seq=17)))
    await back_up(full, tmp_path / "b.zip")
    async with opened(await empty("sqlite"), tmp_path) as there:
        with open_backup(tmp_path / "b.zip") as file:
            await restore(there, file)
        found = (await there.read(lambda on: on.execute(select(sequences)))).all()
    assert {row.seq for row in found} == {17}
    assert min(row.epoch for row in found) > 1_700_000_000_000


async def test_a_database_that_went_on_is_told_from_its_backup(full: Database, backup: Path) -> None:
    await full.write(lambda on: write(on, batch(*a_day(2, first=3), after=15)))
    with open_backup(backup) as file:
        found = await compare(full, file)
    assert [one.table for one in found] == ["orders", "positions", "streams", "trades"]
    assert found[0] == Difference("orders", 5, 3, "account_id=sim001 client_order_id=o3")


async def test_a_backup_is_restored_only_into_an_empty_database(full: Database, backup: Path) -> None:
    with (
        open_backup(backup) as file,
        pytest.raises(BackupError, match="not empty: orders, positions"),
    ):
        await restore(full, file)
    with open_backup(backup) as file:
        assert await compare(full, file) == []


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_database_of_an_older_version_that_has_rows_stays_as_it_is(
    backup: Path, empty: Empty, tmp_path: Path, engine: str
) -> None:
    """Not even its tables are upgraded."""
    settings = Settings(data=tmp_path, store=Store(database=await empty(engine)))
    async with aclosing(open_database(settings)) as database:
        await database.write(lambda on: on.run_sync(lambda on: command.upgrade(config(on), "0001")), 60)
        await database.write(lambda on: on.exec_driver_sql("INSERT INTO streams VALUES ('trade', 1, 5)"))
        with open_backup(backup) as file, pytest.raises(BackupError, match="not empty: streams has rows; nothing was"):
            await restore(database, file)
        assert await database.read(lambda on: on.run_sync(revision)) == "0001"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_database_of_another_program_gets_no_tables(
    backup: Path, empty: Empty, tmp_path: Path, engine: str
) -> None:
    settings = Settings(data=tmp_path, store=Store(database=await empty(engine)))
    async with aclosing(open_database(settings)) as database:
        await database.write(lambda on: on.exec_driver_sql("CREATE TABLE customers (id INTEGER PRIMARY KEY)"))
        with pytest.raises(ConfigError, match=r"another program \(customers\): name an empty database"):
            await database.write(lambda on: on.run_sync(migrate), 60)
        with open_backup(backup) as file, pytest.raises(ConfigError, match="customers"):
            await restore(database, file)
        found = await database.read(lambda on: on.run_sync(lambda on: inspect(on).get_table_names()))
        assert found == ["customers"]


async def test_a_database_that_hangs_is_noticed_before_long_work(
    own_mariadb: Server, backup: Path, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, store=Store(database=own_mariadb.url, timeout_seconds=0.5))
    async with aclosing(open_database(settings)) as database:
        own_mariadb.hang()
        for work in (lambda _: back_up(database, tmp_path / "hung.zip"), partial(restore, database)):
            with open_backup(backup) as file, pytest.raises(DatabaseDown, match=r"no answer within 0\.5 s"):
                await work(file)
        with open_backup(backup) as file, pytest.raises(DatabaseDown, match=r"no answer within 0\.5 s"):
            await compare(database, file)
    assert not list(tmp_path.glob(".hung*"))


async def test_a_database_that_hangs_in_the_midst_of_a_backup_is_noticed(
    own_mariadb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store_svc.backups.progress.PATIENCE", 0.1)

    @contextmanager
    def hanging(_: str, __: int) -> Iterator[Advance]:
        own_mariadb.hang()
        yield lambda rows: rows

    async with opened(own_mariadb.url, tmp_path) as database:
        with pytest.raises(DatabaseDown, match="no answer within 1 s"):
            await back_up(database, tmp_path / "b.zip", hanging)
    assert not list(tmp_path.glob(".b*"))


async def test_long_work_may_take_as_long_as_rows_pass(full: Database) -> None:
    """Each puts off the moment when we give up."""
    work = Long(full, silent)
    work.deadline.seconds = -1.0
    with work.step("", 2) as advance:
        rows = advance(iter([b"1", b"2"]))
        next(rows)
        assert work.deadline.left < 0
        work.deadline.seconds = 60.0
        next(rows)
    assert work.deadline.left > 0


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_row_that_comes_back_otherwise_leaves_the_database_empty(
    backup: Path, empty: Empty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    def altered(table: Table, line: bytes) -> dict[str, Any]:
        return from_line(table, line.replace(b"450.0200", b"450.0201"))

    async with opened(await empty(engine), tmp_path) as there:
        with open_backup(backup) as file:
            monkeypatch.setattr("store_svc.backups.restore.from_line", altered)
            with pytest.raises(BackupError, match="orders came back otherwise than it went in, at account_id=sim001"):
                await restore(there, file)
            assert await there.read(lambda on: on.run_sync(occupied)) == []
            monkeypatch.undo()
            await restore(there, file)


async def test_a_file_is_not_overwritten_unless_told_to(full: Database, backup: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(BackupError, match="there already: --force"):
        await back_up(full, backup)
    assert backup.read_bytes() == before
    await back_up(full, backup, force=True)


async def test_a_file_that_is_made_meanwhile_is_not_overwritten_either(full: Database, tmp_path: Path) -> None:
    async def meanwhile(_: Path) -> None:
        (tmp_path / "b.zip").write_bytes(b"mine")

    with pytest.raises(BackupError, match="there already"):
        await back_up(full, tmp_path / "b.zip", proof=meanwhile)
    assert (tmp_path / "b.zip").read_bytes() == b"mine"
    await back_up(full, tmp_path / "b.zip", proof=meanwhile, force=True)
    assert read_manifest(tmp_path / "b.zip").rows
    assert not list(tmp_path.glob(".b*"))


async def test_a_path_that_cannot_be_is_named(full: Database, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="File name too long"):
        await back_up(full, tmp_path / f"{'a' * 300}.zip")
    with pytest.raises(BackupError, match="Is a directory"), open_backup(tmp_path):
        pass


async def test_a_backup_is_for_us_alone(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600


async def test_a_backup_that_does_not_prove_itself_is_none(full: Database, tmp_path: Path) -> None:
    async def fail(_: Path) -> None:
        raise BackupError("no")

    with pytest.raises(BackupError, match="no"):
        await back_up(full, tmp_path / "b.zip", proof=fail)
    assert not list(tmp_path.glob("*.zip*")) + list(tmp_path.glob(".b*"))


async def test_a_proof_leaves_nothing_behind(tmp_path: Path, backup: Path) -> None:
    before = set(tmp_path.iterdir())
    await prove(backup, Settings(data=tmp_path))
    assert set(tmp_path.iterdir()) == before


async def test_a_proof_needs_nothing_of_the_database_that_is_backed_up(tmp_path: Path, backup: Path) -> None:
    """Neither its TLS, nor a directory whose name needs no quoting in a URL."""
    (odd := tmp_path / "50%? #1").mkdir()
    moved = backup.rename(odd / "b.zip")
    (ca := tmp_path / "ca.pem").touch()
    await prove(moved, Settings(data=tmp_path, store=Store(database="mysql://arbig@127.0.0.1:1/db", tls_ca=ca)))
    assert list(odd.iterdir()) == [moved]


async def test_a_database_without_tables_is_told_how_to_get_them(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, store=Store(database=f"sqlite:///{tmp_path / 'none.db'}"))
    async with aclosing(open_database(settings)) as database:
        with pytest.raises(Refused, match="no tables: run `arbig db init`"):
            await back_up(database, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def damaged(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Write the backup again with its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def replaced(member: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        assert old in members[member]
        members[member] = members[member].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda members: members.pop("orders.jsonl"), "lacks orders.jsonl"),
        (lambda members: members.pop("manifest.json"), "no backup, or damaged"),
        (replaced("manifest.json", b'"0004"', b'"0001"'), 'revision "0001", this version\'s at "0004"'),
        (replaced("manifest.json", b'"format": 1', b'"format": 2'), "not one of format 1: format"),
        (replaced("manifest.json", b'"trades"', b'"treads"'), "lacks tables in its manifest"),
        (replaced("manifest.json", b"{", b"["), "not one of format 1"),
        (replaced("orders.jsonl", b"450.0200", b"450.0300"), "orders.jsonl was changed"),
        (replaced("orders.jsonl", b'"o1"', b'"o9"'), "orders.jsonl was changed"),
    ],
)
async def test_a_changed_file_is_refused_and_nothing_is_touched(
    backup: Path, empty: Empty, tmp_path: Path, change: Callable[[dict[str, bytes]], None], why: str
) -> None:
    damaged(backup, change)
    await refuse(backup, await empty("sqlite"), tmp_path, why)


async def refuse(backup: Path, url: str, tmp_path: Path, why: str) -> None:
    """Check that a restore is refused and leaves an empty database without any tables."""
    database = open_database(Settings(data=tmp_path, store=Store(database=url)))
    async with aclosing(database):
        with pytest.raises(BackupError, match=why) as refused, open_backup(backup) as file:
            await restore(database, file)
        assert str(backup) in str(refused.value)
        found = await database.read(lambda on: on.exec_driver_sql("SELECT COUNT(*) FROM sqlite_master"))
        assert found.scalar() == 0


async def test_a_file_cut_short_anywhere_is_refused(backup: Path, empty: Empty, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    for length in [0, 1, 100, *range(200, len(whole), len(whole) // 20), len(whole) - 1]:
        backup.write_bytes(whole[:length])
        await refuse(backup, await empty("sqlite"), tmp_path, "cut short")


async def test_a_flipped_byte_is_noticed_or_changes_no_row(full: Database, backup: Path) -> None:
    """A byte that says when a member was made is one that nobody misses."""
    whole, noticed = backup.read_bytes(), 0
    for place in range(0, len(whole), 7):
        backup.write_bytes(whole[:place] + bytes([whole[place] ^ 0x21]) + whole[place + 1 :])
        try:
            with open_backup(backup) as file:
                assert await compare(full, file) == []
        except BackupError:
            noticed += 1
    assert noticed > len(whole) / 7 / 2


class Slowly:
    """Holds a backup between its first row and the others."""

    def __init__(self) -> None:
        self.reading, self.go_on = asyncio.Event(), asyncio.Event()

    @contextmanager
    def step(self, _: str, __: int) -> Iterator[Advance]:
        """Begin; the rest waits for `go_on`."""
        yield self._advance

    def _advance(self, rows: Iterator[bytes]) -> Iterator[bytes]:
        for row in rows:
            yield row
            self.reading.set()
            await_only(self.go_on.wait())
