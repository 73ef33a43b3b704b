"""Events of the trade service's journal into MariaDB: the recorder beside LOAD DATA and a bare driver.

All three bring the same number of events into the same tables, on the same server:

- the recorder follows the stream of another process over gRPC and writes each batch of 1,000 in one transaction;
- LOAD DATA LOCAL INFILE loads a row for each event, from files that are there already: what the
  server can take. `recorder_vs_final_rows` compares with loading only what the events come to.
- the bare driver writes the rows that the recorder writes, with its statements and its batches,
  from values that are there already, as Python has them: what a Python client can send.
"""

import asyncio
import contextlib
import itertools
import multiprocessing
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Dialect

from arbig.channel import open_channel
from arbig.config import Settings
from arbig.fanout import element
from arbig.server import serve
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2 as tr
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from bench.mariadb import bare, load, tables, write_file
from store_svc.database import Database
from store_svc.journal.batch import RECORDS, Batch, kind_of
from store_svc.journal.recorder import Recorder
from store_svc.journal.upserts import Upsert
from tests.servers import free_port
from tests.store_svc.mesh import EPOCH, FakeTrade, journal, order, trade

ORDERS = 10_000
SPAWN = multiprocessing.get_context("spawn")
Rows = list[dict[str, Any]]


def a_day() -> list[tr.Event]:
    """Make orders of some accounts that fill, and what each does to position and account."""
    said: list[Message] = []
    for number in range(ORDERS):
        account, symbol = f"sim{number % 5:03}", f"au26{number % 12 + 1:02}"
        whose: dict[str, Any] = {"account_id": account, "symbol": symbol}
        began = {"seconds": 1_773_000_000 + number}
        name = {"client_order_id": f"o{number}", **whose, "create_time": began, "update_time": began}
        fill: dict[str, Any] = {"filled_volume": 3, "average_price": 450.02}
        lots: dict[str, Any] = {"exchange": "SHFE", "today": 3 * number, "trading_day": "20260309"}
        said += [
            order(state=tr.ORDER_STATE_PENDING_NEW, **name),
            order(state=tr.ORDER_STATE_ACCEPTED, **name),
            trade(f"t{number}", client_order_id=f"o{number}", **whose, time=began),
            order(state=tr.ORDER_STATE_FILLED, **name, **fill),
            tr.Position(**whose, **lots, side=tr.POSITION_SIDE_LONG, open_price=450.02),
            tr.Account(account_id=account, balance=1e6 - number, available=9e5, trading_day="20260309"),
        ]
    return list(journal(said))


class Journal(FakeTrade):
    """A journal whose follower waits until it may begin."""

    def __init__(self, events: list[tr.Event], link: Connection) -> None:
        super().__init__()
        self._link = link
        for event in events:
            self.feed.append("", element(event.SerializeToString()))
        self.feed.wake()

    async def SubscribeEvents(self, request: tr.SubscribeEventsRequest, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        """Stream the journal."""
        self._link.send("asked")
        await asyncio.to_thread(self._link.recv)
        async for batch in super().SubscribeEvents(request, context):
            yield batch


def serve_journal(address: str, link: Connection) -> None:
    """Serve the day's journal for ever: the process that the trade service is."""

    async def run() -> None:
        async with serve(address, [("arbig.trade.v1.TradeService", Journal(a_day(), link))]):
            await asyncio.Event().wait()

    asyncio.run(run())


async def recorded(settings: Settings, database: Database, events: list[tr.Event]) -> float:
    """Give the events a second from another process's stream into the tables: a catch-up."""
    address, head = f"127.0.0.1:{free_port()}", Cursor(epoch=EPOCH, seq=events[-1].seq)
    link, theirs = SPAWN.Pipe()
    trade_service = SPAWN.Process(target=serve_journal, args=(address, theirs), daemon=True)
    trade_service.start()
    async with open_channel(address) as channel:
        recorder = Recorder(database, TradeServiceStub(channel).SubscribeEvents, settings.store.batch)
        recording = asyncio.create_task(recorder.run())
        await asyncio.to_thread(link.recv)
        began = time.perf_counter()
        link.send("begin")
        while recorder.stored != head:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.002)
        took = time.perf_counter() - began
        recording.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await recording
    trade_service.kill()
    trade_service.join()
    return len(events) / took


def batches(events: list[tr.Event], size: int) -> list[dict[str, Rows]]:
    """Give the rows of each batch, by their kind."""
    cut = (events[start : start + size] for start in range(0, len(events), size))
    return [Batch(EPOCH, some).rows.kinds for some in cut]


def statements(written: list[dict[str, Rows]], dialect: Dialect) -> Iterator[list[tuple[str, list[tuple[Any, ...]]]]]:
    """Give what the recorder says to the driver, for each batch."""
    made = {kind: Upsert(record.table, record.first, dialect) for kind, record in RECORDS.items()}
    for kinds in written:
        yield [(made[kind].statement, list(map(made[kind].pick, rows))) for kind, rows in kinds.items()]


async def sent(settings: Settings, database: Database, events: list[tr.Event]) -> float:
    """Give the events a second of the bare driver."""
    prepared = list(statements(batches(events, settings.store.batch), database.engine.dialect))
    async with bare(settings) as cursor:
        began = time.perf_counter()
        for batch in prepared:
            for statement, rows in batch:
                await cursor.executemany(statement, rows)
            await cursor.connection.commit()
        return len(events) / (time.perf_counter() - began)


def loaded(settings: Settings, kinds: dict[str, Rows], count: int, directory: Path) -> float:
    """Give the events a second of LOAD DATA."""
    files = {}
    for kind, rows in kinds.items():
        table = RECORDS[kind].table
        files[table.name] = directory / f"{table.name}.tsv"
        write_file(files[table.name], table.c.keys(), ({"commission": None, **row} for row in rows))
    began = time.perf_counter()
    load(settings, files)
    return count / (time.perf_counter() - began)


def row_of_each(events: list[tr.Event]) -> dict[str, Rows]:
    """Give a row for each event, under a name of its own where the same thing is said again."""
    rows: defaultdict[str, Rows] = defaultdict(list)
    for event in events:
        kind = kind_of(event)
        record = RECORDS[kind]
        row = record.row(getattr(event, kind)) | dict.fromkeys(record.first, event.seq)
        if kind != "trade":
            row[record.key[min(1, len(record.key) - 1)]] += f"-{event.seq}"
        rows[kind].append(row)
    return rows


async def event_figures(url: str, repetitions: int) -> dict[str, list[float]]:
    """Measure all of them, one after the other, so often."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    events, names = a_day(), (f"bench{number}" for number in itertools.count())
    each, final = row_of_each(events), Batch(EPOCH, events).rows.kinds
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        for _ in range(repetitions):
            async with tables(directory, url, next(names)) as (database, settings):
                ours = await recorded(settings, database, events)
            async with tables(directory, url, next(names)) as (_, settings):
                limit = loaded(settings, each, len(events), directory)
            async with tables(directory, url, next(names)) as (_, settings):
                fewest = loaded(settings, final, len(events), directory)
            async with tables(directory, url, next(names)) as (database, settings):
                raw = await sent(settings, database, events)
            figures["recorder_events_per_s"].append(ours)
            figures["load_data_events_per_s"].append(limit)
            figures["raw_events_per_s"].append(raw)
            figures["recorder_vs_load_data"].append(ours / limit)
            figures["recorder_vs_final_rows"].append(ours / fewest)
            figures["recorder_vs_raw"].append(ours / raw)
    return dict(figures)
