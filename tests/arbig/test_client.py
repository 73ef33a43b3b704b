"""Following from a program without asyncio: the service runs in a loop of its own, as in life."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import grpc
import pytest

from arbig.client import Following, follow, open_channel, ticks
from arbig.fanout import Feed
from arbig.market.v1 import market_pb2 as pb
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.server import serve
from arbig.stream.v1.stream_pb2 import Cursor, Gap
from tests.arbig.test_server import NAME, Market
from tests.servers import free_port

PATIENCE = 20.0


class Service:
    """A market service that is controlled from outside its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, market: Market) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.market = market
        self._loop = loop
        self._server = contextlib.AsyncExitStack()

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def start(self) -> None:
        """Listen."""
        self._do(self._server.enter_async_context(serve(self.address, [(NAME, self.market)])))

    def stop(self) -> None:
        """Break every call, and listen no more."""
        self._do(self._server.aclose())

    def publish(self, *symbols: str) -> None:
        """Let ticks come."""

        async def publish() -> None:
            self.market.publish(*symbols)

        self._do(publish())


class Mute(Market):
    """Begins each stream, and says no more."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self.asked: list[int] = []
        self.left = threading.Event()

    async def SubscribeTicks(self, request: pb.SubscribeTicksRequest, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        """Give one response."""
        self.asked.append(request.after.seq)
        cursor = Cursor(epoch=1, seq=request.after.seq + 1)
        try:
            yield pb.SubscribeTicksResponse(cursor=cursor).SerializeToString()
            await asyncio.Event().wait()
        finally:
            self.left.set()


Run = Callable[[Market], Service]


@pytest.fixture
def run() -> Iterator[Run]:
    """Give what runs a market service."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    services: list[Service] = []

    def run(market: Market) -> Service:
        services.append(Service(loop, market))
        services[-1].start()
        return services[-1]

    yield run
    for service in services:
        service.stop()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@contextlib.contextmanager
def responses(service: Service, after: Cursor, **more: Any) -> Iterator[Following[pb.SubscribeTicksResponse]]:
    """Follow the ticks of a service."""
    with open_channel(service.address) as channel:
        request = pb.SubscribeTicksRequest(after=after)
        with follow(MarketServiceStub(channel).SubscribeTicks, request, **more) as following:
            yield following


def numbers(following: Following[pb.SubscribeTicksResponse], count: int) -> list[int]:
    """Give the numbers of the next ticks."""
    seen: list[int] = []
    while len(seen) < count:
        seen += [tick.seq for tick in next(following).ticks]
    return seen


def test_every_tick_comes_once_over_a_restart_of_the_service(run: Run) -> None:
    """The follower names its last cursor, and waits while there is no service."""
    service = run(Market(Feed(1, 100)))
    service.publish("a", "b", "a")
    with responses(service, Cursor()) as following:
        assert numbers(following, 3) == [1, 2, 3]
        service.stop()
        service.publish("b")
        threading.Timer(0.05, service.start).start()
        assert numbers(following, 1) == [4]


def test_what_another_try_cannot_mend_is_raised(run: Run) -> None:
    """A cursor ahead of the stream stays ahead."""
    with (
        responses(run(Market(Feed(1, 8))), Cursor(epoch=1, seq=9)) as following,
        pytest.raises(grpc.RpcError, match="lies ahead") as raised,
    ):
        next(following)
    assert raised.value.code() is grpc.StatusCode.OUT_OF_RANGE


def test_a_gap_is_a_response_in_its_place(run: Run) -> None:
    """Nothing is missing in silence."""
    service = run(Market(Feed(1, 4)))
    service.publish(*"abcdef")
    with responses(service, Cursor(epoch=1, seq=1)) as following:
        gap = next(following)
        assert (gap.gap.after.seq, gap.gap.resume.seq) == (1, 2)
        assert numbers(following, 4) == [3, 4, 5, 6]


def test_a_service_that_falls_silent_is_asked_again(run: Run) -> None:
    """TCP may think that all is well; the cursor of the last response goes on."""
    market = Mute(Feed(1, 4))
    with responses(run(market), Cursor(epoch=1, seq=5), silence=0.1) as following:
        assert [next(following).cursor.seq for _ in range(3)] == [6, 7, 8]
    assert market.asked[:3] == [5, 6, 7]


def test_a_slow_caller_is_no_silent_service(run: Run) -> None:
    """Only while somebody waits can a service be silent."""
    market = Mute(Feed(1, 4))
    with responses(run(market), Cursor(epoch=1, seq=5), silence=0.2) as following:
        next(following)
        market.left.clear()  # a machine that was too busy for the first response
        assert not market.left.wait(0.5)


def test_another_thread_ends_it(run: Run) -> None:
    """The loop that waits just ends, however long the market says nothing."""
    with responses(run(Mute(Feed(1, 4))), Cursor()) as following:
        next(following)
        threading.Timer(0.05, following.close).start()
        assert list(following) == []


def test_what_was_closed_before_it_began_makes_no_call(run: Run) -> None:
    """The order in which two threads come does not matter."""
    market = Mute(Feed(1, 4))
    with responses(run(market), Cursor()) as following:
        following.close()
        assert list(following) == []
    assert market.asked == []


def test_a_strategy_sees_nothing_but_ticks_of_its_symbols(run: Run) -> None:
    """And hears of a gap between them, in its place."""
    service = run(Market(Feed(1, 4)))
    service.publish(*"ababab")
    heard: list[Gap | int] = []
    with ticks(service.address, ["a"], after=Cursor(epoch=1, seq=1), on_gap=heard.append) as following:
        heard += [next(following).seq, next(following).seq]
    gap, *seen = heard
    assert isinstance(gap, Gap)
    assert (gap.resume.seq, seen) == (2, [3, 5])


def test_without_a_cursor_a_strategy_begins_with_the_newest_tick(run: Run) -> None:
    """What is the price now: the first thing that it asks."""
    service = run(Market(Feed(1, 4)))
    service.publish(*"aab")
    with ticks(service.address, ["a"]) as following:
        assert next(following).seq == 2
