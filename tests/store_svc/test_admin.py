"""AdminService and the schedule of backups, on a running storage service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from arbig.channel import open_channel
from arbig.errors import from_rpc
from arbig.store.v1 import admin_pb2 as pb
from arbig.store.v1.admin_pb2_grpc import AdminServiceStub
from store_svc.backups.schedule import RETRY, SETTLE, due
from tests.servers import PASSWORD
from tests.store_svc.mesh import DEADLINE, Mesh, a_day, mesh
from tests.store_svc.tool.process import command_lines, surroundings

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def is_error(reply: object) -> bool:
    return isinstance(reply, BaseException)


@pytest.fixture
def storing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Run a storage service whose children have its settings, and give it with its AdminService."""

    @asynccontextmanager
    async def run(**store: Any) -> AsyncIterator[tuple[Mesh, Any]]:
        async with mesh(tmp_path, **store) as made, made.trading(), open_channel(made.settings.address("store")) as to:
            for name, value in surroundings(made.settings).items():
                monkeypatch.setenv(name, value)
            async with made.storing():
                made.trade.publish(*a_day(3))
                await made.until_stored()
                yield made, AdminServiceStub(to)

    return run


async def test_a_backup_asked_for_is_made_proven_and_listed(storing: Callable[..., Any], database_url: str) -> None:
    async with storing(database=database_url, timeout_seconds=10) as (made, admin):
        seen: set[str] = set()
        watching = asyncio.create_task(command_lines(made.settings, seen))
        reply = await admin.Backup(pb.BackupRequest(), timeout=DEADLINE)
        watching.cancel()
        listed = (await admin.ListBackups(pb.ListBackupsRequest(), timeout=DEADLINE)).backups
        status = await made.status()
    assert list(listed) == [reply.backup]
    assert Path(reply.backup.file).parent == made.settings.data / "backups"
    assert (reply.backup.revision, reply.backup.rows) == ("0004", 3 + 3 + 1 + 1 + 3)
    assert reply.backup.events == made.trade.feed.cursor
    assert status.backup_time.seconds == pytest.approx(reply.backup.time.seconds, abs=20)
    assert status.backup_reason == ""
    assert any("db backup --prove" in line for line in seen)
    assert not [line for line in seen if PASSWORD in line]


async def test_a_second_backup_at_the_same_time_is_refused(storing: Callable[..., Any]) -> None:
    async with storing() as (_, admin):
        both = [admin.Backup(pb.BackupRequest(), timeout=DEADLINE) for _ in range(2)]
        replies: list[Any] = sorted(await asyncio.gather(*both, return_exceptions=True), key=is_error)
    made, refused = replies
    assert made.backup.rows
    assert (refused.code(), from_rpc(refused)[0]) == (grpc.StatusCode.UNAVAILABLE, "BACKUP_RUNNING")


async def test_a_backup_that_fails_says_why_and_leaves_nothing(storing: Callable[..., Any], tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    async with storing(backup_directory=str(full)) as (made, admin):
        full.rmdir()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await admin.Backup(pb.BackupRequest(), timeout=DEADLINE)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert from_rpc(refused.value)[0] == "BACKUP_FAILED"
        assert "No such file or directory" in str(refused.value.details())
        assert (await made.status()).backup_reason == refused.value.details()
        full.mkdir()
        await admin.Backup(pb.BackupRequest(), timeout=DEADLINE)
        assert (await made.status()).backup_reason == ""


async def test_backups_are_made_on_schedule_and_only_the_newest_are_kept(
    storing: Callable[..., Any], tmp_path: Path
) -> None:
    for kept in ("arbig-20200101T000000Z.zip", "arbig-20210101T000000Z.zip", "mine.zip"):
        (tmp_path / kept).write_bytes(b"")
    (left := tmp_path / ".arbig-20200101T000000Z.zip.abc.part").touch()
    async with storing(backup_directory=str(tmp_path), backup_hours=0.2 / 3600, backup_keep=2) as (made, admin):
        await made.until(lambda _: ours(tmp_path)[0] > "arbig-2022" and len(ours(tmp_path)) == 2)
        files = ours(tmp_path)
        listed = (await admin.ListBackups(pb.ListBackupsRequest(), timeout=DEADLINE)).backups
        assert (await made.status()).backup_time.seconds > NOW.timestamp()
    assert [Path(one.file).name for one in listed] in (files[::-1], ours(tmp_path)[::-1])
    assert (tmp_path / "mine.zip").exists()
    assert not left.exists()


def ours(directory: Path) -> list[str]:
    """Give the names of the scheduled backups, the oldest first."""
    return sorted(file.name for file in directory.glob("arbig-*.zip"))


async def test_the_tables_are_described(storing: Callable[..., Any], database_url: str) -> None:
    async with storing(database=database_url) as (_, admin):
        reply = await admin.DescribeTables(pb.DescribeTablesRequest(), timeout=DEADLINE)
        one = await admin.DescribeTables(pb.DescribeTablesRequest(table="trades"), timeout=DEADLINE)
        with pytest.raises(grpc.aio.AioRpcError, match="no table or view"):
            await admin.DescribeTables(pb.DescribeTablesRequest(table="alembic_version"), timeout=DEADLINE)
    assert reply.revision == "0004"
    names = [table.name for table in reply.tables]
    assert names == sorted(names)
    assert {"account_summary", "orders", "set_aside"} <= set(names)
    assert [table for table in reply.tables if table.name == "trades"] == list(one.tables)
    trades = one.tables[0]
    assert trades.rows == 3
    assert [column.name for column in trades.columns if column.primary_key] == [
        *("account_id", "trading_day", "exchange", "trade_id", "direction")
    ]
    assert "trades_newest" in [index.name for index in trades.indexes]


@pytest.mark.parametrize(
    ("newest", "failed", "wait"),
    [
        (None, False, SETTLE),
        (NOW - timedelta(hours=20), False, timedelta(hours=4)),
        (NOW - timedelta(hours=30), False, SETTLE),
        (NOW - timedelta(hours=30), True, RETRY),
        (NOW + 9 * DAY, False, DAY),  # the clock was wrong
    ],
)
def test_the_next_backup_is_due_after_the_newest_one_also_over_restarts(
    newest: datetime | None, failed: bool, wait: timedelta
) -> None:
    assert due(newest, NOW, DAY, failed=failed) == wait
