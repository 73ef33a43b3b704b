"""Ticks a second from the market service's feed to followers that parse every one.

    python -m bench.ticks_saturation [--json]

Ticks that were encoded before are published one by one, as fast as the slowest follower takes them.
Followers are threads of one process with `arbig.client`, which is faster than asyncio. Each figure is
what all followers get together. Beside it:

- raw: a bare uvloop socket, one write a tick; unparsed: the followers only count bytes
- cpp: a C++ gRPC server, one response a tick, and cpp_batched: 1000 ticks a response
"""

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.processes import child
from bench.report import report
from bench.ticks_followers import followers, over_grpc, over_socket, over_socket_unparsed, spans
from bench.ticks_peers import socket_stream
from bench.ticks_sample import FIRST, sample
from bench.ticks_server import serve_ticks
from tests.servers import free_port

REPETITIONS = 5
CPP = Path(__file__).parents[1] / ".venv" / "stamps" / "ticks_peer"
# How many ticks each follower gets: enough for a second or so.
OURS = {1: 300_000, 10: 60_000, 100: 6_000}
RAW = {1: 100_000, 10: 10_000, 100: 1_000}
CPP_SINGLY = {1: 20_000, 10: 2_000, 100: 200}


def _address() -> str:
    return f"127.0.0.1:{free_port()}"


def _rate(ticks: int, found: list[tuple[int, int]]) -> float:
    first, last = min(first for first, _ in found), max(last for _, last in found)
    return ticks * len(found) / ((last - first) / 1e9)


def _ours(count: int) -> float:
    address, ticks = _address(), OURS[count]
    with child(serve_ticks, address, ticks) as server, child(followers, over_grpc, address, count, spans) as crowd:
        crowd.ask(ticks)
        server.say((count, ticks, 0))
        return _rate(ticks, crowd.hear())


def _raw(count: int, source: Any = over_socket) -> float:
    address, ticks = _address(), RAW[count]
    with child(socket_stream, address, ticks) as server, child(followers, source, address, count, spans) as crowd:
        crowd.ask(ticks)
        server.say(ticks)
        return _rate(ticks, crowd.hear())


def _cpp(count: int, ticks: int, batch: int) -> float:
    address = _address()
    with tempfile.NamedTemporaryFile() as tick:
        tick.write(sample(FIRST).SerializeToString())
        tick.flush()
        command = [str(CPP), address, str(ticks), str(batch), tick.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            try:
                with child(followers, over_grpc, address, count, spans) as crowd:
                    crowd.ask(ticks)
                    _begin(server)
                    return _rate(ticks, crowd.hear())
            finally:
                server.kill()


def _begin(server: subprocess.Popen[bytes]) -> None:
    if server.stdin:
        server.stdin.write(b"\n")
        server.stdin.flush()


def saturation_figures(repetitions: int = REPETITIONS) -> dict[str, list[float]]:
    """Measure 1, 10 and 100 followers of each server, in turns."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    if not CPP.exists():
        print("no C++ peer: `make bench` builds it", file=sys.stderr)
    for _ in range(repetitions):
        for count in OURS:
            figures[f"saturation_{count}"].append(_ours(count))
            figures[f"raw_saturation_{count}"].append(_raw(count))
            if CPP.exists():
                figures[f"cpp_{count}"].append(_cpp(count, CPP_SINGLY[count], 1))
                figures[f"cpp_batched_{count}"].append(_cpp(count, RAW[count], 1_000))
        unparsed = _raw(1, over_socket_unparsed)
        figures["raw_saturation_unparsed_1"].append(unparsed)
        ours = figures["saturation_1"][-1]
        figures["saturation_ratio_raw"].append(ours / figures["raw_saturation_1"][-1])
        figures["saturation_ratio_raw_unparsed"].append(ours / unparsed)
    return dict(figures)


if __name__ == "__main__":
    report("ticks_saturation", REPETITIONS, saturation_figures())
