"""Trading does not wait for the database, and the database misses nothing."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbig.store.v1 import store_pb2
from arbig.trade.v1 import trade_pb2 as pb
from tests.mesh.harness import Clients, Mesh, clients, running, until
from tests.mesh.test_kill9 import all_agree, trade_for_ever
from tests.servers import Server, database_options, start_mariadb, start_redis


@pytest.fixture
def with_mariadb(tmp_path: Path) -> Iterator[tuple[Mesh, Server]]:
    """Run a mesh on a real MariaDB and a real Redis."""
    with start_mariadb(tmp_path) as database, start_redis(tmp_path) as redis:
        options = [*database_options(database, tmp_path), "--redis", redis.url, "--no-edge"]
        with running(tmp_path / "mesh", *options) as mesh:
            yield mesh, database


async def stored(services: Clients) -> int:
    """Give the number of trades in the database."""
    return len((await services.store.ListTrades(store_pb2.ListTradesRequest(page_size=1000), timeout=5)).trades)


async def outage(mesh: Mesh, database: Server, orders: int, seconds: float) -> None:
    """Stop MariaDB while `orders` go out and `seconds` pass, then compare all books."""
    sent: dict[str, int] = {}
    async with clients(mesh) as services:
        trading = asyncio.create_task(trade_for_ever(services, sent))

        async def some_stored() -> bool:
            return await stored(services) > 3

        await until("trades stored", some_stored)
        database.kill()
        before, until_time = len(sent), time.monotonic() + seconds

        async def trading_goes_on() -> bool:
            return len(sent) >= before + orders and time.monotonic() >= until_time

        await until("orders while the database is down", trading_goes_on, seconds + 60)
        status = await services.store.GetStatus(store_pb2.GetStatusRequest())
        assert not status.ready
        assert status.reason
        assert (await services.trade.GetStatus(pb.GetStatusRequest())).readiness == pb.READINESS_READY
        database.start()
        trading.cancel()
        await asyncio.gather(trading, return_exceptions=True)
        await all_agree(services)


async def test_trading_goes_on_while_mariadb_is_down(with_mariadb: tuple[Mesh, Server]) -> None:
    """Afterwards the storage has everything once."""
    await outage(*with_mariadb, orders=40, seconds=0)


@pytest.mark.long
async def test_mariadb_is_down_for_a_minute(with_mariadb: tuple[Mesh, Server]) -> None:
    """The same, for as long as an operator needs to notice."""
    await outage(*with_mariadb, orders=40, seconds=60)


def test_a_database_that_is_down_at_start_is_waited_for(tmp_path: Path) -> None:
    """Visibly: the storage says what it waits for, and trading works meanwhile."""

    async def look(mesh: Mesh) -> None:
        async with clients(mesh) as services:

            async def says_why() -> bool:
                status = await services.store.GetStatus(store_pb2.GetStatusRequest())
                return not status.ready and bool(status.reason)

            await until("the reason", says_why)

            async def trades() -> bool:
                status = await services.trade.GetStatus(pb.GetStatusRequest())
                return bool(status.readiness == pb.READINESS_READY)

            await until("trading", trades)

    with start_mariadb(tmp_path) as database:
        database.kill()
        mesh = Mesh(tmp_path / "mesh", *database_options(database, tmp_path), "--redis", "none", "--no-edge")
        mesh.data.parent.mkdir()
        mesh.launch()
        try:
            asyncio.run(look(mesh))
            database.start()
            mesh.wait_ready()
        finally:
            mesh.stop()
