"""Followers of ticks in a process of their own: each a thread that waits for messages and parses them all."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import zmq

from arbig.client import follow, open_channel
from arbig.market.v1.market_pb2 import SubscribeTicksRequest, Tick
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from bench.ticks_sample import FIRST, sample

# On a bare socket: the size of the tick, when it was handed over, and the tick.
HEAD = struct.Struct(">IQ")
HELLO = HEAD.pack(0, 0)
_FRAME = HEAD.size + len(sample(FIRST).SerializeToString())
_BLOCK = 1 << 18
# The C++ server is silent until its turn comes.
_PATIENCE_SECONDS = 600.0

# When something came, and its ticks, or else when they were handed over; the first is empty: it is live.
Arrivals = Iterator[tuple[int, Sequence[Any]]]


def over_grpc(address: str) -> Arrivals:
    """Follow a market service, as a strategy does."""
    with open_channel(address) as channel:
        live = False
        ticks = MarketServiceStub(channel).SubscribeTicks
        for reply in follow(ticks, SubscribeTicksRequest(), silence=_PATIENCE_SECONDS):
            now = time.time_ns()
            if reply.HasField("gap"):
                raise RuntimeError(f"a gap: {reply.gap.reason}")
            if live or reply.HasField("heartbeat"):
                live = True
                yield now, reply.ticks


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    link = socket.create_connection((host, int(port)))
    link.recv(HEAD.size, socket.MSG_WAITALL)
    return link


def over_socket(address: str) -> Arrivals:
    """Cut what comes over a bare socket into ticks."""
    link = _connect(address)
    yield 0, ()
    rest = b""
    while data := link.recv(_BLOCK):
        rest += data
        at = 0
        while len(rest) - at >= HEAD.size:
            size, stamp = HEAD.unpack_from(rest, at)
            end = at + HEAD.size + size
            if len(rest) < end:
                break
            Tick.FromString(rest[end - size : end])
            yield time.time_ns(), (stamp,)
            at = end
        rest = rest[at:]


def over_socket_unparsed(address: str) -> Arrivals:
    """Only count what comes over a bare socket."""
    link = _connect(address)
    yield 0, ()
    rest = 0
    while data := link.recv(_BLOCK):
        ticks, rest = divmod(rest + len(data), _FRAME)
        yield time.time_ns(), range(ticks)


def over_zmq(address: str) -> Arrivals:
    """Subscribe to a ZeroMQ publisher."""
    with zmq.Context() as context, context.socket(zmq.SUB) as link:
        link.setsockopt(zmq.RCVHWM, 0)
        link.setsockopt(zmq.SUBSCRIBE, b"")
        link.connect(f"tcp://{address}")
        yield 0, ()
        while True:
            data = link.recv()
            Tick.FromString(data[HEAD.size :])
            yield time.time_ns(), HEAD.unpack_from(data)[1:]


def _stamp(item: Any) -> int:
    return int(item.receive_time.ToNanoseconds()) if isinstance(item, Tick) else int(item)


def moments(arrivals: Arrivals, wanted: Callable[[], int]) -> Iterator[list[tuple[int, int]]]:
    """Give, of each round of ticks, when each one was handed over, and when it came."""
    came: list[tuple[int, Sequence[Any]]] = []
    count = 0
    for now, items in arrivals:
        came.append((now, items))
        count += len(items)
        if items and count >= wanted():
            yield [(_stamp(item), now) for now, items in came for item in items]
            came, count = [], 0


def delays(arrivals: Arrivals, wanted: Callable[[], int]) -> Iterator[list[float]]:
    """Give, of each round of ticks, how many ms each one took."""
    for came in moments(arrivals, wanted):
        yield [(now - then) / 1e6 for then, now in came]


def spans(arrivals: Arrivals, wanted: Callable[[], int]) -> Iterator[tuple[int, int]]:
    """Give, of each round of ticks, when the first and the last came."""
    first = count = 0
    for now, items in arrivals:
        first = first if count else now
        count += len(items)
        if items and count >= wanted():
            yield first, now
            count = 0


Measure = Callable[[Arrivals, Callable[[], int]], Iterable[Any]]


def followers(source: Callable[[str], Arrivals], address: str, count: int, measure: Measure, link: Connection) -> None:
    """Be a process of followers: take the number of ticks in a round, say so, give what each measured of it."""
    wanted = 0
    measured: SimpleQueue[Any] = SimpleQueue()

    def run() -> None:
        arrivals = source(address)
        next(arrivals)
        measured.put("live")
        for one in measure(arrivals, lambda: wanted):
            measured.put(one)

    for _ in range(count):
        threading.Thread(target=run, daemon=True).start()
    link.send([measured.get() for _ in range(count)])
    while True:
        wanted = link.recv()
        link.send("waiting")
        link.send([measured.get() for _ in range(count)])
