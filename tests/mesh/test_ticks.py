"""A recorded day through the whole mesh: every tick once and in order, to every follower and to storage."""

import asyncio
import csv
import gzip
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arbig.channel import open_channel
from arbig.follow import Link, follow
from arbig.front.v1 import front_pb2
from arbig.market.v1 import market_pb2 as pb
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.store.v1 import history_pb2, store_pb2
from arbig.stream.v1.stream_pb2 import Cursor, Gap
from tests.mesh.harness import Clients, Mesh, clients, follow_ticks, recorded_day, running, until
from tests.servers import start_redis

Identity = tuple[str, str, str, int, str]


def expected(path: Path) -> list[Identity]:
    """Read what the file says, without our own reader: day, natural time, volume, last price."""
    with gzip.open(path, "rt") as file:
        return [
            (
                row["TradingDay"],
                row["ActionDay"],
                f"{row['UpdateTime']}.{int(row['UpdateMillisec']):03d}",
                int(row["Volume"]),
                f"{float(row['LastPrice']):.4f}",
            )
            for row in csv.DictReader(file)
        ]


def identity(tick: pb.Tick) -> Identity:
    """Say the same of a tick."""
    shanghai = datetime.fromtimestamp(tick.time.seconds, UTC) + timedelta(hours=8)
    return (
        tick.trading_day,
        shanghai.strftime("%Y%m%d"),
        f"{shanghai:%H:%M:%S}.{tick.time.nanos // 1_000_000:03d}",
        tick.volume,
        f"{tick.last_price:.4f}",
    )


@pytest.fixture
def replaying(tmp_path: Path) -> Iterator[tuple[Mesh, Path]]:
    """Run a mesh that holds a recorded day, with a real Redis."""
    day = recorded_day(tmp_path)
    with start_redis(tmp_path) as server:
        options = ["--replay", str(day), "--speed", "max", "--hold", "--redis", server.url, "--no-edge"]
        with running(tmp_path / "mesh", *options) as mesh:
            yield mesh, day


async def test_a_recorded_day_reaches_followers_and_storage_whole(replaying: tuple[Mesh, Path]) -> None:
    """Also across the trading-day rollover, and for a follower that stops in the middle and resumes."""
    mesh, day = replaying
    rows = expected(day)
    async with clients(mesh) as services:
        whole = asyncio.create_task(follow_ticks(services, Cursor(), len(rows)))
        first_part = asyncio.create_task(follow_ticks(services, Cursor(), len(rows) // 3))
        await asyncio.sleep(0)
        started = time.monotonic()
        await services.front.Start(front_pb2.StartRequest())
        first, cursor = await first_part
        ticks, _ = await whole
        took = time.monotonic() - started
        rest, _ = await follow_ticks(services, cursor, len(rows) - len(first))
        stored = await in_storage(services, len(rows))
    print(f"{len(ticks)} ticks in {took:.2f} s: {len(ticks) / took:,.0f}/s")  # noqa: T201
    assert [tick.seq for tick in ticks] == list(range(1, len(rows) + 1))
    assert [identity(tick) for tick in ticks] == rows
    assert [tick.seq for tick in first + rest] == list(range(1, len(rows) + 1))
    assert stored == ticks
    assert len({tick.trading_day for tick in ticks}) == 2


async def in_storage(services: Clients, count: int) -> list[pb.Tick]:
    """Give the ticks that storage plays, once it says that it has so many; no gap may be declared."""

    async def all_there() -> bool:
        status = await services.store.GetStatus(store_pb2.GetStatusRequest(), timeout=5)
        return bool(status.ticks.seq >= count and not status.ticks_reason)

    await until("ticks in storage", all_there)
    answers = [one async for one in services.history.ReplayTicks(history_pb2.ReplayTicksRequest(), timeout=60)]
    assert not [answer.gap for answer in answers if answer.HasField("gap")]
    return [tick for answer in answers for tick in answer.ticks]


async def test_a_redis_killed_without_persistence_in_the_middle_is_whole_again(tmp_path: Path) -> None:
    """Storage follows again what Redis lost, and the archive has what was over."""
    day = recorded_day(tmp_path)
    count = len(expected(day))
    with start_redis(tmp_path, persistent=False) as server:
        options = ["--replay", str(day), "--speed", "max", "--hold", "--redis", server.url, "--no-edge"]
        with running(tmp_path / "mesh", *options) as mesh:
            async with clients(mesh) as services:
                await services.front.Start(front_pb2.StartRequest())
                for share in (4, 2):

                    async def reached(seq: int = count // share) -> bool:
                        status = await services.store.GetStatus(store_pb2.GetStatusRequest(), timeout=5)
                        return bool(status.ticks.seq >= seq)

                    await until("a part of the day in Redis", reached)
                    server.kill()
                    await asyncio.to_thread(server.start)
                stored = await in_storage(services, count)
                ticks, _ = await follow_ticks(services, Cursor(), count)
    assert stored == ticks
    assert [tick.seq for tick in ticks] == list(range(1, count + 1))


async def resumed(market: str, stop: asyncio.Event, slow: bool) -> tuple[list[pb.Tick], list[Gap]]:
    """Follow every tick over restarts of the service until told to stop; give the ticks and the declared gaps."""
    ticks: list[pb.Tick] = []
    gaps: list[Gap] = []
    async with open_channel(market) as channel:
        request = pb.SubscribeTicksRequest(after=Cursor())
        method = MarketServiceStub(channel).SubscribeTicks
        async for reply in follow(method, request, pb.SubscribeTicksResponse, Link("ticks")):
            ticks += reply.ticks
            gaps += [reply.gap] if reply.HasField("gap") else []
            if slow:
                await asyncio.sleep(0.02)
            if reply.HasField("heartbeat") and stop.is_set():
                return ticks, gaps
    raise AssertionError("the stream ended")


async def test_followers_of_a_killed_market_service_have_every_tick_once_or_know_what_is_missing(
    replaying: tuple[Mesh, Path],
) -> None:
    """Three of them, one slow: the same ticks for all; what the exchange sent meanwhile is missing behind a GAP."""
    mesh, day = replaying
    rows, stop = expected(day), asyncio.Event()
    async with clients(mesh) as services:
        followers = [asyncio.create_task(resumed(mesh.address("market"), stop, slow)) for slow in (False, False, True)]

        async def some() -> bool:
            return bool((await services.market.GetStatus(pb.GetStatusRequest())).cursor.seq > len(rows) // 4)

        await services.front.Start(front_pb2.StartRequest())
        await until("a part of the day", some)
        mesh.kill("market")

        async def whole() -> bool:
            front = await services.front.GetStatus(front_pb2.GetStatusRequest())
            market = await services.market.GetStatus(pb.GetStatusRequest())
            newest = await services.market.GetSnapshot(pb.GetSnapshotRequest())
            return bool(front.published == len(rows) and market.ready and identity(newest.ticks[0]) == rows[-1])

        await until("the end of the day", whole)
        stop.set()
        every = await asyncio.gather(*followers)
    ticks, _ = every[0]
    for others, gaps in every:
        assert others == ticks
        assert gaps == []
    assert [tick.seq for tick in ticks] == list(range(1, len(ticks) + 1))
    repeated = [tick for tick in ticks if list(tick.flags) == [pb.TICK_FLAG_STALE]]
    # Where the day was over before the kill, its last snapshot is shown again on subscribing.
    again = [tick for tick in ticks if pb.TICK_FLAG_DUPLICATE in tick.flags]
    fresh = [tick for tick in ticks if tick not in again and list(tick.flags) != [pb.TICK_FLAG_STALE]]
    assert len(repeated) == 1
    assert [(identity(tick), pb.TICK_FLAG_FIRST_SNAPSHOT in tick.flags) for tick in again] in ([], [(rows[-1], True)])
    at, missing = 0, 0
    for tick in fresh:
        place = rows.index(identity(tick), at)
        missing += place - at
        assert place == at or pb.TICK_FLAG_GAP in tick.flags
        at = place + 1
    print(f"{len(fresh)} ticks once, {missing} missing behind a GAP")  # noqa: T201
    assert len(fresh) + missing == len(rows)


async def test_a_broken_link_to_the_exchange_is_told_at_once_and_behind_it_is_a_gap(tmp_path: Path) -> None:
    """Each symbol's newest tick again, STALE; then a first snapshot that says what is missing."""
    with running(tmp_path / "mesh", "--redis", "none", "--no-edge") as mesh:
        async with clients(mesh) as services:
            known = (await services.market.GetSnapshot(pb.GetSnapshotRequest())).ticks
            call = services.market.SubscribeTicks(pb.SubscribeTicksRequest(after=Cursor()))
            await services.front.DropConnections(front_pb2.DropConnectionsRequest(front=front_pb2.FRONT_MARKET))
            flags: dict[str, list[list[int]]] = {tick.symbol: [] for tick in known}
            async with asyncio.timeout(60):
                async for reply in call:
                    for tick in reply.ticks:
                        if pb.TICK_FLAG_STALE in tick.flags or pb.TICK_FLAG_GAP in tick.flags:
                            flags[tick.symbol].append(list(tick.flags))
                    if known and all(len(told) == 2 for told in flags.values()):
                        break
            call.cancel()
    after = [pb.TICK_FLAG_FIRST_SNAPSHOT, pb.TICK_FLAG_GAP]
    assert all(told == [[pb.TICK_FLAG_STALE], after] for told in flags.values())
