"""Ticks a second from the vendor's library to a Python follower.

    python -m bench.first [--json]

The peer is a bare uvloop socket that carries the same bytes, one tick a write.
"""

import asyncio
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import uvloop

from arbig.fanout import element
from arbig.front.v1 import front_pb2
from arbig.market.v1 import market_pb2
from arbig.stream.v1.stream_pb2 import Cursor
from bench.report import report
from tests.mesh.harness import clients, recorded_day, running

REPETITIONS = 5


async def mesh_ticks(directory: Path, day: Path) -> tuple[float, list[bytes]]:
    """Replay the day at full speed; give the ticks a second that a follower saw, and their bytes."""
    options = ["--replay", str(day), "--speed", "max", "--hold", "--redis", "none", "--no-edge"]
    with running(directory, *options) as mesh:
        async with clients(mesh) as services:
            rows = -1
            ticks: list[market_pb2.Tick] = []
            call = services.market.SubscribeTicks(market_pb2.SubscribeTicksRequest(after=Cursor()))
            await services.front.Start(front_pb2.StartRequest())
            began = ended = time.perf_counter()
            while len(ticks) != rows:
                reply = await call.read()
                if reply.ticks:
                    ticks += reply.ticks
                    ended = time.perf_counter()
                if reply.HasField("heartbeat"):  # quiet: either the end, or a stall that this shows
                    rows = (await services.front.GetStatus(front_pb2.GetStatusRequest())).published
                    break
            call.cancel()
    if len(ticks) != rows:
        raise RuntimeError(f"{len(ticks)} ticks of {rows} came")
    return rows / (ended - began), [element(tick.SerializeToString()) for tick in ticks]


async def raw_ticks(elements: list[bytes]) -> float:
    """Carry the same bytes over a bare socket, one write a tick; give ticks a second."""
    total = sum(map(len, elements))

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for one in elements:
            writer.write(one)
            if writer.transport.get_write_buffer_size() > 65_536:
                await writer.drain()
        await writer.drain()

    server = await asyncio.start_server(send, "127.0.0.1", 0)
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    received = 0
    while received < total:
        received += len(await reader.read(65_536))
    took = time.perf_counter() - began
    writer.close()
    server.close()
    return len(elements) / took


async def main() -> None:
    """Measure and report."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        day = recorded_day(root)
        for number in range(REPETITIONS):
            rate, elements = await mesh_ticks(root / f"ticks{number}", day)
            raw = await raw_ticks(elements)
            figures["ticks_per_s"].append(rate)
            figures["raw_ticks_per_s"].append(raw)
            figures["ticks_vs_raw"].append(rate / raw)
    report("first", REPETITIONS, figures)


if __name__ == "__main__":
    uvloop.run(main())
