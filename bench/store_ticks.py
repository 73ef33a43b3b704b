"""Ticks a second into the embedded Valkey, and bytes of a tick in the archive.

    python -m bench.store_ticks [--json]

The peer is a bare pipelined redis-py that appends the same entries to the same Valkey.
"""

import asyncio
import contextlib
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvloop
from redis.asyncio import Redis

from arbig.calendar import Calendar, NoHolidays
from arbig.channel import open_channel
from arbig.config import Settings, Store
from arbig.fanout import BATCH, Feed, element
from arbig.market.v1.market_pb2 import Instrument, SubscribeTicksRequest, SubscribeTicksResponse, Tick
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.server import serve
from bench.report import report
from ctp_front.depth import ABSENT
from ctp_front.recording import COLUMNS, Recording
from market_svc import depth
from store_svc.ticks import files
from store_svc.ticks.parquet import to_table
from store_svc.ticks.streams import TICK, stream_of
from store_svc.ticks.wiring import NoTicks, Ticks, open_ticks
from tests.mesh.harness import RECORDED, made_up_day
from tests.servers import free_base

REPETITIONS = 5
EPOCH = 1_760_000_000_000
_INSTRUMENTS = {
    "ru1901": Instrument(exchange="SHFE", multiplier=10),
    "AP010": Instrument(exchange="CZCE", multiplier=10),
}
_TEXTS = {name for name, value in depth.unpack(bytes(depth.SIZE)).items() if isinstance(value, bytes)}


def recorded_ticks(directory: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Give each recorded file's name and its ticks, serialised; a made-up day where there are none."""
    for path in sorted(RECORDED.glob("*.csv.gz")) or [made_up_day(directory / "made-up-day.csv.gz")]:
        yield path.name.removesuffix(".csv.gz"), list(_ticks(path))


def _ticks(path: Path) -> Iterator[bytes]:
    """Take the rows the way that CTP's snapshots go, with the delays of a network."""
    delays = random.Random(1)
    ticks = depth.TickMaker(_INSTRUMENTS, Calendar(NoHolidays()))
    seq = received = 0
    for row in Recording([path]).rows():
        seq += delays.choice((1, 1, 2, 3))  # other symbols have ticks too
        raw = _struct(dict(zip(COLUMNS, row, strict=True)))
        happened = ticks.make(raw, seq, 0).tick.time.ToNanoseconds()
        received = max(received + 1, happened + round(delays.gauss(60e6, 15e6)))
        yield ticks.make(raw, seq, received).tick.SerializeToString()


def _struct(values: Mapping[str, Any]) -> bytes:
    """Lay a row out as the vendor's library does."""
    members = []
    for name in depth.FIELDS:
        if name in _TEXTS:
            members.append(values.get(name, "").encode())
        else:
            members.append(values.get(name, ABSENT))
    packed: bytes = depth._LAYOUT.pack(*members)  # noqa: SLF001 - the one place that knows it
    return packed


def parquet_figures() -> dict[str, list[float]]:
    """Measure the bytes of a tick in a file, all that is in the file, for each recorded day."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        for name, ticks in recorded_ticks(Path(directory)):
            path, checksum = Path(directory) / name / "ticks.parquet", files.Checksum()
            began = time.perf_counter()
            checksum.update(ticks)
            files.write([to_table(ticks)], path, {}, checksum)
            figures["archived_ticks_per_s"].append(len(ticks) / (time.perf_counter() - began))
            began = time.perf_counter()
            read = sum(len(page) for page in files.read(path, 0, BATCH))
            figures["replayed_ticks_per_s"].append(read / (time.perf_counter() - began))
            figures["parquet_bytes_per_tick"].append(path.stat().st_size / len(ticks))
    return dict(figures)


class Market:
    """A market service that has nothing but ticks."""

    def __init__(self, ticks: list[bytes]) -> None:
        self.feed = Feed(EPOCH, 1 << 17)
        for seq, data in enumerate(ticks, 1):
            tick = Tick.FromString(data)
            tick.seq = seq
            self.feed.append(tick.symbol, element(tick.SerializeToString()))
        self.feed.wake()

    async def SubscribeTicks(self, request: SubscribeTicksRequest, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        """Stream them."""
        with self.feed.follower(context.peer()) as follower:
            async for batch in follower.batches(request.after):
                yield batch.response(SubscribeTicksResponse)

    def __getattr__(self, name: str) -> Any:
        return None


async def ticks_figures(repetitions: int = REPETITIONS) -> dict[str, list[float]]:
    """Measure ticks a second from a served stream through the recorder, beside the bare client."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        ticks = [tick for _, day in recorded_ticks(Path(directory)) for tick in day][:100_000]
        for number in range(repetitions):
            ours, bare = await _recorded(Path(directory) / str(number), ticks)
            figures["ticks_per_s"].append(ours)
            figures["bare_ticks_per_s"].append(bare)
            figures["ticks_vs_bare"].append(ours / bare)
    return dict(figures)


async def _recorded(directory: Path, ticks: list[bytes]) -> tuple[float, float]:
    settings = Settings(data=directory, port_base=free_base(), store=Store(archive="none"))
    market = Market(ticks)
    async with (
        serve(settings.address("market"), [("arbig.market.v1.MarketService", market)]),
        open_channel(settings.address("market")) as channel,
    ):
        stored = open_ticks(settings, MarketServiceStub(channel).SubscribeTicks)
        recording = asyncio.create_task(stored.run())
        first = await _reached(stored, 1)
        began = time.perf_counter()
        await _reached(stored, len(ticks))
        ours = (len(ticks) - first) / (time.perf_counter() - began)
        bare = await _bare(f"unix://{settings.directory('store')}/valkey.sock", ticks)
        recording.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await recording
    return ours, bare


async def _reached(stored: Ticks | NoTicks, seq: int) -> int:
    while not stored.stored or stored.stored.seq < seq:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.002)
    return stored.stored.seq


async def _bare(url: str, ticks: list[bytes]) -> float:
    async with Redis.from_url(url) as redis:
        await redis.flushall()
        named = [(stream_of(Tick.FromString(one).symbol), one) for one in ticks]
        began = time.perf_counter()
        for start in range(0, len(named), BATCH):
            pipeline = redis.pipeline(transaction=False)
            for seq, (stream, data) in enumerate(named[start : start + BATCH], start + 1):
                pipeline.xadd(stream, {TICK: data}, id=f"{EPOCH}-{seq}")
            await pipeline.execute()
        return len(ticks) / (time.perf_counter() - began)


def main() -> None:
    """Measure and report."""
    if not list(RECORDED.glob("*.csv.gz")):
        print("no recorded ticks here: a made-up day stands in for them")
    report("store_ticks", REPETITIONS, {**parquet_figures(), **uvloop.run(ticks_figures())})


if __name__ == "__main__":
    main()
