"""Ticks a second from the market service's feed to followers that parse every one.

    python -m bench.ticks_saturation [--json]

Ticks that were encoded before are published one by one, as fast as the slowest follower takes them.
Followers are threads of one process with `arbig.client`, which is faster than asyncio. Each figure is
what all followers get together. Beside it:

- raw: a bare uvloop socket, one write a tick; unparsed: the followers only count bytes
- cpp: a C++ gRPC server, one response a tick, and cpp_batched: 1000 ticks a response
"""

import contextlib
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from bench.processes import Child, child
from bench.report import report
from bench.ticks_followers import Arrivals, followers, over_grpc, over_socket, over_socket_unparsed, spans
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


class Contestant:
    """A server that begins when it is told, and its followers."""

    def __init__(self, begin: Callable[[], None], crowd: Child, ticks: int) -> None:
        self._begin = begin
        self._crowd = crowd
        self._ticks = ticks

    def run(self) -> float:
        """Let each follower get the ticks; give how many a second all of them got."""
        self._crowd.ask(self._ticks)
        self._begin()
        found: list[tuple[int, int]] = self._crowd.hear()
        first, last = min(first for first, _ in found), max(last for _, last in found)
        return self._ticks * len(found) / ((last - first) / 1e9)


class Contest(contextlib.ExitStack):
    """All servers, each with so many followers."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def contestants(self) -> dict[str, Contestant]:
        """Start them all."""
        count = self._count
        found = {"saturation": self._ours(), "raw_saturation": self._raw(over_socket)}
        if CPP.exists():
            found |= {"cpp": self._cpp(CPP_SINGLY[count], 1), "cpp_batched": self._cpp(RAW[count], 1_000)}
        if count == 1:
            found["raw_saturation_unparsed"] = self._raw(over_socket_unparsed)
        return found

    def _crowd(self, source: Callable[[str], Arrivals], address: str) -> Child:
        return self.enter_context(child(followers, source, address, self._count, spans))

    def _ours(self) -> Contestant:
        address, ticks = f"127.0.0.1:{free_port()}", OURS[self._count]
        server = self.enter_context(child(serve_ticks, address, ticks))

        def begin() -> None:
            server.say((self._count, ticks, 0))

        return Contestant(begin, self._crowd(over_grpc, address), ticks)

    def _raw(self, source: Callable[[str], Arrivals]) -> Contestant:
        address, ticks = f"127.0.0.1:{free_port()}", RAW[self._count]
        server = self.enter_context(child(socket_stream, address, ticks))
        return Contestant(lambda: server.say(ticks), self._crowd(source, address), ticks)

    def _cpp(self, ticks: int, batch: int) -> Contestant:
        address = f"127.0.0.1:{free_port()}"
        tick = Path(self.enter_context(tempfile.TemporaryDirectory())) / "tick"
        tick.write_bytes(sample(FIRST).SerializeToString())
        command = [str(CPP), address, str(ticks), str(batch), str(tick)]
        server = self.enter_context(subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        self.callback(server.kill)

        def begin() -> None:
            if server.stdin:
                server.stdin.write(b"\n")

        return Contestant(begin, self._crowd(over_grpc, address), ticks)


def saturation_figures(repetitions: int = REPETITIONS) -> dict[str, list[float]]:
    """Measure 1, 10 and 100 followers of each server, in turns."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    if not CPP.exists():
        print("no C++ peer: `make bench` builds it", file=sys.stderr)
    for count in OURS:
        with Contest(count) as contest:
            contestants = contest.contestants()
            for _ in range(repetitions):
                for name, contestant in contestants.items():
                    figures[f"{name}_{count}"].append(contestant.run())
    pairs = {"saturation_ratio_raw": "raw_saturation_1", "saturation_ratio_raw_unparsed": "raw_saturation_unparsed_1"}
    for name, peer in pairs.items():
        figures[name] = [ours / bare for ours, bare in zip(figures["saturation_1"], figures[peer], strict=True)]
    return dict(figures)


if __name__ == "__main__":
    report("ticks_saturation", REPETITIONS, saturation_figures())
