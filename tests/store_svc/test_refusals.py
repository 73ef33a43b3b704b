"""A database that does not let us write, or does not take an event: visible, and nothing is lost."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from arbig.config import Settings, Store
from arbig.store.v1.admin_pb2 import ListSetAsideRequest, StoreAgainRequest
from store_svc.database import open_database
from tests.servers import PASSWORD, Server, as_root, start_mariadb
from tests.store_svc.mesh import a_day, assert_everything_once, mesh, order


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    """Be another client of the database."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def tell(url: str, *statements: str) -> None:
    """Let an operator do something to the database."""
    async with connected(url) as connection:
        for statement in statements:
            await connection.execute(text(statement))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk that is soon full."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


async def test_a_full_disk_is_waited_for_and_nothing_is_lost(small_disk: Path, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{small_disk / 'store.db'}"
    async with mesh(tmp_path, database=url) as made, made.trading(), made.storing():
        made.trade.publish(*(order(f"o{number}", status_text="x" * 250) for number in range(10_000)))
        status = await made.until(lambda status: "full" in status.reason)
        assert not status.ready
        resize(small_disk, "64m")
        await made.until_stored()
        assert len(await made.orders()) == 10_000


async def test_a_full_mariadb_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    """Its own bound, that is: where the disk is full it retries for a minute, and may go down."""
    small = ("--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M")
    with start_mariadb(tmp_path, *small) as server:
        many = "SELECT REPEAT('x', 8000) AS text FROM seq_1_to_600"
        await tell(server.url, "CREATE DATABASE other", f"CREATE TABLE other.filler {many}")
        async with mesh(tmp_path, database=server.url) as made, made.trading(), made.storing():
            made.trade.publish(*(order(f"o{number}", status_text="x" * 250) for number in range(10_000)))
            status = await made.until(lambda status: "The table 'orders' is full (1114)" in status.reason)
            assert not status.ready
            await tell(server.url, "DROP TABLE other.filler")
            await made.until_stored()
            assert len(await made.orders()) == 10_000


async def test_a_user_who_may_only_read_is_told_so_until_he_may_write(own_mariadb: Server, tmp_path: Path) -> None:
    url = own_mariadb.url.replace("arbig:", "reader:")
    await tell(
        as_root(own_mariadb),
        f"CREATE USER reader IDENTIFIED BY '{PASSWORD}'",
        "GRANT SELECT ON arbig.* TO reader",
    )
    async with mesh(tmp_path, database=own_mariadb.url) as made, made.trading():
        async with made.storing():
            made.trade.publish(*a_day(1))
            await made.until_stored()
        made.settings = Settings(
            **{**dict(made.settings), "store": made.settings.store.model_copy(update={"database": url})}
        )
        async with made.storing():
            made.trade.publish(*a_day(9, first=1))
            status = await made.until(lambda status: "command denied to user 'reader'" in status.reason)
            assert not status.ready
            await tell(as_root(own_mariadb), "GRANT ALL ON arbig.* TO reader")
            await made.until_stored()
            await assert_everything_once(made, 10)


async def test_a_user_and_a_database_may_be_made_later(
    own_mariadb: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_mariadb.url.replace(f"arbig:{PASSWORD}@", "late:the-password@").replace("/arbig", "/later")
    async with mesh(tmp_path, database=url) as made, made.trading(), made.storing():
        made.trade.publish(*a_day(3))
        status = await made.until(lambda status: "Access denied for user 'late'" in status.reason)
        assert not status.ready
        await tell(
            as_root(own_mariadb),
            "CREATE USER late IDENTIFIED BY 'the-password'",
            "GRANT ALL ON *.* TO late",
        )
        await made.until(lambda status: "Unknown database 'later'" in status.reason)
        await tell(as_root(own_mariadb), "CREATE DATABASE later")
        await made.until_stored()
        await assert_everything_once(made, 3)
    assert "the-password" not in caplog.text


async def test_a_server_that_accepts_and_says_nothing_is_noticed(tmp_path: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: object) -> None:
        await reader.read()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"mysql://arbig@127.0.0.1:{port}/arbig"
    async with mesh(tmp_path, database=url, timeout_seconds=0.5) as made, made.trading(), made.storing():
        status = await made.until(lambda status: "no answer within 0.5 s" in status.reason)
        assert not status.ready
    server.close()


async def test_connections_that_are_killed_are_made_again(own_mariadb: Server, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=own_mariadb.url, batch=7) as made, made.trading(), made.storing():
        await made.until(lambda status: status.ready)
        ours = text("SELECT id FROM information_schema.processlist WHERE user = 'arbig'")
        async with connected(as_root(own_mariadb)) as root:
            for number in range(0, 200, 10):
                made.trade.publish(*a_day(10, first=number))
                for one in (await root.execute(ours)).scalars().all():
                    with contextlib.suppress(Exception):  # it may be gone already
                        await root.execute(text(f"KILL CONNECTION {one}"))
        await made.until_stored()
        await assert_everything_once(made, 200)


async def test_a_lock_that_another_holds_is_waited_for(database_url: str, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=database_url, timeout_seconds=1) as made, made.trading(), made.storing():
        made.trade.publish(*a_day(1))
        await made.until_stored()
        other = open_database(Settings(data=tmp_path, store=Store(database=database_url)))
        async with other.engine.execution_options(write=True).begin() as connection:
            await connection.execute(text("UPDATE streams SET seq = seq"))
            made.trade.publish(*a_day(4, first=1))
            await made.until(lambda status: status.reason.startswith("database: "))
        await made.until_stored()
        await assert_everything_once(made, 5)
        await other.aclose()


REFUSE = {
    "sqlite": "CREATE TRIGGER picky BEFORE INSERT ON trades WHEN NEW.trade_id IN ('t7', 't8')"
    " BEGIN SELECT RAISE(ABORT, 'picky refuses'); END",
    "mysql": "ALTER TABLE trades ADD CONSTRAINT picky CHECK (trade_id NOT IN ('t7', 't8'))",
}
TAKE = {"sqlite": "DROP TRIGGER picky", "mysql": "ALTER TABLE trades DROP CONSTRAINT picky"}


async def test_an_event_that_the_database_refuses_is_set_aside_and_stored_again_when_it_takes_it(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = database_url.partition("+")[0]
    async with mesh(tmp_path, database=database_url) as made, made.trading():
        async with made.storing():
            await made.until(lambda status: status.ready)
            await tell(database_url, REFUSE[engine])
            made.trade.publish(*a_day(20))
            status = await made.until_stored()
            assert status.set_aside == 2
            assert {one.trade_id for one in await made.trades()} == {f"t{n}" for n in range(20)} - {"t7", "t8"}
        alarms = [record for record in caplog.records if "set aside" in record.message]
        assert [(one.levelname, vars(one)["seq"], vars(one)["kind"]) for one in alarms] == [
            ("ERROR", 38, "trade"),
            ("ERROR", 43, "trade"),
        ]
        async with made.storing():
            await made.until(lambda status: status.ready and status.set_aside == 2)
            listed = (await made.admin.ListSetAside(ListSetAsideRequest())).events
            assert [one.cursor.seq for one in listed] == [38, 43]
            assert "picky" in listed[0].reason
            await tell(database_url, TAKE[engine])
            assert (await made.admin.StoreAgain(StoreAgainRequest())).after.seq == 37
            await made.until(lambda status: status.events == made.trade.feed.cursor and not status.set_aside)
            await assert_everything_once(made, 20)
            assert (await made.admin.StoreAgain(StoreAgainRequest())).after == made.trade.feed.cursor


async def test_storing_again_while_it_trades_leaves_no_hole(tmp_path: Path) -> None:
    async with mesh(tmp_path, batch=9) as made, made.trading(), made.storing():
        strange: Any = order("strange", price=float("nan"))
        made.trade.publish(strange)
        await made.until(lambda status: status.set_aside == 1)
        for number in range(0, 300, 10):
            made.trade.publish(*a_day(10, first=number))
            if number % 50 == 0:
                await made.admin.StoreAgain(StoreAgainRequest())
            await asyncio.sleep(0.01)
        await made.until(lambda status: status.events == made.trade.feed.cursor and status.set_aside == 1)
        listed = (await made.admin.ListSetAside(ListSetAsideRequest())).events
        assert [one.cursor.seq for one in listed] == [1]
        await assert_everything_once(made, 300)
