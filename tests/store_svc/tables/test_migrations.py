"""Migrations, on both engines, with rows in the tables."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, event, inspect, select, text

from arbig.config import Settings, Store
from arbig.errors import ConfigError
from store_svc.database import Database, open_database
from store_svc.main import run
from store_svc.tables.migrate import config, differences, head, migrate, revision
from store_svc.tables.schema import METADATA, sequences, trades
from store_svc.tables.views import VIEWS
from tests.store_svc.history import account_rows, config_rows, order_rows, position_rows, trade_rows
from tests.store_svc.mesh import mesh

# What revision 0001 had.
FIRST = {"streams", "accounts", "positions", "orders", "trades"}


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(Settings(data=tmp_path, store=Store(database=database_url)))
    yield opened
    await opened.aclose()


async def do(database: Database, work: Callable[[Connection], Any]) -> Any:
    return await database.write(lambda on: on.run_sync(work), 600)


async def go_to(database: Database, wanted: str) -> None:
    """Upgrade or downgrade, and see that it is so."""

    def move(on: Connection) -> None:
        (command.upgrade if wanted > revision(on) else command.downgrade)(config(on), wanted)

    await do(database, move)
    assert await do(database, revision) == wanted


async def say(database: Database, statement: str) -> None:
    await do(database, lambda on: on.execute(text(statement)))


def first_rows(count: int) -> dict[str, list[dict[str, Any]]]:
    """Make rows of revision 0001."""
    made = {"accounts": account_rows(), "positions": position_rows(), "orders": order_rows(count)}
    without = [{name: row[name] for name in row if name != "commission"} for row in trade_rows(count)]
    return {**{name: list(rows) for name, rows in made.items()}, "trades": without}


def fill(on: Connection, rows: dict[str, list[dict[str, Any]]]) -> None:
    for name, some in rows.items():
        on.execute(METADATA.tables[name].insert(), some)


def read(on: Connection, rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Read the columns that the rows have, in the order of the rows."""
    found = {}
    for name, some in rows.items():
        table = METADATA.tables[name]
        key = {"orders": ["first_seq"], "trades": ["seq"]}.get(name, table.primary_key.columns.keys())
        query = select(*(table.c[column] for column in some[0])).order_by(*(table.c[column] for column in key))
        found[name] = [dict(row) for row in on.execute(query).mappings()]
    return found


@pytest.mark.parametrize("count", [500, pytest.param(100_000, marks=pytest.mark.long)])
async def test_rows_stay_what_they_are_from_the_first_revision_to_the_newest_and_back(
    count: int, database: Database, record_property: Callable[[str, object], None]
) -> None:
    rows = first_rows(count)
    await go_to(database, "0001")
    assert set(await do(database, lambda on: inspect(on).get_table_names())) == {*FIRST, "alembic_version"}
    await do(database, lambda on: fill(on, rows))
    for wanted in (head(), "0001", head()):
        began = time.monotonic()
        await go_to(database, wanted)
        record_property(f"{count} rows to {wanted}", f"{time.monotonic() - began:.1f} s")
        assert await do(database, lambda on: read(on, rows)) == rows
        views = await do(database, lambda on: inspect(on).get_view_names())
        assert set(views) == (set(VIEWS) if wanted == head() else set())
    assert await do(database, differences) == []
    assert (await do(database, lambda on: on.execute(select(trades.c.commission).distinct()).all())) == [(None,)]


async def test_down_to_nothing_and_up_again_with_rows_in_every_table(database: Database) -> None:
    await do(database, migrate)
    configs = list(config_rows())[:3]
    await do(database, lambda on: fill(on, {**first_rows(10), "strategy_configs": configs}))
    await do(database, lambda on: command.downgrade(config(on), "base"))
    assert await do(database, lambda on: inspect(on).get_table_names()) == ["alembic_version"]
    await do(database, migrate)
    assert await do(database, differences) == []
    await do(database, lambda on: fill(on, {**first_rows(10), "strategy_configs": configs}))


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await do(database, migrate)
    await do(database, lambda on: fill(on, first_rows(3)))
    before = await do(database, lambda on: on.execute(select(sequences)).all())
    await do(database, migrate)
    assert await do(database, lambda on: on.execute(select(sequences)).all()) == before
    assert len(await do(database, lambda on: on.execute(select(trades)).all())) == 3


class Killed(Exception):
    """The process is gone."""


async def starts_until(database: Database, work: Callable[[Connection], Any]) -> int:
    """Do `work` again and again, killed before each fourth change; say how often it took."""
    for start in itertools.count(1):
        changes = itertools.count(1)

        def kill(_: object, __: object, statement: str, *___: object, changes: Any = changes) -> None:
            if statement.lstrip().startswith(("CREATE", "ALTER", "DROP TABLE", "DROP INDEX")) and next(changes) == 4:
                raise Killed

        event.listen(database.engine.sync_engine, "before_cursor_execute", kill)
        try:
            await do(database, work)
        except Killed:
            assert start < 100
        else:
            return start
        finally:
            event.remove(database.engine.sync_engine, "before_cursor_execute", kill)
    raise AssertionError


async def test_a_migration_that_is_killed_again_and_again_is_finished_in_the_end(
    mariadb_database: Database,
) -> None:
    """MySQL commits each statement by itself; SQLite takes the whole migration back."""
    database, rows = mariadb_database, first_rows(20)
    await go_to(database, "0001")
    await do(database, lambda on: fill(on, rows))
    assert await starts_until(database, migrate) > 5
    assert await do(database, differences) == []
    assert await starts_until(database, lambda on: command.downgrade(config(on), "0001")) > 2
    await do(database, migrate)
    assert await do(database, differences) == []
    assert await do(database, lambda on: read(on, rows)) == rows


async def test_a_migration_that_is_killed_is_taken_back_by_sqlite(tmp_path: Path) -> None:
    database = open_database(Settings(data=tmp_path))
    await go_to(database, "0001")
    with pytest.raises(Killed):
        await do(database, _killed_after(migrate))
    assert set(await do(database, lambda on: inspect(on).get_table_names())) == {*FIRST, "alembic_version"}
    await do(database, migrate)
    assert await do(database, differences) == []
    await database.aclose()


def _killed_after(work: Callable[[Connection], object]) -> Callable[[Connection], None]:
    def killed(on: Connection) -> None:
        work(on)
        raise Killed

    return killed


@pytest.fixture
async def mariadb_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    from tests.store_svc.conftest import empty_database

    url = await empty_database(request.getfixturevalue("mariadb").url)
    database = open_database(Settings(data=tmp_path, store=Store(database=url)))
    yield database
    await database.aclose()


@pytest.mark.parametrize(
    ("planted", "named"),
    [
        ("ALTER TABLE trades DROP COLUMN commission", "commission"),
        ("ALTER TABLE orders ADD COLUMN pizza INTEGER", "pizza"),
        ("DROP VIEW account_summary", "no view account_summary"),
        ("DROP TABLE set_aside", "set_aside"),
        ("CREATE TABLE pizza (id INTEGER PRIMARY KEY)", "pizza"),
    ],
)
async def test_what_differs_from_this_versions_tables_is_named(planted: str, named: str, database: Database) -> None:
    await do(database, migrate)
    if "commission" in planted:
        await say(database, "DROP VIEW daily_trade_summary")
    await say(database, planted)
    assert any(named in one for one in await do(database, differences))


async def test_a_missing_index_and_a_wrong_type_are_named(mariadb_database: Database) -> None:
    await do(mariadb_database, migrate)
    await say(mariadb_database, "DROP INDEX orders_symbol_newest ON orders")
    await say(mariadb_database, "ALTER TABLE orders MODIFY volume VARCHAR(20)")
    found = await do(mariadb_database, differences)
    assert any("orders_symbol_newest" in one for one in found)
    assert any("modify_type" in one and "volume" in one for one in found)


async def test_a_view_that_is_missing_is_made_at_the_next_start(database: Database) -> None:
    await do(database, migrate)
    await say(database, "DROP VIEW strategy_trigger_summary")
    await do(database, migrate)
    assert await do(database, differences) == []


async def test_trades_stay_when_their_account_and_orders_go(database: Database) -> None:
    """There is no foreign key that could take them along."""
    await do(database, migrate)
    await do(database, lambda on: fill(on, first_rows(20)))
    for statement in ("DELETE FROM orders", "DELETE FROM accounts", "DELETE FROM positions"):
        await say(database, statement)
    assert len(await do(database, lambda on: on.execute(select(trades)).all())) == 20
    keys = await do(database, lambda on: inspect(on).get_multi_foreign_keys())
    assert not any(keys.values())


async def test_a_database_of_a_newer_version_is_refused(database_url: str, database: Database, tmp_path: Path) -> None:
    await do(database, migrate)
    await say(database, "UPDATE alembic_version SET version_num = 'f00'")
    async with mesh(tmp_path, database=database_url) as made:
        refused = pytest.RaisesExc(ConfigError, match='it is at revision "f00"')
        with pytest.RaisesGroup(refused, flatten_subgroups=True):
            await run(made.settings)


@pytest.mark.parametrize("table", ["orders", "strategy_configs", "system_logs", "sequences"])
async def test_a_table_of_another_program_is_left_alone(table: str, database: Database) -> None:
    await say(database, f"CREATE TABLE {table} (id INT PRIMARY KEY, pizza INT)")
    with pytest.raises(ConfigError, match=f'a table "{table}" that is not ours'):
        await do(database, migrate)
    columns = await do(database, lambda on: inspect(on).get_columns(table))
    assert [column["name"] for column in columns] == ["id", "pizza"]


def test_the_alembic_command_works_on_the_database_of_the_settings(tmp_path: Path) -> None:
    def alembic(*arguments: str) -> str:
        command = [sys.executable, "-m", "alembic", "-c", "store_svc/tables/alembic.ini", *arguments]
        environment = {**os.environ, "ARBIG_DATA": str(tmp_path), "ARBIG_CONFIG": str(tmp_path / "none.toml")}
        root = Path(__file__).parents[3]
        done = subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    alembic("upgrade", "head")
    assert alembic("current").strip() == f"{head()} (head)"
    alembic("downgrade", "0001")
    assert alembic("current").strip() == "0001"
