"""Ticks a second from the vendor's library to a Python follower, and how long an order takes.

    python -m bench.first [--json]

The peer is a bare uvloop socket that carries the same bytes, one tick a write.
"""

import asyncio
import contextlib
import tempfile
import time
import uuid
from collections import defaultdict
from pathlib import Path

import grpc
import uvloop

from arbig.fanout import element
from arbig.front.v1 import front_pb2
from arbig.market.v1 import market_pb2
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2
from bench.report import quantile, report
from tests.mesh.harness import Clients, clients, recorded_day, running

REPETITIONS = 5
ORDERS = 300


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


async def order_times(services: Clients) -> tuple[list[float], list[float]]:
    """Send orders that rest, one after the other; give ms to the reply and to the exchange's answer."""
    snapshot = await services.market.GetSnapshot(market_pb2.GetSnapshotRequest())
    tick = snapshot.ticks[0]
    events = services.trade.SubscribeEvents(trade_pb2.SubscribeEventsRequest())
    replies, acknowledged = [], []

    async def wait_for(name: str, state: trade_pb2.OrderState.ValueType) -> None:
        while True:
            reply = await events.read()
            if any(one.order.client_order_id == name and one.order.state == state for one in reply.events):
                return

    for _ in range(ORDERS):
        name = uuid.uuid4().hex
        began = time.perf_counter()
        await services.submit(name, tick.symbol, tick.lower_limit_price)
        replies.append((time.perf_counter() - began) * 1e3)
        await wait_for(name, trade_pb2.ORDER_STATE_ACCEPTED)
        acknowledged.append((time.perf_counter() - began) * 1e3)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await services.trade.CancelOrder(trade_pb2.CancelOrderRequest(client_order_id=name))
        await wait_for(name, trade_pb2.ORDER_STATE_CANCELLED)
    events.cancel()
    return replies, acknowledged


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
        with running(root / "orders", "--redis", "none", "--no-edge") as mesh:
            async with clients(mesh) as services:
                for _ in range(REPETITIONS):
                    replies, acknowledged = await order_times(services)
                    for key, values in (("submit", replies), ("acknowledged", acknowledged)):
                        figures[f"{key}_p50_ms"].append(quantile(values, 0.5))
                        figures[f"{key}_p99_ms"].append(quantile(values, 0.99))
    report("first", REPETITIONS, figures)


if __name__ == "__main__":
    uvloop.run(main())
