"""The queries and their indexes: the engines themselves say how they answer.

Each call is made on tables that are full, and what it asked of the database is explained.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, event, text

from arbig.config import Settings, Store
from arbig.store.v1 import log_pb2, store_pb2, strategy_pb2
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2 as tr
from store_svc.database import Database, open_database
from store_svc.logs.service import LogService
from store_svc.records.service import RecordService
from store_svc.strategies.service import StrategyService
from store_svc.tables.migrate import migrate
from store_svc.tables.schema import METADATA
from tests.store_svc.conftest import empty_database
from tests.store_svc.history import BEGAN, EPOCH, fill

ROWS = 8_000
PAGE = 20
NEARLY_ALL = Cursor(epoch=EPOCH, seq=ROWS - 9)
Call = tuple[str, dict[str, Any]]

# One value of one column: found by an index, and in the order of the list.
EQUAL: list[Call] = [
    ("ListOrders", {"account_id": "sim001"}),
    ("ListOrders", {"symbol": "au2604"}),
    ("ListOrders", {"trading_day": "20260315"}),
    ("ListOrders", {"strategy": "spread-1"}),
    ("ListOrders", {"states": [tr.ORDER_STATE_ACCEPTED]}),
    ("ListOrders", {"states": [tr.ORDER_STATE_FILLED]}),
    ("ListTrades", {"account_id": "sim001"}),
    ("ListTrades", {"symbol": "au2604"}),
    ("ListTrades", {"trading_day": "20260315"}),
    ("ListTrades", {"client_order_id": "o17"}),
    ("ListTriggers", {"strategy": "spread-1"}),
    ("ListTriggers", {"results": [strategy_pb2.TRIGGER_RESULT_PENDING]}),
    ("ListLogs", {"service": "trade"}),
    ("ListLogs", {"module": "module1"}),
    ("ListLogs", {"min_level": log_pb2.LOG_LEVEL_CRITICAL}),
    ("ListStrategies", {"active": True}),
    ("ListStrategyChanges", {"strategy": "spread-1"}),
]
# All rows: walked in the order of an index, as far as the page goes.
WALKED: list[Call] = [
    ("ListOrders", {}),
    ("ListTrades", {}),
    ("ListPositions", {}),
    ("ListAccounts", {}),
    ("ListTriggers", {}),
    ("ListLogs", {}),
    ("ListStrategies", {}),
    # What no index can find is looked for on that walk.
    ("ListOrders", {"text": "o77"}),
    ("ListPositions", {"open": True}),
    ("ListTriggers", {"signals": [strategy_pb2.SIGNAL_BUY]}),
    ("ListTriggers", {"text": "above 7"}),
    ("ListLogs", {"text": "accepted 77"}),
    ("ListLogs", {"min_level": log_pb2.LOG_LEVEL_ERROR}),
]
# Few rows: found by an index, and sorted then, or walked to.
FOUND: list[Call] = [
    ("ListOrders", {"states": [tr.ORDER_STATE_ACCEPTED, tr.ORDER_STATE_PARTIALLY_FILLED]}),
    ("ListOrders", {"first_trading_day": "20260417"}),
    ("ListOrders", {"last_trading_day": "20260309"}),
    ("ListOrders", {"first_trading_day": "20260315", "last_trading_day": "20260316"}),
    ("ListTrades", {"first_trading_day": "20260417"}),
    ("ListTrades", {"last_trading_day": "20260309"}),
    ("ListTrades", {"first_trading_day": "20260315", "last_trading_day": "20260316"}),
    ("ListTrades", {"strategy": "spread-1"}),
    ("ListPositions", {"account_id": "sim001"}),
    ("ListPositions", {"symbol": "au2604"}),
    ("ListPositions", {"side": tr.POSITION_SIDE_LONG}),
    ("ListTriggers", {"first_trading_day": "20260315", "last_trading_day": "20260315"}),
    ("ListLogs", {"first_time": BEGAN, "end_time": BEGAN.replace(minute=1)}),
    ("ListAccountSummaries", {}),
    ("ListAccountSummaries", {"account_id": "sim001"}),
    ("ListDailyTradeSummaries", {"account_id": "sim001"}),
    ("ListDailyTradeSummaries", {"first_trading_day": "20260315", "last_trading_day": "20260315"}),
    ("ListTriggerSummaries", {"strategy": "spread-1"}),
    ("ListTriggerSummaries", {"first_trading_day": "20260315", "last_trading_day": "20260315"}),
    ("GetOrder", {"account_id": "sim001", "client_order_id": "o1"}),
    (
        "GetTrade",
        {"account_id": "sim000", "trading_day": "20260309", "exchange": "SHFE", "trade_id": "0", "direction": 1},
    ),
    ("GetPosition", {"account_id": "sim001", "symbol": "au2604", "side": tr.POSITION_SIDE_LONG}),
    ("GetAccount", {"account_id": "sim001"}),
    ("GetStrategyStatus", {"strategy": "spread-1"}),
    ("SubscribeTriggers", {"after": NEARLY_ALL}),
    ("SubscribeTriggers", {"after": NEARLY_ALL, "strategy": "spread-1"}),
    ("SubscribeLogs", {"after": NEARLY_ALL}),
    ("WriteLogs", {"records": [{"log_id": "l1", "service": "x", "level": 1, "time": BEGAN, "message": "x"}]}),
]
# As many rows as there are accounts and instruments, however long the history is.
FEW = {"accounts", "positions"}


class Step(NamedTuple):
    """How the engine reads one table of a query; sorting is a step without a table."""

    table: str
    key: str
    # Whether it goes to rows that it knows, and not along all of them.
    searches: bool = True
    sorts: bool = False


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Fill a database, once on each engine."""
    url = ""
    if request.param == "mariadb":
        url = asyncio.run(empty_database(request.getfixturevalue("mariadb").url))
    settings = Settings(data=tmp_path_factory.mktemp("data"), store=Store(database=url, timeout_seconds=60))
    asyncio.run(_fill(settings))
    return settings


async def _fill(settings: Settings) -> None:
    async with contextlib.aclosing(open_database(settings)) as database:
        await database.write(lambda on: on.run_sync(migrate))
        await database.write(lambda on: fill(on, ROWS))
        await database.write(lambda on: on.run_sync(_count))


def _count(connection: Connection) -> None:
    """Let the engine see what is in the tables, as it does by itself in time."""
    mysql = connection.dialect.name == "mysql"
    for table in METADATA.tables:
        connection.execute(text(f"ANALYZE {'TABLE ' if mysql else ''}{table}"))


class Explained:
    """The services on a full database, and how it answers them."""

    def __init__(self, database: Database) -> None:
        self.dialect = database.engine.dialect.name
        self._database = database
        self._services = [
            RecordService(database, None, None, None),  # type: ignore[arg-type]
            LogService(database, 30),
            StrategyService(database),
        ]
        self._asked: list[tuple[str, Any]] = []
        for engine in {database.engine, database.asking}:
            event.listen(engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _: object, __: object, statement: str, values: Any, ___: object, ____: object) -> None:
        if statement.startswith("SELECT"):
            self._asked.append((statement, values))

    async def plans(self, call: Call) -> AsyncIterator[list[Step]]:
        """Give how each query of the call is answered: its first two pages, in both orders."""
        name, filters = call
        module = next(one for one in (store_pb2, log_pb2, strategy_pb2) if hasattr(one, f"{name}Request"))
        made = getattr(module, f"{name}Request")
        fields = made.DESCRIPTOR.fields_by_name
        size = {"page_size": PAGE} if "page_size" in fields else {}
        for sort in ({}, {"sort": store_pb2.SORT_ORDER_OLDEST_FIRST}) if "sort" in fields else ({},):
            first = await self._call(name, made(**filters, **size, **sort))
            if token := getattr(first, "next_page_token", ""):
                await self._call(name, made(**filters, **size, **sort, page_token=token))
        asked, self._asked = self._asked, []
        assert asked, f"{name} asked nothing"
        for statement, values in asked:
            yield await self._explain(statement, values)

    async def _call(self, name: str, request: Any) -> Any:
        method = next(getattr(service, name) for service in self._services if hasattr(service, name))
        if name.startswith("Subscribe"):
            async with contextlib.aclosing(method(request, None)) as responses:
                return await anext(responses)
        return await method(request, None)

    async def _explain(self, statement: str, values: Any) -> list[Step]:
        mysql = self.dialect == "mysql"
        explain = f"EXPLAIN {'' if mysql else 'QUERY PLAN '}{statement}"
        rows = await self._database.read(lambda on: on.exec_driver_sql(explain, values))
        return list(_steps_of_mysql(rows.mappings()) if mysql else _steps_of_sqlite(rows.mappings()))


def _steps_of_mysql(rows: Any) -> Iterator[Step]:
    for row in rows:
        if row["table"] and not row["table"].startswith("<"):
            yield Step(row["table"], row["key"] or "", row["type"] not in ("ALL", "index"))
        if "filesort" in row["Extra"]:
            yield Step("", "", sorts=True)


def _steps_of_sqlite(rows: Any) -> Iterator[Step]:
    for row in rows:
        found = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", row["detail"])
        if found and found[2] in METADATA.tables:
            yield Step(found[2], found[3] or "", found[1] == "SEARCH")
        # Rows that an index gives in order are not sorted again within a number that they share.
        if "TEMP B-TREE" in row["detail"] and "RIGHT PART" not in row["detail"] and "LAST" not in row["detail"]:
            yield Step("", "", sorts=True)


@pytest.fixture
async def explained(settings: Settings) -> AsyncIterator[Explained]:
    async with contextlib.aclosing(open_database(settings)) as database:
        yield Explained(database)


def call_name(call: Call) -> str:
    return f"{call[0]}-{'-'.join(call[1])}"


@pytest.mark.parametrize("call", EQUAL, ids=call_name)
async def test_rows_with_one_value_are_found_by_an_index_in_the_order_of_the_list(
    call: Call, explained: Explained
) -> None:
    async for plan in explained.plans(call):
        assert all(step.searches and step.key and not step.sorts for step in plan), plan


@pytest.mark.parametrize("call", WALKED, ids=call_name)
async def test_a_list_of_all_rows_is_read_only_as_far_as_the_page_goes(call: Call, explained: Explained) -> None:
    async for plan in explained.plans(call):
        assert all(step.key and not step.sorts for step in plan), plan


@pytest.mark.parametrize("call", FOUND, ids=call_name)
async def test_no_question_reads_a_whole_table(call: Call, explained: Explained) -> None:
    async for plan in explained.plans(call):
        # SQLite would rather walk; its tables are small.
        found = [
            step.searches or (step.key and explained.dialect == "sqlite") for step in plan if step.table not in FEW
        ]
        assert all(found), plan


async def test_every_index_is_there_for_a_query(explained: Explained) -> None:
    """On MariaDB, whose tables grow large; SQLite's are small, and it finds ways around a few."""
    if explained.dialect != "mysql":
        pytest.skip("MariaDB is asked")
    used = {step.key for call in EQUAL + WALKED + FOUND async for plan in explained.plans(call) for step in plan}
    assert {index.name for table in METADATA.tables.values() for index in table.indexes} - used == set()
