"""What storage says that it has of the ticks, for the tests of this directory."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from arbig.channel import open_channel
from arbig.market.v1.market_pb2 import Tick
from arbig.store.v1.history_pb2 import ListTickDaysRequest, ReplayTicksRequest, ReplayTicksResponse, TickDay
from arbig.store.v1.history_pb2_grpc import TickHistoryServiceStub
from store_svc.ticks.archive import Archive
from store_svc.ticks.place import Entry, Place
from tests.store_svc.mesh import EPOCH, Mesh, mesh

SYMBOLS = ["au2604", "au2606", "au2608"]
DAYS = ["20260309", "20260310", "20260311"]


@contextlib.asynccontextmanager
async def ticking(directory: Path, url: str, **store: Any) -> AsyncIterator[Mesh]:
    """Make a mesh with a trade service that says nothing."""
    async with mesh(directory, redis=url, **store) as made, made.trading():
        yield made


def chosen(count: int) -> list[str]:
    """Give so many symbols, as they come."""
    return random.choices(SYMBOLS, k=count)


def published(made: Mesh, day: str, count: int = 900) -> None:
    """Publish ticks of a day."""
    made.market.publish(*chosen(count), day=day)


async def replayed(made: Mesh, **request: Any) -> list[ReplayTicksResponse]:
    """Give a replay's answers."""
    async with open_channel(made.settings.address("store")) as channel:
        history: Any = TickHistoryServiceStub(channel)
        return [one async for one in history.ReplayTicks(ReplayTicksRequest(**request), timeout=60)]


def ticks_of(answers: list[ReplayTicksResponse]) -> list[Tick]:
    """Give the ticks of a replay."""
    return [tick for answer in answers for tick in answer.ticks]


def seqs_of(answers: list[ReplayTicksResponse]) -> list[int]:
    """Give the numbers of the ticks of a replay."""
    return [tick.seq for tick in ticks_of(answers)]


def gaps_of(answers: list[ReplayTicksResponse]) -> list[tuple[int, int]]:
    """Give the holes of a replay."""
    return [(answer.gap.after.seq, answer.gap.resume.seq) for answer in answers if answer.HasField("gap")]


async def tick_days(made: Mesh, **request: Any) -> list[TickDay]:
    """List what is stored."""
    async with open_channel(made.settings.address("store")) as channel:
        history: Any = TickHistoryServiceStub(channel)
        reply = await history.ListTickDays(ListTickDaysRequest(**request), timeout=20)
        return list(reply.days)


async def assert_whole(made: Mesh) -> None:
    """Check that storage plays exactly what the market service published, each tick as it was."""
    answers = await replayed(made)
    published = [Tick.FromString(kept.data[2:]) for kept in made.market.feed.between(made.market.feed.tail, 1 << 30)]
    assert gaps_of(answers) == []
    assert ticks_of(answers) == published


def archived(made: Mesh) -> list[Path]:
    """Give the files of the archive."""
    return sorted((made.settings.data / "store" / "archive").glob("*/*.parquet"))


async def until_archived(made: Mesh, count: int) -> None:
    """Wait for so many files."""
    async with asyncio.timeout(20):
        while len(archived(made)) < count:
            await asyncio.sleep(0.02)


async def written(archive: Archive, symbol: str, seqs: Iterable[int], day: str = DAYS[0]) -> None:
    """Put a file into an archive."""

    async def pages() -> AsyncIterator[list[Entry]]:
        ticks = (Tick(seq=seq, symbol=symbol, trading_day=day) for seq in seqs)
        yield [(Place(EPOCH, tick.seq), tick.SerializeToString()) for tick in ticks]

    await archive.write(symbol, day, pages())


async def emptied(url: str) -> None:
    """Take everything from Redis while nobody looks."""
    async with Redis.from_url(url) as redis:
        await redis.flushall()


async def in_redis(url: str) -> int:
    """Count the ticks in Redis."""
    async with Redis.from_url(url) as redis:
        return sum([await redis.xlen(f"ticks:{{{symbol}}}") for symbol in SYMBOLS])
