"""What followers cost the market service in memory, and what one that does not read costs the others.

    python -m bench.ticks_memory [--json]

- `idle_kib`, `active_kib`: of each of 100 followers, before any tick came and after 20,000 did
- `stalled_kib`: how much more memory the service has in use after 100,000 ticks where one of its two
  followers was stopped (SIGSTOP) before them; it had asked for all that the ring has, so what waits
  for it is as large as it can be. A server process of its own each time.
- `stalled_p99_ratio`: the delay of the other follower, beside that without the stopped one
"""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection

from arbig.client import follow, open_channel
from arbig.market.v1.market_pb2 import SubscribeTicksRequest
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.stream.v1.stream_pb2 import Cursor
from bench.processes import child
from bench.report import quantile, report
from bench.ticks_followers import delays, followers, over_grpc, spans
from bench.ticks_server import serve_ticks
from tests.servers import free_port

REPETITIONS = 5
FOLLOWERS, ACTIVE_TICKS = 100, 20_000
# Keepalive ends a stopped follower's connection after 15 s.
STALLED_TICKS, STALLED_SECONDS = 100_000, 4.0


def stopped(address: str, link: Connection) -> None:
    """Be a process that asks for all that the ring has, reads the first response, and stops reading."""
    with open_channel(address) as channel:
        following = follow(MarketServiceStub(channel).SubscribeTicks, SubscribeTicksRequest(after=Cursor()))
        next(following)
        link.send("live")
        os.kill(os.getpid(), signal.SIGSTOP)


def _followers_kib() -> Iterator[tuple[str, float]]:
    address = f"127.0.0.1:{free_port()}"
    with child(serve_ticks, address, ACTIVE_TICKS) as server:
        with child(followers, over_grpc, address, 1, spans) as one:  # what the first one costs is the server's
            one.ask(ACTIVE_TICKS)
            server.ask((1, ACTIVE_TICKS, 0))
            one.hear()
        before = server.resident_kib()
        with child(followers, over_grpc, address, FOLLOWERS, spans) as crowd:
            yield "idle_kib", (server.resident_kib() - before) / FOLLOWERS
            crowd.ask(ACTIVE_TICKS)
            server.ask((FOLLOWERS, ACTIVE_TICKS, 0))
            crowd.hear()
            yield "active_kib", (server.resident_kib() - before) / FOLLOWERS


def _loaded(*, stall: bool) -> tuple[int, float]:
    """Give the memory that the server has in use after the ticks, and the p99 of one follower's delays."""
    address = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        server = stack.enter_context(child(serve_ticks, address, 0))
        reader = stack.enter_context(child(followers, over_grpc, address, 1, delays))
        if stall:
            stack.enter_context(child(stopped, address))
        reader.ask(STALLED_TICKS)
        lags = server.ask((1 + stall, STALLED_TICKS, STALLED_SECONDS))
        if stall and max(lags) < STALLED_TICKS * 0.9:
            raise RuntimeError(f"the stopped follower was not stalled: followers lag {lags}")
        return server.resident_kib(), quantile(reader.hear()[0], 0.99)


def memory_figures(repetitions: int = REPETITIONS) -> dict[str, list[float]]:
    """Measure all of it, with and without the stopped follower in turns."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(repetitions):
        for key, value in _followers_kib():
            figures[key].append(value)
        plain_kib, plain_p99 = _loaded(stall=False)
        stalled_kib, stalled_p99 = _loaded(stall=True)
        figures["stalled_kib"].append(stalled_kib - plain_kib)
        figures["plain_p99_ms"].append(plain_p99)
        figures["stalled_p99_ms"].append(stalled_p99)
        figures["stalled_p99_ratio"].append(stalled_p99 / plain_p99)
    return dict(figures)


if __name__ == "__main__":
    report("ticks_memory", REPETITIONS, memory_figures())
