"""Migrations, on both engines, with rows in the tables."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from arbig.config import Settings, Store
from arbig.errors import ConfigError
from store_svc.database import Database, open_database
from store_svc.main import run
from store_svc.migrate import config, migrate
from store_svc.schema import METADATA
from store_svc.writing import write
from tests.store_svc.mesh import a_day, mesh
from tests.store_svc.test_writing import batch


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(Settings(data=tmp_path, store=Store(database=database_url)))
    yield opened
    await opened.aclose()


async def do(database: Database, work: Callable[[Connection], object]) -> object:
    return await database.write(lambda on: on.run_sync(work), 60)


async def test_the_migrated_tables_are_those_of_the_metadata(database: Database) -> None:
    await do(database, migrate)
    assert await do(database, lambda on: compare_metadata(MigrationContext.configure(on), METADATA)) == []


async def test_down_and_up_again_with_rows(database: Database) -> None:
    await do(database, migrate)
    await database.write(lambda on: write(on, batch(*a_day(3))))
    await do(database, lambda on: command.downgrade(config(on), "base"))
    assert await do(database, lambda on: inspect(on).get_table_names()) == ["alembic_version"]
    await do(database, migrate)
    await database.write(lambda on: write(on, batch(*a_day(3))))


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await do(database, migrate)
    await database.write(lambda on: write(on, batch(*a_day(3))))
    await do(database, migrate)
    assert (await database.read(lambda on: on.execute(text("SELECT COUNT(*) FROM trades")))).scalar() == 3


async def test_a_first_start_that_was_killed_half_way_is_finished(database: Database) -> None:
    await do(database, migrate)
    for statement in ("DROP TABLE trades", "DROP TABLE alembic_version"):
        await do(database, lambda on, statement=statement: on.execute(text(statement)))  # type: ignore[misc]
    await do(database, migrate)
    assert await do(database, lambda on: compare_metadata(MigrationContext.configure(on), METADATA)) == []


async def test_a_database_of_a_newer_version_is_refused(database_url: str, database: Database, tmp_path: Path) -> None:
    await do(database, migrate)
    await do(database, lambda on: on.execute(text("UPDATE alembic_version SET version_num = 'f00'")))
    async with mesh(tmp_path, database=database_url) as made:
        refused = pytest.RaisesExc(ConfigError, match='it is at revision "f00"')
        with pytest.RaisesGroup(refused, flatten_subgroups=True):
            await run(made.settings)


async def test_a_table_of_another_program_is_left_alone(database: Database) -> None:
    await do(database, lambda on: on.execute(text("CREATE TABLE orders (id INT PRIMARY KEY, pizza INT)")))
    with pytest.raises(ConfigError, match='a table "orders" that is not ours'):
        await do(database, migrate)
