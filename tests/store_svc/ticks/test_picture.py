"""What a replay reads, page by page, while Redis changes under it at the worst moment."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from arbig.config import Store
from arbig.market.v1.market_pb2 import Tick
from store_svc.ticks.archive import Archive
from store_svc.ticks.archiver import Archiver
from store_svc.ticks.history import PAGE, Picture, TickHistory, TicksAway
from store_svc.ticks.place import BEGIN, Place
from store_svc.ticks.replay import Range
from store_svc.ticks.streams import CursorMoved, TickStreams
from store_svc.ticks.wiring import open_redis
from tests.servers import Server

COUNT = 5_000
SYMBOL = "au2604"


@contextlib.asynccontextmanager
async def filled(url: str) -> AsyncIterator[tuple[Redis, TickStreams]]:
    """Give a Redis with a day that is over, and the first tick of the next one."""
    async with open_redis(Store(), url) as redis:
        streams = TickStreams(redis)
        ticks = [Tick(seq=seq, symbol=SYMBOL, trading_day="20260309") for seq in range(1, COUNT + 1)]
        ticks.append(Tick(seq=COUNT + 1, symbol=SYMBOL, trading_day="20260310"))
        days = {Place(7, 1): "20260309", Place(7, COUNT + 1): "20260310"}
        await streams.add_symbols([SYMBOL])
        await streams.append(BEGIN, ticks, days, Place(7, COUNT + 1))
        yield redis, streams


async def read(picture: Picture) -> list[int]:
    return [place.seq async for page in picture.pages(SYMBOL, BEGIN, Range()) for place, _ in page]


async def test_a_day_that_is_archived_between_two_looks_is_read_from_its_file(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was no file when we looked, and the ticks are gone when we ask Redis."""
    archive = Archive(tmp_path)
    async with filled(own_redis.url) as (_, streams):
        picture = await TickHistory(streams, archive).picture(BEGIN)
        ask = streams.page_and_state
        asked: list[Place] = []

        async def archived_meanwhile(symbol: str, after: Place, *more: Any) -> Any:
            if len(asked) == 2:
                await Archiver(streams, archive, 1)._look()
            asked.append(after)
            return await ask(symbol, after, *more)

        monkeypatch.setattr(streams, "page_and_state", archived_meanwhile)
        assert await read(picture) == list(range(1, COUNT + 2))
        assert archive.mark(SYMBOL) == Place(7, COUNT)
        assert (await ask(SYMBOL, Place(7, 2 * PAGE), Place(7, COUNT + 1), 1))[2][0][0].seq > 2 * PAGE + 1


async def test_ticks_that_come_after_the_picture_are_not_in_it(own_redis: Server) -> None:
    """A replay ends."""
    async with filled(own_redis.url) as (_, streams):
        picture = await TickHistory(streams, None).picture(BEGIN)
        later = Tick(seq=COUNT + 2, symbol=SYMBOL, trading_day="20260310")
        await streams.append(Place(7, COUNT + 1), [later], {}, Place(7, COUNT + 2))
        assert await read(picture) == list(range(1, COUNT + 2))


async def test_ticks_behind_a_cursor_that_moved_are_not_stored(own_redis: Server) -> None:
    """What Redis lost could not be put in front of them."""
    async with filled(own_redis.url) as (_, streams):
        with pytest.raises(CursorMoved):
            await streams.append(Place(7, COUNT), [Tick(seq=COUNT + 2, symbol=SYMBOL)], {}, Place(7, COUNT + 2))
        assert await streams.read_cursor() == Place(7, COUNT + 1)
        assert await streams.page(SYMBOL, Place(7, COUNT + 1), Place(7, COUNT + 9), 1) == []


@pytest.mark.parametrize("change", ["emptied", "filled otherwise"])
async def test_a_redis_that_lost_ticks_between_two_pages_is_noticed(own_redis: Server, change: str) -> None:
    """Also when it has the newest tick again, and a hole."""
    async with filled(own_redis.url) as (redis, streams):
        pages = (await TickHistory(streams, None).picture(BEGIN)).pages(SYMBOL, BEGIN, Range())
        assert len(await anext(pages)) == PAGE
        if change == "emptied":
            await redis.flushall()
        else:
            await redis.delete("ticks:{au2604}")
            await redis.hset("gaps:ticks", "7-0 7-5000", "lost")
        with pytest.raises(TicksAway):
            await anext(pages)


async def test_a_day_that_begins_while_days_are_listed_keeps_its_ticks(
    own_redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day before must not end with them."""
    async with filled(own_redis.url) as (redis, streams):
        execute = Pipeline.execute
        seqs = iter(range(COUNT + 2, COUNT + 100))

        async def begins_meanwhile(self: Any, *arguments: Any) -> Any:
            found = await execute(self, *arguments)
            seq = next(seqs)
            await redis.xadd("days:{au2604}", {"trading_day": f"2026{seq}"}, f"7-{seq}")
            await redis.xadd("ticks:{au2604}", {"tick": b""}, f"7-{seq}")
            return found

        monkeypatch.setattr(Pipeline, "execute", begins_meanwhile)
        for newest in (COUNT + 1, COUNT + 3, COUNT + 5):
            segments = await streams.segments(SYMBOL)
            assert segments[1].first.seq == segments[1].last.seq == COUNT + 1
            assert segments[-1].last.seq == newest
