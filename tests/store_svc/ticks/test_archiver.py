"""Which trading days are over: what a quiet symbol still says of the day before changes nothing."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from arbig.config import Store
from arbig.market.v1.market_pb2 import Tick
from store_svc.ticks.archive import Archive
from store_svc.ticks.archiver import Archiver
from store_svc.ticks.place import BEGIN, Place
from store_svc.ticks.streams import TickStreams
from store_svc.ticks.wiring import open_redis
from tests.servers import Server
from tests.store_svc.mesh import EPOCH
from tests.store_svc.ticks.kept import DAYS, SYMBOLS, in_redis


@contextlib.asynccontextmanager
async def streams_of(url: str) -> AsyncIterator[TickStreams]:
    async with open_redis(Store(), url) as redis:
        streams = TickStreams(redis)
        await streams.add_symbols(SYMBOLS)
        yield streams


async def append(streams: TickStreams, symbol: str, day: str, count: int = 1) -> None:
    """Store some ticks, as the recorder does."""
    left = await streams.read_cursor()
    seqs = range(left.seq + 1, left.seq + count + 1)
    ticks = [Tick(seq=seq, symbol=symbol, trading_day=day) for seq in seqs]
    [(_, newest)] = await streams.newest_days([symbol])
    days = {} if newest == day else {Place(EPOCH, seqs[0]): day}
    await streams.append(left, ticks, days, Place(EPOCH, seqs[-1]))


async def a_day_with_an_old_snapshot(streams: TickStreams) -> None:
    await append(streams, "au2606", DAYS[0])
    await append(streams, "au2604", DAYS[1], 100)
    await append(streams, "au2608", DAYS[0])
    await append(streams, "au2604", DAYS[1])


async def test_the_running_day_is_not_over_when_an_old_snapshot_comes(own_redis: Server, tmp_path: Path) -> None:
    """No look makes a file of what it has so far."""
    archive = Archive(tmp_path)
    async with streams_of(own_redis.url) as streams:
        await a_day_with_an_old_snapshot(streams)
        for _ in range(3):
            await Archiver(streams, archive, 1)._look()
            await append(streams, "au2604", DAYS[1])
    assert archive.symbols == ["au2606", "au2608"]
    assert {file.trading_day for symbol in archive.symbols for file in archive.files(symbol)} == {DAYS[0]}


async def test_without_an_archive_an_old_snapshot_trims_nothing_of_the_running_day(own_redis: Server) -> None:
    """The days kept are the newest ones, not those that began last."""
    async with streams_of(own_redis.url) as streams:
        await a_day_with_an_old_snapshot(streams)
        await Archiver(streams, None, 1)._look()
        assert await in_redis(own_redis.url) == 102
        assert (await streams.page("au2604", BEGIN, Place(EPOCH, 200), 1))[0][0].seq == 2
