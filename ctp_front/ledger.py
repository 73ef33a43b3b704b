"""What the exchange does not forget: its books on disk, written before anyone hears of them.

One SQLite file. Whatever changes is written into one open transaction, and `commit` ends it: callers
commit before they send, so what a client heard survives a kill. An account is kept as its day began;
the day's trades, booked again, give it as it is.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from arbig.errors import ConfigError
from ctp_front.account import Account
from ctp_front.depth import Depth
from ctp_front.orders import Order, Report, Trade
from ctp_front.position import Holding, HoldingKey, Lot

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    account_id TEXT PRIMARY KEY, opening BLOB NOT NULL, confirmed TEXT NOT NULL, max_order_ref INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS trades (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS flow (
    account_id TEXT, sequence INTEGER, packet BLOB NOT NULL, PRIMARY KEY (account_id, sequence)
) WITHOUT ROWID;
"""
_DAILY = ("orders", "trades", "flow")


class Prices(NamedTuple):
    """How far the prices have come."""

    source: str  # names what is played: a saved position holds for the same source only
    position: int  # rows of a replay that were published
    published: int
    depths: list[Depth]


class LedgerError(Exception):
    """The exchange cannot keep its books: it must stop, and be started again from the disk."""


class Ledger:
    """The exchange's books on disk."""

    def __init__(self, path: Path) -> None:
        """Open the file, made if missing; raises ConfigError where it is not a ledger."""
        self._dirty = False
        self._is_broken = False
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ConfigError(f"the exchange's ledger {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Commit and close."""
        with contextlib.closing(self._db):
            self.commit()

    def commit(self) -> None:
        """Make everything written so far survive."""
        if self._is_broken:
            raise LedgerError("a write failed before: what is in memory is not what is on disk")
        if self._dirty:
            self._db.execute("COMMIT")
            self._dirty = False

    # Facts of the exchange as a whole.

    def trading_day(self) -> str | None:
        """Give the trading day the books are of."""
        return cast("str | None", self._fact("trading_day"))

    def next_session(self) -> int:
        """Give a SessionID that was never used."""
        number = int(self._fact("sessions") or 0) + 1
        self._set("sessions", number)
        return number

    def prices(self) -> Prices | None:
        """Give how far the prices had come."""
        saved = self._fact("prices")
        if saved is None:
            return None
        source, position, published, depths = saved
        return Prices(source, position, published, [Depth(*depth) for depth in depths])

    def save_prices(self, prices: Prices) -> None:
        """Keep how far the prices have come."""
        # orjson writes plain tuples only.
        self._set("prices", (*prices[:3], [tuple(depth) for depth in prices.depths]))

    # The day's books.

    def accounts(self) -> Iterator[Account]:
        """Give each account as the day began."""
        for account_id, opening, confirmed, max_order_ref in self._db.execute("SELECT * FROM accounts"):
            account = _account(account_id, orjson.loads(opening))
            account.confirmed, account.max_order_ref = confirmed, max_order_ref
            yield account

    def orders(self) -> list[Order]:
        """Give the day's orders."""
        return [Order(**orjson.loads(body)) for (body,) in self._db.execute("SELECT body FROM orders ORDER BY number")]

    def trades(self) -> list[Trade]:
        """Give the day's trades."""
        return [Trade(**orjson.loads(body)) for (body,) in self._db.execute("SELECT body FROM trades ORDER BY number")]

    def open_account(self, account: Account) -> None:
        """Keep an account as its day begins."""
        row = (account.account_id, orjson.dumps(_opening(account)), account.confirmed, account.max_order_ref)
        self._write("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?)", row)

    def save_account(self, account: Account) -> None:
        """Keep what of an account does not follow from its trades."""
        row = (account.confirmed, account.max_order_ref, account.account_id)
        self._write("UPDATE accounts SET confirmed = ?, max_order_ref = ? WHERE account_id = ?", row)

    def save(self, reports: Iterable[Report]) -> None:
        """Keep the orders and trades as they were reported."""
        for report in reports:
            table = "orders" if isinstance(report, Order) else "trades"
            self._write(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (report.number, orjson.dumps(report)))  # noqa: S608

    def begin_day(self, trading_day: str, accounts: Iterable[Account]) -> None:
        """Put the old day's books away and open the new ones."""
        for table in _DAILY:
            self._write(f"DELETE FROM {table}", ())  # noqa: S608
        for account in accounts:
            self.open_account(account)
        self._set("trading_day", trading_day)
        self._set("cleared", {})

    # Each account's private flow: what its sessions were told, by sequence.

    def append_flow(self, account_id: str, sequence: int, packet: bytes) -> None:
        """Keep one message of the private flow."""
        self._write("INSERT INTO flow VALUES (?, ?, ?)", (account_id, sequence, packet))

    def flow(self, account_id: str, after: int) -> list[bytes]:
        """Give the messages after a sequence number."""
        query = "SELECT packet FROM flow WHERE account_id = ? AND sequence > ? ORDER BY sequence"
        return [packet for (packet,) in self._db.execute(query, (account_id, after))]

    def clear_flow(self, lengths: Mapping[str, int]) -> None:
        """Forget every private flow, but not how long they were: the clients know."""
        self._write("DELETE FROM flow", ())
        self._set("cleared", dict(lengths))

    def cleared_lengths(self) -> dict[str, int]:
        """Give how long the flows were that were cleared today."""
        return self._fact("cleared") or {}

    def flow_lengths(self) -> dict[str, int]:
        """Give the last sequence number of each account's flow."""
        return dict(self._db.execute("SELECT account_id, max(sequence) FROM flow GROUP BY account_id"))

    def _fact(self, name: str) -> Any:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else orjson.loads(row[0])

    def _set(self, name: str, value: Any) -> None:
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, orjson.dumps(value)))

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            if not self._dirty:
                self._db.execute("BEGIN IMMEDIATE")
                self._dirty = True
            self._db.execute(statement, values)
        except sqlite3.Error:
            self._is_broken = True
            raise


def _opening(account: Account) -> dict[str, Any]:
    return {
        "pre_balance": account.pre_balance,
        "pre_margin": account.pre_margin,
        "holdings": [[*key, [asdict(lot) for lot in held.lots]] for key, held in account.holdings.items()],
    }


def _account(account_id: str, opening: dict[str, Any]) -> Account:
    account = Account(account_id, opening["pre_balance"], pre_margin=opening["pre_margin"])
    for symbol, side, date, lots in opening["holdings"]:
        holding = Holding()
        for lot in lots:
            holding.add(Lot(**lot))
        holding.yesterday = holding.volume
        account.holdings[HoldingKey(symbol, side, date)] = holding
    return account
