"""A backup taken while orders flow is whole, goes into the other engine, and the mesh goes on from it."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from arbig.store.v1.admin_pb2 import BackupRequest
from store_svc.backups.backup import back_up
from store_svc.backups.file import read_manifest
from store_svc.journal.writing import write
from tests.servers import PASSWORD, Server
from tests.store_svc.conftest import empty_database
from tests.store_svc.journal.test_writing import batch
from tests.store_svc.mesh import DEADLINE, Mesh, a_day, assert_everything_once, mesh
from tests.store_svc.test_backup import opened
from tests.store_svc.tool.process import command_lines, started, surroundings, tool

ORDERS_PER_SECOND = 200
EVENTS = 5  # of an order of `a_day`


class Flow:
    """Orders that flow at an even rate."""

    def __init__(self, made: Mesh, begun: int) -> None:
        self.orders = begun
        self._made = made

    async def run(self) -> None:
        """Let them flow until cancelled."""
        clock = asyncio.get_running_loop()
        begun, at = self.orders, clock.time()
        while True:
            while self.orders < begun + (clock.time() - at) * ORDERS_PER_SECOND:
                self._made.trade.publish(*a_day(1, first=self.orders))
                self.orders += 1
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def flowing(made: Mesh, begun: int) -> AsyncIterator[Flow]:
    """Let orders flow, behind those that are there."""
    flow = Flow(made, begun)
    made.trade.publish(*a_day(begun))
    await made.until_stored()
    task = asyncio.create_task(flow.run())
    yield flow
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def urls(mariadb: Server, tmp_path: Path) -> dict[str, str]:
    """Make an empty database on each engine."""
    return {"sqlite": f"sqlite:///{tmp_path / 'other.db'}", "mariadb": await empty_database(mariadb.url)}


@pytest.mark.parametrize(("source", "target"), [("sqlite", "mariadb"), ("mariadb", "sqlite")])
async def test_a_backup_while_200_orders_a_second_flow_is_restored_into_the_other_engine_and_goes_on(
    urls: dict[str, str], tmp_path: Path, source: str, target: str
) -> None:
    file = tmp_path / "b.zip"
    async with mesh(tmp_path / "one", database=urls[source]) as made, made.trading(), made.storing():
        async with flowing(made, 2000) as flow:
            before = made.trade.feed.head
            said = await tool(made.settings, "backup", "--file", file)
            assert said.status == 0, said.errors
            meanwhile = made.trade.feed.head - before
        assert meanwhile > ORDERS_PER_SECOND * EVENTS / 4
        at_one_moment(file)
        async with mesh(tmp_path / "two", database=urls[target]) as again:
            assert (await tool(again.settings, "restore", "--file", file)).status == 0
            said = await tool(again.settings, "verify", "--file", file)
            assert (said.status, said.out.splitlines()[-1].rpartition(": ")[2]) == (0, "equal")
            again.trade = made.trade
            async with again.trading(), again.storing():
                await again.until_stored()
                await assert_everything_once(again, flow.orders)


def at_one_moment(file: Path) -> None:
    """Check that the tables are all of the moment that the cursor says."""
    manifest = read_manifest(file)
    stored = manifest.streams["trade"].seq
    assert manifest.tables["orders"].rows == -(-stored // EVENTS)
    assert manifest.tables["trades"].rows == (stored + 2) // EVENTS


@contextlib.asynccontextmanager
async def half_made(made: Mesh, file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Be in the middle of a backup of 4,000 orders."""
    made.trade.publish(*a_day(4000))
    await made.until_stored()
    process = await started(made.settings, "backup", "--file", file, "--prove")
    while not left_of(file):
        await asyncio.sleep(0.001)
    yield process
    await process.communicate()
    assert not file.exists()


def left_of(file: Path) -> list[Path]:
    """Give what there is of a backup beside its file."""
    return list(file.parent.glob(f".{file.name}.*"))


async def test_what_a_kill_9_of_a_backup_leaves_goes_with_the_next_one(
    urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory := tmp_path / "backups").mkdir()
    settings = {"database": urls["mariadb"], "backup_directory": str(directory)}
    async with mesh(tmp_path / "one", **settings) as made, made.trading(), made.storing():
        file = directory / "arbig-20260309T000000Z.zip"
        async with half_made(made, file) as process:
            process.send_signal(signal.SIGKILL)
        assert left_of(file)
        for name, value in surroundings(made.settings).items():
            monkeypatch.setenv(name, value)
        await made.admin.Backup(BackupRequest(), timeout=DEADLINE)
        assert not left_of(file)


async def test_a_backup_that_is_told_to_stop_leaves_nothing(urls: dict[str, str], tmp_path: Path) -> None:
    """From either database."""
    file = tmp_path / "b.zip"
    for place, url in urls.items():
        async with mesh(tmp_path / place, database=url) as made, made.trading(), made.storing():
            async with half_made(made, file) as process:
                process.terminate()
            assert process.returncode == 128 + signal.SIGTERM
            assert not left_of(file)


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
async def test_a_kill_9_of_a_restore_leaves_an_empty_database(
    urls: dict[str, str], tmp_path: Path, engine: str
) -> None:
    file = tmp_path / "b.zip"
    async with opened(f"sqlite:///{tmp_path / 'full.db'}", tmp_path) as full:
        await full.write(lambda on: write(on, batch(*a_day(6000))), 60)
        await back_up(full, file)
    async with mesh(tmp_path / "two", database=urls[engine]) as again:
        process = await started(again.settings, "restore", "--file", file)
        while process.returncode is None and not await half_way(urls[engine]):
            await asyncio.sleep(0.15)  # InnoDB says nothing new to who asks more often
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        _, errors = await process.communicate()
        assert process.returncode == -signal.SIGKILL, errors
        assert (await tool(again.settings, "orders", "--json")).out == "[]\n"
        said = await tool(again.settings, "restore", "--file", file)
        assert said.status == 0, said.errors


async def half_way(url: str) -> bool:
    """Whether somebody has written rows into the database that are not committed."""
    if url.startswith("sqlite"):
        log = Path(f"{make_url(url).database}-wal")
        return log.exists() and log.stat().st_size > 1_000_000
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT MAX(trx_rows_modified) FROM information_schema.innodb_trx"))
        rows = found.scalar() or 0
    await engine.dispose()
    return rows > 1000


async def test_no_command_line_shows_the_password(
    urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it stands in the settings, as part of the URL."""
    seen = set[str]()
    async with mesh(tmp_path / "one", database=urls["mariadb"]) as made, made.trading():
        assert PASSWORD in urls["mariadb"]
        monkeypatch.setenv("ARBIG_STORE__DATABASE", urls["mariadb"])
        monkeypatch.setenv("ARBIG_DATA", str(made.settings.data))
        monkeypatch.setenv("ARBIG_PORT_BASE", str(made.settings.port_base))
        watching = asyncio.create_task(command_lines(made.settings, seen))
        async with made.storing():
            made.trade.publish(*a_day(1))
            await made.until_stored()
            await made.admin.Backup(BackupRequest(), timeout=DEADLINE)
            status = await made.status()
            assert PASSWORD not in status.database + status.reason + status.backup_reason
        watching.cancel()
    assert any("db backup" in line for line in seen)
    assert not [line for line in seen if PASSWORD in line]


async def test_the_tool_says_no_password(urls: dict[str, str], tmp_path: Path) -> None:
    async with mesh(tmp_path / "one", database=urls["mariadb"]) as made, made.trading():
        for arguments in (["init", "--sample"], ["orders"], ["backup", "--prove", "--file", tmp_path / "b.zip"]):
            said = await tool(made.settings, *arguments)
            assert said.status == 0, said.errors
            assert PASSWORD not in said.out + said.errors
