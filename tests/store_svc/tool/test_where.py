"""Which database the tool works on, and whether somebody writes to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from arbig.config import Settings, Store
from arbig.errors import NotFound, Refused
from arbig.server import serve
from arbig.store.v1 import store_pb2 as pb
from store_svc.database import Database, open_database
from store_svc.engines import elsewhere
from store_svc.tool import where
from tests.servers import free_base


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("mysql://arbig@localhost/arbig", "mysql+aiomysql://root@127.0.0.1:3306/arbig?charset=utf8mb4", True),
        ("mysql://arbig@DB.example/arbig", "mariadb://arbig@db.example/arbig", True),
        ("mysql://arbig@localhost/arbig", "mysql://arbig@localhost:3307/arbig", False),
        ("mysql://arbig@localhost/arbig", "mysql://arbig@localhost/other", False),
        ("mysql://arbig@localhost/arbig", "mysql://arbig@db.example/arbig", False),
        ("sqlite:////data/store.db", "sqlite+aiosqlite:////data/x/../store.db", True),
        ("sqlite:////data/store.db", "sqlite:////data/other.db", False),
        ("sqlite:////arbig", "mysql://localhost/arbig", False),
    ],
)
def test_a_database_is_known_however_it_is_spelled(one: str, other: str, *, equal: bool) -> None:
    assert where.same(make_url(one), make_url(other)) is equal


def test_a_file_is_named_in_full_for_those_who_are_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_database(Settings(data=tmp_path, store=Store(database="sqlite:///here.db")))
    assert opened.label == f"sqlite+aiosqlite:///{tmp_path}/here.db"


def test_sqlite_is_not_asked_for_the_tls_of_another_database(tmp_path: Path) -> None:
    """MySQL is: the same authority speaks for both."""
    (ca := tmp_path / "ca.pem").touch()
    store = Store(database="mysql://arbig@db.example/arbig", tls_ca=ca, tls_certificate=ca, tls_key=ca)
    settings = Settings(data=tmp_path, store=store)
    for url in ("", f"sqlite:///{tmp_path}/other.db"):
        assert open_database(elsewhere(settings, url))
    assert elsewhere(settings, "mysql://other@db.example/arbig").store.tls_ca == ca


class Storage:
    """A storage service that says what it is told to say of itself."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def GetStatus(self, _: Any, __: Any) -> pb.GetStatusResponse:  # noqa: N802
        """Say it, or nothing."""
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return pb.GetStatusResponse(database=self._answer)

    def __getattr__(self, _: str) -> Any:
        return self.GetStatus


@contextlib.asynccontextmanager
async def asking(tmp_path: Path, answer: Any) -> AsyncIterator[tuple[Settings, Database]]:
    """Have a storage service that answers so."""
    settings = Settings(data=tmp_path, port_base=free_base())
    async with (
        serve(settings.address("store"), [("arbig.store.v1.RecordService", Storage(answer))]),
        contextlib.aclosing(open_database(settings)) as database,
    ):
        yield settings, database


async def test_a_service_that_writes_to_it_is_found(tmp_path: Path) -> None:
    async with asking(tmp_path, f"sqlite:///{tmp_path}/store/x/../store.db") as (settings, database):
        assert await where.in_use(settings, database)
    async with asking(tmp_path, "mysql://arbig@localhost/arbig") as (settings, database):
        assert not await where.in_use(settings, database)
    assert not await where.in_use(settings, database)


@pytest.mark.parametrize("answer", [None, NotFound("what?", "WHAT")])
async def test_a_service_that_does_not_say_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(where, "PEER_SECONDS", 0.5)
    async with asking(tmp_path, answer) as (settings, database):
        with pytest.raises(Refused, match="cannot tell whether the storage service"):
            await where.in_use(settings, database)
