"""How long a tick takes from the callback of the vendor's library to a follower that has parsed it.

    python -m bench.ticks_burst [--json]

The whole way: a front in this process sends depth packets over TCP, the market service is a process
of its own with the vendor's library in it, and so are the followers. A tick is stamped in the
callback. Bursts are 500 packets in one write, each when the one before has arrived everywhere;
singles are one packet about every 50 ms (an exchange sends two a second), each when nothing else is
under way. `burst_whole_ms` is from the first callback to the last arrival: what keeps the library
from calling back does not show in the delays. Beside it, in turns with it, 500 ticks that were
encoded before, handed over at once:

- raw: from a thread to a uvloop loop that writes each to bare sockets
- zmq: a ZeroMQ publisher
"""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import uvloop

from arbig.channel import open_channel
from arbig.config import PORTS
from arbig.market.v1.market_pb2 import GetStatusRequest
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from bench.processes import Child, child
from bench.report import quantile, report
from bench.ticks_followers import followers, moments, over_grpc, over_socket, over_zmq
from bench.ticks_peers import socket_bursts, zmq_bursts
from bench.ticks_sample import DAY, SYMBOLS, packets
from ctp_front.connection import listen
from ctp_front.market_front import MarketFront
from tests.servers import free_base, free_port

REPETITIONS = 5
BURST, BURSTS = 500, 10
SINGLES, SINGLE_SECONDS = 200, 0.05

# Sends so many ticks.
Send = Callable[[int], None]


@contextlib.asynccontextmanager
async def market_service(directory: Path) -> AsyncIterator[tuple[str, Send]]:
    """Run the market service and its front; give its address, and what lets ticks come."""
    base, front = free_base(), MarketFront(lambda: DAY)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ARBIG_")},
        "ARBIG_DATA": str(directory),
        "ARBIG_PORT_BASE": str(base),
        "ARBIG_MARKET__SYMBOLS": str(SYMBOLS).replace("'", '"'),
    }
    stream = packets()
    address = f"127.0.0.1:{base + PORTS['market']}"
    async with listen(f"127.0.0.1:{base + PORTS['front_market']}", "market", front.handle):
        with (directory / "market.log").open("wb") as log:
            command = [sys.executable, "-m", "arbig.cli", "market"]
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, cwd=directory, stdout=log, stderr=log
            )

        def send(count: int) -> None:
            # All are made before the first one leaves, so that nothing else is at work while they are under way.
            front.publish(list(itertools.islice(stream, count)))

        try:
            await _first_tick(address, send)
            yield address, send
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def _first_tick(address: str, send: Send) -> None:
    """Send ticks until one comes."""
    async with open_channel(address) as channel:
        stub: Any = MarketServiceStub(channel)
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                if (await stub.GetStatus(GetStatusRequest(), wait_for_ready=True, timeout=60)).cursor.seq:
                    return
            send(1)
            await asyncio.sleep(0.1)


class Way:
    """A server and its followers."""

    def __init__(self, send: Send, listeners: Child) -> None:
        self._send = send
        self._listeners = listeners

    async def round(self, ticks: int) -> tuple[list[float], float]:
        """Send ticks at once; give the ms that each took to each follower, and those from the first to the last."""
        self._listeners.ask(ticks)
        self._send(ticks)
        found: list[list[tuple[int, int]]] = await asyncio.to_thread(self._listeners.hear)
        then, now = zip(*itertools.chain(*found), strict=True)
        return [(b - a) / 1e6 for a, b in zip(then, now, strict=True)], (max(now) - min(then)) / 1e6


@contextlib.contextmanager
def ways(market: str, send: Send, count: int) -> Iterator[dict[str, Way]]:
    """Run `count` followers of the market service, and of each peer."""
    raw, published = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:

        def run(target: Callable[..., None], *arguments: Any) -> Child:
            return stack.enter_context(child(target, *arguments))

        ours = run(followers, over_grpc, market, count, moments)
        socket_server = run(socket_bursts, raw, BURST)
        socket_followers = run(followers, over_socket, raw, count, moments)
        publisher = run(zmq_bursts, published, count, BURST)
        subscribers = run(followers, over_zmq, published, count, moments)
        publisher.hear()
        yield {
            "": Way(send, ours),
            "raw_": Way(socket_server.say, socket_followers),
            "zmq_": Way(publisher.say, subscribers),
        }


async def burst_figures(repetitions: int = REPETITIONS) -> dict[str, list[float]]:
    """Measure bursts with one and with ten followers, and singles with one."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        async with market_service(Path(directory)) as (address, send):
            for count in (1, 10):
                with ways(address, send, count) as running:
                    for one in running.values():  # nothing is measured cold
                        await one.round(BURST)
                    for _ in range(repetitions):
                        await _bursts(running, count, figures)
                        if count == 1:
                            await _singles(running, figures)
    return dict(figures)


async def _bursts(running: dict[str, Way], count: int, figures: defaultdict[str, list[float]]) -> None:
    took: defaultdict[str, list[float]] = defaultdict(list)
    whole: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(BURSTS):
        for name, way in running.items():
            each, all_of_it = await way.round(BURST)
            took[name] += each
            whole[name].append(all_of_it)
    for name in running:
        figures[f"{name}burst_whole_ms_{count}"].append(quantile(whole[name], 0.5))
        figures[f"{name}burst_p50_ms_{count}"].append(quantile(took[name], 0.5))
        figures[f"{name}burst_p99_ms_{count}"].append(quantile(took[name], 0.99))
    ratio = figures[f"burst_p99_ms_{count}"][-1] / figures[f"raw_burst_p99_ms_{count}"][-1]
    figures[f"burst_p99_ratio_raw_{count}"].append(ratio)


async def _singles(running: dict[str, Way], figures: defaultdict[str, list[float]]) -> None:
    took: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(SINGLES):
        for name, way in running.items():
            took[name] += (await way.round(1))[0]
        await asyncio.sleep(SINGLE_SECONDS)
    for name in running:
        figures[f"{name}single_p50_ms"].append(quantile(took[name], 0.5))
        figures[f"{name}single_p99_ms"].append(quantile(took[name], 0.99))


if __name__ == "__main__":
    report("ticks_burst", REPETITIONS, uvloop.run(burst_figures()))
