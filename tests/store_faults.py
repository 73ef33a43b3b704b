"""Everything is stored, and once, though the database is killed and hung while orders are traded.

    python -m tests.store_faults --events 50000 --kills 20 --hangs 5

runs a real MariaDB, a real journal, and the storage service between them, breaks the database at
random moments, refuses some COMMITs as Galera does and loses the answer to others, and compares at
the end what the tables have with what the journal has. The exit status is 1 if anything differs.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf.message import Message
from pymysql.err import OperationalError  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.dialects.mysql.aiomysql import MySQLDialect_aiomysql
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from arbig.trade.v1 import trade_pb2 as tr
from tests.servers import Server, start_mariadb
from tests.store_svc.mesh import FakeTrade, Mesh, mesh, order, trade
from trade_svc.journal import Journal

TIMEOUT_SECONDS = 1.0
BATCH = 200
CATCH_UP_SECONDS = 120.0
# How long the events of one fault take to come, on average: about as long as the fault.
FAULT_SECONDS = 1.5
CHUNK = 25
# The share of COMMITs that are refused, and of those whose answer is lost.
BAD_COMMITS = 0.02


class Plan(NamedTuple):
    """How much happens."""

    events: int = 50_000
    kills: int = 20
    hangs: int = 5
    seed: int = 1


class Words(NamedTuple):
    """What a side says of one kind: the last word of each key, and sums."""

    rows: dict[tuple[Any, ...], tuple[Any, ...]]
    sums: dict[str, tuple[int, int, Decimal]]


Found = dict[str, Words]
# The columns of a key, and those that are compared.
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "orders": (("account_id", "client_order_id"), ("direction", "state", "volume", "filled_volume", "price")),
    "trades": (("trading_day", "trade_id", "direction"), ("account_id", "client_order_id", "volume", "price")),
    "positions": (("account_id", "symbol", "side"), ("today", "yesterday")),
    "accounts": (("account_id",), ("balance", "available")),
}


def some_events(chance: random.Random, count: int) -> Iterator[Message]:
    """Make the events of random orders: sent, accepted, filled in parts or cancelled."""
    made = number = 0
    while made < count:
        number += 1
        for event in an_order(chance, number):
            made += 1
            yield event


def an_order(chance: random.Random, number: int) -> Iterator[Message]:
    """Make the events of one random order."""
    volume, filled, name = chance.randint(1, 9), 0, f"o{number}"
    direction = chance.choice([tr.DIRECTION_BUY, tr.DIRECTION_SELL])
    price, account = chance.randint(20_000, 30_000) * 2 / 100, f"sim{chance.randint(1, 3)}"
    said: dict[str, Any] = {"account_id": account, "volume": volume, "direction": direction, "price": price}
    yield order(name, **said, state=tr.ORDER_STATE_PENDING_NEW)
    yield order(name, **said, state=tr.ORDER_STATE_ACCEPTED)
    while filled < volume and chance.random() < 0.8:
        part = chance.randint(1, volume - filled)
        filled += part
        fill = trade(f"t{number}-{filled}", account_id=account, client_order_id=name, direction=direction)
        fill.price, fill.volume = price, part
        yield fill
        state = tr.ORDER_STATE_FILLED if filled == volume else tr.ORDER_STATE_PARTIALLY_FILLED
        yield order(name, **said, state=state, filled_volume=filled)
        side = tr.POSITION_SIDE_LONG if direction == tr.DIRECTION_BUY else tr.POSITION_SIDE_SHORT
        yield tr.Position(account_id=account, symbol="au2604", exchange="SHFE", side=side, today=number)
    if filled < volume:
        yield order(name, **said, state=tr.ORDER_STATE_CANCELLED, filled_volume=filled)
    money = chance.randint(1, 10**9) / 100
    yield tr.Account(account_id=account, balance=money, available=money / 2)


async def run(plan: Plan, directory: Path) -> list[str]:
    """Trade, break the database, and give every difference; none is what we promise."""
    with start_mariadb(directory) as server:
        settings = {"database": server.url, "timeout_seconds": TIMEOUT_SECONDS, "batch": BATCH}
        async with mesh(directory, **settings) as made, journal(directory / "journal.db") as kept:
            made.trade = FakeTrade()
            made.trade.feed = kept.feed
            async with made.trading(), made.storing():
                with bad_commits(random.Random(plan.seed)):
                    await asyncio.gather(write_all(kept, plan), break_often(server, made, plan))
                return await compare(made, kept, server.url)


@contextlib.asynccontextmanager
async def journal(path: Path) -> AsyncIterator[Journal]:
    """Open a journal as the trade service does."""
    kept = Journal(path, asyncio.get_running_loop())
    try:
        yield kept
    finally:
        await asyncio.to_thread(kept.close)


async def write_all(kept: Journal, plan: Plan) -> None:
    """Write the events, spread over the time that the faults take."""
    events = list(some_events(random.Random(plan.seed), plan.events))
    pause = FAULT_SECONDS * (plan.kills + plan.hangs) * CHUNK / len(events)
    for start in range(0, len(events), CHUNK):
        await kept.append(events[start : start + CHUNK])  # type: ignore[arg-type]
        await asyncio.sleep(pause)


async def break_often(server: Server, made: Mesh, plan: Plan) -> None:
    """Kill and hang the database, each at a random place of the journal."""
    chance = random.Random(plan.seed)
    faults = ["kill"] * plan.kills + ["hang"] * plan.hangs
    chance.shuffle(faults)
    places = sorted(chance.randrange(plan.events) for _ in faults)
    for fault, place in zip(faults, places, strict=True):
        while made.trade.feed.head < place:
            await asyncio.sleep(0.005)
        # In the middle of what it has to catch up with, or not.
        await asyncio.sleep(chance.uniform(0, 0.2))
        await asyncio.to_thread(_break, server, fault, chance.uniform(0, 0.5))


@contextlib.contextmanager
def bad_commits(chance: random.Random) -> Iterator[None]:
    """Refuse some COMMITs, as a cluster does, and lose the answer to others that were done."""
    commit: Any = MySQLDialect_aiomysql.do_commit

    def do_commit(dialect: Any, connection: Any) -> None:
        luck = chance.random()
        if luck < BAD_COMMITS:
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        commit(dialect, connection)
        if luck > 1 - BAD_COMMITS:
            raise OperationalError(2013, "Lost connection to MySQL server during query")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MySQLDialect_aiomysql, "do_commit", do_commit)
        yield


def _break(server: Server, fault: str, seconds: float) -> None:
    if fault == "kill":
        server.kill()
        server.start()
    else:
        server.hang()
        time.sleep(TIMEOUT_SECONDS + seconds)
        server.go_on()


async def compare(made: Mesh, kept: Journal, url: str) -> list[str]:
    """Wait until all is stored, and say where the tables differ from the journal."""
    async with asyncio.timeout(CATCH_UP_SECONDS):
        while (status := await made.status()).events != kept.feed.cursor:
            await asyncio.sleep(0.1)
    said = await of_the_journal(kept)
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = {name: await of_the_table(connection, name) for name in TABLES}
    await engine.dispose()
    show(said, found)
    aside = [f"{status.set_aside} events were set aside"] if status.set_aside else []
    return aside + [problem for name in TABLES for problem in differences(name, said[name], found[name])]


async def of_the_journal(kept: Journal) -> Found:
    """Read the whole journal, and keep the last word on each key."""
    found = {name: Words({}, {}) for name in TABLES}
    seq = 0
    while events := await kept._archive(seq, 10_000):
        for one in events:
            # An element of the response is the response with this one event.
            (event,) = tr.SubscribeEventsResponse.FromString(one.data).events
            name = next(name for name in TABLES if event.HasField(name[:-1]))  # type: ignore[arg-type]
            keys, columns = TABLES[name]
            message = getattr(event, name[:-1])
            found[name].rows[tuple(_said(message, key) for key in keys)] = tuple(_said(message, key) for key in columns)
        seq = events[-1].seq
    return {name: Words(words.rows, sums(name, words.rows)) for name, words in found.items()}


def _said(message: Any, name: str) -> Any:
    value, field = getattr(message, name), message.DESCRIPTOR.fields_by_name[name]
    if field.enum_type:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return field.enum_type.values_by_number[value].name.removeprefix(prefix)
    return round(Decimal(repr(value)), 4) if isinstance(value, float) else value


async def of_the_table(connection: AsyncConnection, name: str) -> Words:
    """Read a table as it is."""
    keys, columns = TABLES[name]
    wanted = ", ".join(f"`{column}`" for column in keys + columns)
    found = [tuple(row) for row in await connection.execute(text(f"SELECT {wanted} FROM {name}"))]  # noqa: S608
    if twice := [key for key, times in Counter(row[: len(keys)] for row in found).items() if times > 1]:
        raise AssertionError(f"{name}: more than one row of {twice[:3]}")
    rows = {row[: len(keys)]: row[len(keys) :] for row in found}
    return Words(rows, sums(name, rows))


def sums(name: str, rows: dict[tuple[Any, ...], tuple[Any, ...]]) -> dict[str, tuple[int, int, Decimal]]:
    """Give count, volume and turnover of each direction."""
    if name not in {"orders", "trades"}:
        return {}
    total: dict[str, tuple[int, int, Decimal]] = {}
    keys, columns = TABLES[name]
    for key, values in rows.items():
        row = dict(zip(keys + columns, key + values, strict=True))
        count, volume, turnover = total.get(row["direction"], (0, 0, Decimal(0)))
        turnover += row["price"] * row["volume"]
        total[row["direction"]] = count + 1, volume + row["volume"], turnover
    return total


def differences(name: str, said: Words, found: Words) -> list[str]:
    """Say where a table is not what the journal says."""
    problems: dict[str, list[Any]] = {
        "missing": sorted(said.rows.keys() - found.rows.keys()),
        "too many": sorted(found.rows.keys() - said.rows.keys()),
        "different": [key for key in said.rows.keys() & found.rows.keys() if said.rows[key] != found.rows[key]],
        "sums": [] if said.sums == found.sums else [said.sums, found.sums],
    }
    return [f"{name}: {len(what)} {how}: {what[:3]}" for how, what in problems.items() if what]


def show(said: Found, found: Found) -> None:
    """Print both sides."""
    table = Table("rows; count, volume and turnover", "journal", "stored", box=None)
    for name in TABLES:
        table.add_row(name, f"{len(said[name].rows):,}", f"{len(found[name].rows):,}")
        for direction, sums_said in sorted(said[name].sums.items()):
            stored = found[name].sums.get(direction, ())
            table.add_row(f"  {direction}", _numbers(sums_said), _numbers(stored))
    Console().print(table)


def _numbers(values: tuple[Any, ...]) -> str:
    return "  ".join(f"{value:,}" for value in values)


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in Plan()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=value)
    plan = Plan(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="arbig-store-faults-") as directory:
        problems = asyncio.run(run(plan, Path(directory)))
    Console().print(
        f"{plan.kills} kills, {plan.hangs} hangs, {plan.events} events: {problems or 'everything is stored, once'}"
    )
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
