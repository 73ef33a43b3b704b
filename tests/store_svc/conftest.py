import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.servers import Server, start_mariadb, start_redis
from tests.store_svc.strategies_and_logs import Served, serving

NUMBERS = count()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one MariaDB for all tests that do not break it."""
    with start_mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def own_mariadb(tmp_path: Path) -> Iterator[Server]:
    """Run a MariaDB that the test may kill."""
    with start_mariadb(tmp_path) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """Run a Redis that the test may kill."""
    with start_redis(tmp_path) as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Make an empty database, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    server: Server = request.getfixturevalue("mariadb")
    return asyncio.run(empty_database(server.url))


async def empty_database(url: str) -> str:
    """Make an empty database on the server; give its URL."""
    name = f"test{next(NUMBERS)}"
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """Serve strategies and logs, once on each engine."""
    async with serving(database_url, tmp_path) as made:
        yield made
