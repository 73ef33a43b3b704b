"""The journal: every event in the order it happened, on disk before anyone sees it.

One SQLite file (WAL, synchronous FULL) with one writer thread. Events that come while a commit is
under way share the next one, so the disk is asked once for all of them. The events' seq is the
cursor of SubscribeEvents; the epoch is as old as the file.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from arbig.errors import ConfigError
from arbig.fanout import Feed, Kept, element
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.trader import Body, Recalled

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, account_id TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    account_id TEXT NOT NULL, client_order_id TEXT NOT NULL, trading_day TEXT NOT NULL, state INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (account_id, client_order_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_by_day ON orders (trading_day);
CREATE TABLE IF NOT EXISTS trades (
    trading_day TEXT NOT NULL, exchange TEXT NOT NULL, trade_id TEXT NOT NULL, direction INTEGER NOT NULL,
    account_id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (trading_day, exchange, trade_id, direction, account_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (account_id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""
# Events kept in memory for followers that are nearly up to date; older ones are read from the file.
RING = 10_000
_STOP = None

_FIELD: dict[type[Body], str] = {
    pb.Order: "order",
    pb.Trade: "trade",
    pb.Position: "position",
    pb.Account: "account",
    pb.RiskLimits: "risk_limits",
    pb.TradingStateChange: "trading_state",
    pb.Reconciliation: "reconciliation",
}


def as_event(seq: int, body: Body) -> pb.Event:
    """Give the event that carries a copy of `body`."""
    event = pb.Event(seq=seq)
    event.time.GetCurrentTime()
    getattr(event, _FIELD[type(body)]).CopyFrom(body)
    return event


class _Entry(NamedTuple):
    seq: int
    body: Body
    data: bytes


class _Write(NamedTuple):
    entries: list[_Entry]
    done: asyncio.Future[None]


class Journal:
    """The file, its writer, and the feed of its events."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        """Open or begin the journal; raises ConfigError where the file cannot be used."""
        self._path = path
        self._loop = loop
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._reader = ThreadPoolExecutor(1, "journal-reader")
        try:
            self._db = self._open()
            self._db.executescript(SCHEMA)
            epoch = self._db.execute("SELECT epoch FROM meta").fetchone()
            if epoch is None:
                epoch = (time.time_ns() // 1_000_000,)
                self._db.execute("INSERT INTO meta VALUES (?)", epoch)
                self._db.commit()
            head = self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        except sqlite3.Error as error:
            raise ConfigError(f"the journal {path} cannot be used: {error}") from error
        self.feed = Feed(epoch[0], RING, head=head, archive=self._archive)
        self._seq = head
        self._unwritten = 0  # calls of append whose events are still on their way to the disk
        self._writer = threading.Thread(target=self._write_all, name="journal-writer")
        self._writer.start()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False, timeout=10.0)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        return db

    def append(self, bodies: Sequence[Body]) -> asyncio.Future[None]:
        """Give the events their numbers and the writer the events; done when they are on the disk.

        Futures are done in the order of the calls, and followers see the events in that order.
        """
        write = _Write([self._entry(body) for body in bodies], self._loop.create_future())
        self._queue.put(write)
        self._unwritten += 1
        return write.done

    def _entry(self, body: Body) -> _Entry:
        self._seq += 1
        event = as_event(self._seq, body)
        copied: Body = getattr(event, _FIELD[type(body)])
        return _Entry(self._seq, copied, event.SerializeToString())

    def _write_all(self) -> None:
        """Commit what waits, for ever; all that has gathered meanwhile in one transaction."""
        while (first := self._queue.get()) is not _STOP:
            writes, stop = [first], False
            while not self._queue.empty():
                more = self._queue.get()
                if more is _STOP:
                    stop = True
                    break
                writes.append(more)
            try:
                self._commit([entry for write in writes for entry in write.entries])
            except sqlite3.Error as error:
                self._loop.call_soon_threadsafe(self._failed, writes, error)
                return
            self._loop.call_soon_threadsafe(self._committed, writes)
            if stop:
                return

    def _commit(self, entries: list[_Entry]) -> None:
        with self._db:
            for seq, body, data in entries:
                self._db.execute("INSERT INTO events VALUES (?, ?, ?)", (seq, body.account_id, data))
                if isinstance(body, pb.Order):
                    key = (body.account_id, body.client_order_id, body.trading_day, body.state)
                    self._db.execute(
                        "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)", (*key, body.SerializeToString())
                    )
                elif isinstance(body, pb.Trade):
                    name = (body.trading_day, body.exchange, body.trade_id, body.direction, body.account_id)
                    self._db.execute("INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?)", (*name, body.SerializeToString()))
                elif isinstance(body, pb.TradingStateChange):
                    state = (body.account_id, body.SerializeToString())
                    self._db.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", state)

    def _committed(self, writes: list[_Write]) -> None:
        self._unwritten -= len(writes)
        for write in writes:
            for entry in write.entries:
                self.feed.append(entry.body.account_id, element(entry.data))
            if not write.done.done():
                write.done.set_result(None)
        self.feed.wake()

    def _failed(self, writes: list[_Write], error: sqlite3.Error) -> None:
        """Give up: a service that cannot remember must not trade. A restart recovers."""
        for write in writes:
            if not write.done.done():
                write.done.set_exception(error)
                write.done.exception()  # some events have no one who waits for them
        raise error

    async def _archive(self, seq: int, limit: int) -> list[Kept]:
        return await self._loop.run_in_executor(self._reader, self._read, seq, limit)

    def _read(self, seq: int, limit: int) -> list[Kept]:
        # Only what the feed has shown: a commit is seen here before its followers are told.
        rows = self._db_reader().execute(
            "SELECT seq, account_id, body FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (seq, self.feed.head, limit),
        )
        return [Kept(number, account, element(body)) for number, account, body in rows]

    def _db_reader(self) -> sqlite3.Connection:
        if not hasattr(self, "_reading"):
            self._reading = self._open()
        return self._reading

    async def order(self, account_id: str, client_order_id: str) -> pb.Order | None:
        """Find an order of any day."""

        def find() -> pb.Order | None:
            row = (
                self._db_reader()
                .execute(
                    "SELECT body FROM orders WHERE account_id = ? AND client_order_id = ?",
                    (account_id, client_order_id),
                )
                .fetchone()
            )
            return pb.Order.FromString(row[0]) if row else None

        if self._unwritten:
            await self.append([])  # what memory has forgotten meanwhile may still be on its way to the disk
        return await self._loop.run_in_executor(self._reader, find)

    def recall(self, account_id: str) -> Recalled:
        """Give the orders of the newest trading day and all that are not final, that day's trades, and the state.

        Called once, before the first append.
        """
        day = self._db.execute("SELECT coalesce(max(trading_day), '') FROM orders").fetchone()[0]
        final = (pb.ORDER_STATE_FILLED, pb.ORDER_STATE_CANCELLED, pb.ORDER_STATE_REJECTED)
        orders = self._db.execute(
            "SELECT body FROM orders WHERE trading_day = ? OR state NOT IN (?, ?, ?)", (day, *final)
        ).fetchall()
        trades = self._db.execute("SELECT body FROM trades WHERE trading_day >= ?", (day,)).fetchall()
        state = self._db.execute("SELECT body FROM states WHERE account_id = ?", (account_id,)).fetchone()
        return Recalled(
            sorted((pb.Order.FromString(body) for (body,) in orders), key=lambda one: one.create_time.ToNanoseconds()),
            [pb.Trade.FromString(body) for (body,) in trades],
            pb.TradingStateChange.FromString(state[0]) if state else None,
        )

    def close(self) -> None:
        """Write what waits and close the file."""
        self._queue.put(_STOP)
        self._writer.join()
        self._reader.submit(lambda: self._reading.close() if hasattr(self, "_reading") else None)
        self._reader.shutdown()
        self._db.close()
