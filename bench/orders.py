"""How long an order takes: from the call to ReqOrderInsert, to the reply, and to the exchange's answer.

    python -m bench.orders [--json]

- `submit_to_send`: from the caller's call in another process to the moment at which the trade service,
  its intent on the disk, would call the vendor's library. The library itself is left out here.
- `fsync`: writing 4 KiB to the end of a file of the same disk and syncing it: what the disk takes at least.
- `empty_rpc`: GetRiskLimits of the same service over the same channel: what gRPC takes at least.
- `ratio`: submit_to_send beside the sum of those two, medians; 2 at most is what we want.
- `acknowledged`: in the whole mesh, until the follower of SubscribeEvents hears that the exchange has it.
"""

import asyncio
import contextlib
import multiprocessing
import os
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import uvloop

from arbig.channel import open_channel
from arbig.follow import Link
from arbig.market.v1 import market_pb2
from arbig.server import serve
from arbig.trade.v1 import trade_pb2 as pb
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from bench.report import quantile, report
from tests.mesh.harness import Clients, clients, running
from tests.servers import free_port
from tests.trade_svc.desk import Desk, Front, account_row, order_row
from trade_svc import limits
from trade_svc.orders import memo_of
from trade_svc.rpc import NAME, TradeService

REPETITIONS = 5
ORDERS = 300
SPAWN = multiprocessing.get_context("spawn")


class TimedFront(Front):
    """Notes when an order would go to the vendor's library: the clock is the same in every process."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.journal)
        self.times: dict[str, float] = {}
        self._desk = desk

    def insert(self, order: pb.Order) -> tuple[int, int]:
        """Note the time; the order is cancelled soon after, or the book would grow."""
        self.times[order.client_order_id] = time.monotonic()
        row = order_row("5", ref=order.order_ref, OrderMemo=memo_of(order.client_order_id), OrderSysID=order.order_ref)
        asyncio.get_running_loop().call_soon(self._desk.hear, "OnRtnOrder", row)
        return 0, 1


class Stay:
    """Stands for the session: the bench's desk is logged in."""

    def __init__(self, desk: Desk) -> None:
        self.trading = desk.trading


def serve_orders(address: str, directory: str, link: Connection) -> None:
    """Be the trade service's process, with a real journal; tell the times at the end."""

    async def run() -> None:
        desk = Desk(Path(directory) / "journal.db")
        timed = TimedFront(desk)
        timed.money = account_row(PreBalance=1e9, Balance=1e9, Available=1e9)
        desk.trading._gateway = timed  # noqa: SLF001 - what stands for the library, and takes no time
        await desk.log_in()
        path = Path(directory) / "limits.toml"
        limits.save(path, desk.trader.limits)
        service = TradeService(Stay(desk), desk.journal, Link("ticks"), mode="simulation", limits_path=path)  # type: ignore[arg-type]
        async with serve(address, [(NAME, service)]):
            link.send("ready")
            await asyncio.to_thread(link.recv)
        link.send(timed.times)
        desk.journal.close()

    uvloop.run(run())


@contextlib.asynccontextmanager
async def orders_only(directory: Path) -> AsyncIterator[tuple[Any, Connection]]:
    """Run a trade service without a front; give its stub, and what tells the times."""
    address = f"127.0.0.1:{free_port()}"
    link, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=serve_orders, args=(address, str(directory), theirs), daemon=True)
    process.start()
    await asyncio.to_thread(link.recv)
    async with open_channel(address) as channel:
        yield TradeServiceStub(channel), link
    process.join()


async def send_times(directory: Path) -> dict[str, list[float]]:
    """Send orders one after the other; give ms of each step, and of what it is compared with."""
    began: dict[str, float] = {}
    found: defaultdict[str, list[float]] = defaultdict(list)
    async with orders_only(directory) as (stub, link):
        with (directory / "synced").open("wb") as file:
            for number in range(ORDERS):
                name = f"o{number}"
                request = pb.SubmitOrderRequest(
                    client_order_id=name,
                    symbol="au2604",
                    direction=pb.DIRECTION_BUY if number % 2 else pb.DIRECTION_SELL,
                    offset=pb.OFFSET_OPEN,
                    price=790.0 if number % 2 else 810.0,
                    volume=1,
                )
                began[name] = time.monotonic()
                await stub.SubmitOrder(request)
                found["reply"].append((time.monotonic() - began[name]) * 1e3)
            for _ in range(ORDERS):
                found["empty_rpc"].append(await _timed(stub.GetRiskLimits(pb.GetRiskLimitsRequest())))
                found["fsync"].append(_synced(file.fileno()))
        link.send("end")
        sent = await asyncio.to_thread(link.recv)
    found["submit_to_send"] = [(sent[name] - at) * 1e3 for name, at in began.items()]
    return found


async def _timed(call: Any) -> float:
    began = time.monotonic()
    await call
    return (time.monotonic() - began) * 1e3


def _synced(handle: int) -> float:
    began = time.monotonic()
    os.write(handle, bytes(4096))
    os.fsync(handle)
    return (time.monotonic() - began) * 1e3


async def acknowledged_times(services: Clients) -> list[float]:
    """Send orders that rest, one after the other; give ms to the exchange's answer."""
    snapshot = await services.market.GetSnapshot(market_pb2.GetSnapshotRequest())
    tick = snapshot.ticks[0]
    events = services.trade.SubscribeEvents(pb.SubscribeEventsRequest())
    acknowledged = []

    async def wait_for(name: str, state: pb.OrderState.ValueType) -> None:
        while True:
            reply = await events.read()
            if any(one.order.client_order_id == name and one.order.state == state for one in reply.events):
                return

    for _ in range(ORDERS):
        name = uuid.uuid4().hex
        began = time.monotonic()
        await services.submit(name, tick.symbol, tick.lower_limit_price)
        await wait_for(name, pb.ORDER_STATE_ACCEPTED)
        acknowledged.append((time.monotonic() - began) * 1e3)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await services.trade.CancelOrder(pb.CancelOrderRequest(client_order_id=name))
        await wait_for(name, pb.ORDER_STATE_CANCELLED)
    events.cancel()
    return acknowledged


async def main() -> None:
    """Measure and report."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        with running(root / "mesh", "--redis", "none", "--no-edge") as mesh:
            async with clients(mesh) as services:
                await services.limit(max_inserts_per_second=0, max_cancels_per_second=0, max_cancels=0)
                for number in range(REPETITIONS):
                    own = root / f"own{number}"
                    own.mkdir()
                    found = await send_times(own) | {"acknowledged": await acknowledged_times(services)}
                    for key, values in found.items():
                        figures[f"{key}_p50_ms"].append(quantile(values, 0.5))
                        figures[f"{key}_p99_ms"].append(quantile(values, 0.99))
                    least = figures["fsync_p50_ms"][-1] + figures["empty_rpc_p50_ms"][-1]
                    figures["ratio"].append(figures["submit_to_send_p50_ms"][-1] / least)
    report("orders", REPETITIONS, figures)


if __name__ == "__main__":
    uvloop.run(main())
