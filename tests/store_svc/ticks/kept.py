"""What storage says that it has of the ticks, for the tests of this directory."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from arbig.channel import open_channel
from arbig.market.v1.market_pb2 import Tick
from arbig.store.v1.history_pb2 import ListTickDaysRequest, ReplayTicksRequest, ReplayTicksResponse, TickDay
from arbig.store.v1.history_pb2_grpc import TickHistoryServiceStub
from tests.store_svc.mesh import Mesh, mesh

SYMBOLS = ["au2604", "au2606", "au2608"]
DAYS = ["20260309", "20260310", "20260311"]


@contextlib.asynccontextmanager
async def ticking(directory: Path, url: str, **store: Any) -> AsyncIterator[Mesh]:
    """Make a mesh with a trade service that says nothing."""
    async with mesh(directory, redis=url, **store) as made, made.trading():
        yield made


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


async def in_redis(url: str) -> int:
    """Count the ticks in Redis."""
    async with Redis.from_url(url) as redis:
        return sum([await redis.xlen(f"ticks:{{{symbol}}}") for symbol in SYMBOLS])
