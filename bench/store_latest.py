"""The latest 50 orders of an account among a million: RecordService beside a bare driver.

The peer asks the same SQL of the same server and fetches its rows; we make messages of them too.
`latest50` is the call itself, `latest50_grpc` the same over a channel.
"""

import gc
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from arbig.channel import open_channel
from arbig.server import serve
from arbig.store.v1.store_pb2 import ListOrdersRequest
from arbig.store.v1.store_pb2_grpc import RecordServiceStub
from bench.mariadb import bare, load, tables, write_file
from bench.report import quantile
from store_svc.database import Database
from store_svc.records.service import NAME, RecordService
from store_svc.tables.schema import orders
from tests.servers import free_port
from tests.store_svc.history import order_rows
from tests.store_svc.stored import Streams

ROWS = 1_000_000
CALLS = 500
REQUEST = ListOrdersRequest(account_id="sim001", page_size=50)
Ask = Callable[[], Awaitable[Any]]


async def latest_figures(url: str, repetitions: int) -> dict[str, list[float]]:
    """Fill a table once, and measure all of them, call by call in turn, so often."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        async with tables(Path(scratch), url, "latest") as (database, settings):
            file = Path(scratch) / "orders.tsv"
            write_file(file, orders.c.keys(), order_rows(ROWS))
            load(settings, {"orders": file})
            service = RecordService(database, Streams(), Streams(), Streams())
            address = f"127.0.0.1:{free_port()}"
            async with (
                bare(settings) as cursor,
                serve(address, [(NAME, service)]),
                open_channel(address) as channel,
            ):
                statement, values = await _asked(database, service)
                stub = RecordServiceStub(channel)
                asks: dict[str, Ask] = {
                    "raw_latest50": lambda: _fetched(cursor, statement, values),
                    "latest50": lambda: service.ListOrders(REQUEST, None),
                    "latest50_grpc": lambda: stub.ListOrders(REQUEST),
                }
                for number in range(repetitions + 1):
                    times = await _measured(asks)
                    if number:  # the first one warms up
                        _add(figures, times)
    return dict(figures)


async def _asked(database: Database, service: RecordService) -> tuple[str, Any]:
    """Give what the service asks of the database."""
    asked = []

    def note(_: object, __: object, statement: str, values: Any, ___: object, ____: object) -> None:
        asked.append((statement, values))

    event.listen(database.asking.sync_engine, "before_cursor_execute", note)
    await service.ListOrders(REQUEST, None)
    event.remove(database.asking.sync_engine, "before_cursor_execute", note)
    return asked[-1]


async def _fetched(cursor: Any, statement: str, values: Any) -> None:
    await cursor.execute(statement, values)
    await cursor.fetchall()


async def _measured(asks: dict[str, Ask]) -> dict[str, list[float]]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    gc.collect()
    for _ in range(CALLS):
        for name, ask in asks.items():
            began = time.perf_counter()
            await ask()
            times[name].append((time.perf_counter() - began) * 1e3)
    return times


def _add(figures: dict[str, list[float]], times: dict[str, list[float]]) -> None:
    for name, some in times.items():
        figures[f"{name}_p50_ms"].append(quantile(some, 0.5))
        figures[f"{name}_p99_ms"].append(quantile(some, 0.99))
    for name in ("latest50", "latest50_grpc"):
        figures[f"{name}_p99_ratio"].append(figures[f"{name}_p99_ms"][-1] / figures["raw_latest50_p99_ms"][-1])
