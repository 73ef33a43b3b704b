"""The directory of the scheduled backups: what is kept there, what is removed, and what harms nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from arbig.config import Settings, Store
from arbig.errors import Unavailable
from store_svc.backups import schedule
from store_svc.backups.file import BackupError
from store_svc.backups.schedule import Backups
from tests.store_svc.mesh import DEADLINE

AHEAD, OLD, OLDER = "arbig-29991231T000000Z.zip", "arbig-20210101T000000Z.zip", "arbig-20200101T000000Z.zip"
SOON = 0.01 / 3600  # hours

Tool = Callable[[Path], Awaitable[None]]


async def write(path: Path) -> None:
    path.write_bytes(b"new")


async def no_process(_: Path) -> None:
    raise BlockingIOError(11, "Resource temporarily unavailable")


class Held:
    """A tool that has begun a backup, and waits."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, path: Path) -> None:
        """Begin, and wait."""
        path.with_name(f".{path.name}.abc.part").touch()
        path.with_name(f".{path.name}.abc.part.proof-x").mkdir()
        self.begun.set()
        await self.go_on.wait()
        path.write_bytes(b"new")


@pytest.fixture
def backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Backups]:
    """Give the backups of a directory, made by another tool."""

    def made(tool: Tool = write, **store: Any) -> Backups:
        monkeypatch.setattr(schedule, "_back_up", tool)
        return Backups(Settings(data=tmp_path, store=Store(backup_directory=str(tmp_path), **store)))

    return made


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@contextlib.asynccontextmanager
async def running(backups: Backups) -> AsyncIterator[asyncio.Task[None]]:
    """Let them be made on schedule."""
    task = asyncio.create_task(backups.run())
    yield task
    task.cancel()
    await asyncio.wait({task})


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_backup_just_made_is_never_the_one_too_many(tmp_path: Path, backups: Callable[..., Backups]) -> None:
    """Not even beside those of a clock that was ahead, which count as the oldest."""
    for name in (AHEAD, OLD, OLDER):
        (tmp_path / name).touch()
    made = backups(backup_keep=2)
    path = await made.make()
    assert names(tmp_path) == [OLD, path.name]
    assert made.files() == [path, tmp_path / OLD]
    made = backups(backup_keep=1)
    path.rename(tmp_path / AHEAD)
    again = await made.make()
    assert names(tmp_path) == [again.name]
    assert made.time


async def test_a_name_that_is_no_date_is_none_of_our_backups(tmp_path: Path, backups: Callable[..., Backups]) -> None:
    (other := tmp_path / "arbig-20260230T000000Z.zip").touch()
    made = backups(backup_keep=1, backup_hours=SOON)
    assert (made.files(), made.time) == ([], None)
    async with running(made):
        await until(made.files)
    assert other.exists()


async def test_what_keeps_a_backup_from_being_made_ends_nothing_else(backups: Callable[..., Backups]) -> None:
    """No process to be had, say; the next one may succeed."""
    made = backups(no_process, backup_hours=SOON)
    async with running(made) as task:
        await until(lambda: "Resource temporarily unavailable" in made.reason)
        assert not task.done()
    with pytest.raises(BackupError, match="temporarily unavailable"):
        await made.make()
    assert await backups().make()


async def test_an_old_backup_that_cannot_be_removed_is_told(tmp_path: Path, backups: Callable[..., Backups]) -> None:
    """The new one is there nonetheless."""
    (tmp_path / OLD).mkdir()
    made = backups(backup_keep=1)
    path = await made.make()
    assert path.exists()
    assert made.reason.startswith(f"{tmp_path / OLD} cannot be removed: ")
    (tmp_path / OLD).rmdir()
    await made.make()
    assert made.reason == ""


async def test_since_when_one_is_being_made_is_said(backups: Callable[..., Backups]) -> None:
    held = Held()
    made = backups(held)
    asked = asyncio.create_task(made.ask())
    await held.begun.wait()
    assert made.reason.startswith("being made since 20")
    with pytest.raises(Unavailable, match="being made"):
        await made.ask()
    held.go_on.set()
    assert (await asked).exists()
    assert made.reason == ""


async def test_a_backup_that_was_asked_for_is_made_though_the_caller_goes(backups: Callable[..., Backups]) -> None:
    held = Held()
    made = backups(held)
    asked = asyncio.create_task(made.ask())
    await held.begun.wait()
    asked.cancel()
    await asyncio.wait({asked})
    held.go_on.set()
    await until(made.files)


@pytest.mark.parametrize("hours", [0, SOON])
async def test_a_service_that_stops_leaves_no_half_made_backup(
    tmp_path: Path, backups: Callable[..., Backups], hours: float
) -> None:
    held = Held()
    made = backups(held, backup_hours=hours)
    async with running(made):
        asked = None if hours else asyncio.create_task(made.ask())
        await held.begun.wait()
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == []
    if asked:
        await asyncio.wait({asked})
