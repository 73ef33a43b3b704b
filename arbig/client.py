"""Following a stream from a plain Python program, without asyncio.

    for tick in ticks("127.0.0.1:7110", ["au2604"]):
        print(tick.symbol, tick.last_price)

What `arbig.follow` is to asyncio: it goes on over restarts of the service, with the last cursor.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
from google.protobuf.message import Message
from grpc.experimental import ChannelOptions

from arbig.channel import OPTIONS
from arbig.follow import ENDED, SILENCE_SECONDS, SILENT, Journey, Link, R
from arbig.market.v1.market_pb2 import SubscribeTicksRequest, Tick
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.stream.v1.stream_pb2 import Cursor, Gap

log = logging.getLogger(__name__)

T = TypeVar("T")
Q = TypeVar("Q", bound=Message)

# The caller's thread reads the socket itself; otherwise each message waits for another thread.
_OPTIONS = [*OPTIONS, (ChannelOptions.SingleThreadedUnaryStream, 1)]


def open_channel(address: str) -> grpc.Channel:
    """Open a plain-text channel to a service on this machine, "host:port"."""
    return grpc.insecure_channel(address, options=_OPTIONS)


class Following(Iterator[T], Generic[T]):
    """What comes over a stream, for ever; `close`, which any thread may call, ends it."""

    def __init__(self, items: Generator[T, None, None], watch: "_Watch") -> None:
        self._items = items
        self._watch = watch

    def __next__(self) -> T:
        """Wait for the next; StopIteration after `close`."""
        return next(self._items)

    def close(self) -> None:
        """Cancel the call: who waits for the next sees the end."""
        self._watch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class _Watch:
    """Cancels a call that is silent for too long while somebody waits, or that nobody wants any more."""

    def __init__(self, seconds: float) -> None:
        self.closed = threading.Event()
        self.silent = False
        self._seconds = seconds
        self._call: Any = None
        self._waits_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="silence", daemon=True)

    def begin(self, call: Any) -> None:
        """Watch this call from now on."""
        self.silent = False
        self._call = call
        if not self._thread.ident:
            self._thread.start()
        if self.closed.is_set():  # before the call was known here
            call.cancel()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Somebody waits: what the caller does between two messages is no silence."""
        self._waits_since = time.monotonic()
        try:
            yield
        finally:
            self._waits_since = None

    def close(self) -> None:
        """Let the call end, and begin no other."""
        self.closed.set()
        if self._call:
            self._call.cancel()

    def _run(self) -> None:
        left = self._seconds
        while not self.closed.wait(left):
            since = self._waits_since
            left = self._seconds if since is None else since + self._seconds - time.monotonic()
            if left <= 0:
                self.silent = True
                self._call.cancel()
                left = self._seconds


def follow(
    method: "grpc.UnaryStreamMultiCallable[Q, R]",
    request: Q,
    link: Link | None = None,
    silence: float = SILENCE_SECONDS,
) -> Following[R]:
    """Give each response of the Subscribe `method`, gaps and heartbeats too, reconnecting with the last cursor.

    `request.after` says where to begin, as in the contract. Raises grpc.RpcError for what another
    try cannot mend, such as a cursor ahead of the stream.
    """
    watch = _Watch(silence)
    return Following(_responses(method, Journey(request, link or Link(request.DESCRIPTOR.name)), watch), watch)


def _responses(
    method: "grpc.UnaryStreamMultiCallable[Q, R]", journey: Journey, watch: _Watch
) -> Generator[R, None, None]:
    try:
        while not watch.closed.is_set():
            try:
                for reply in _messages(method(journey.request), watch):
                    journey.heard(reply)
                    yield reply
                backoff = journey.broke(ENDED)
            except grpc.RpcError as error:
                if watch.closed.is_set():
                    return
                backoff = journey.broke(SILENT) if watch.silent else journey.failed(error)
            watch.closed.wait(backoff)
    finally:
        watch.close()


def _messages(call: Any, watch: _Watch) -> Iterator[Any]:
    watch.begin(call)
    while True:
        with watch.waiting():
            reply = next(call, None)
        if reply is None:
            return
        yield reply


def _warn(gap: Gap) -> None:
    log.warning("ticks are missing", extra={"after": gap.after.seq, "resume": gap.resume.seq, "reason": gap.reason})


def ticks(
    address: str, symbols: Iterable[str] = (), after: Cursor | None = None, on_gap: Callable[[Gap], None] = _warn
) -> Following[Tick]:
    """Give each tick of the symbols (none means all) from the market service at `address`, for ever.

    Without a cursor it begins with the newest of each. `on_gap` hears, in its place between the
    ticks, of a hole; unless told otherwise it logs a warning. A strategy that remembers where it
    was follows SubscribeTicks itself: the responses carry the cursors.
    """
    watch = _Watch(SILENCE_SECONDS)
    request = SubscribeTicksRequest(symbols=symbols, after=after)
    return Following(_ticks(address, request, on_gap, watch), watch)


def _ticks(
    address: str, request: SubscribeTicksRequest, on_gap: Callable[[Gap], None], watch: _Watch
) -> Generator[Tick, None, None]:
    with open_channel(address) as channel:
        for reply in _responses(MarketServiceStub(channel).SubscribeTicks, Journey(request, Link("ticks")), watch):
            if reply.HasField("gap"):
                on_gap(reply.gap)
            yield from reply.ticks
