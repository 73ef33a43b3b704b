"""The market service's stream of ticks, served from a process that makes the ticks itself."""

import asyncio
import itertools
import time
from multiprocessing.connection import Connection

import uvloop

from arbig.fanout import Feed, element
from arbig.server import serve
from bench.ticks_sample import FIRST, SYMBOL, elements, sample
from market_svc.rpc import NAME, MarketService

# As many as the service keeps.
RING = 65_536
# The loop's other work has its turn after so many.
_SLICE = 100


class Ticks(MarketService):
    """The service without a gateway."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed


def _publish(feed: Feed, data: bytes) -> None:
    feed.append(SYMBOL, data)
    feed.wake()


async def _connected(feed: Feed, followers: int) -> None:
    while len(feed.followers) < followers:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.001)


async def _as_fast_as_taken(feed: Feed, made: list[bytes]) -> None:
    """Publish ticks one by one; the slowest follower stays in the ring."""
    for start in range(0, len(made), _SLICE):
        while max(one.lag for one in feed.followers.values()) > RING // 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        for data in made[start : start + _SLICE]:
            _publish(feed, data)
        await asyncio.sleep(0)


async def _paced(feed: Feed, count: int, seconds: float) -> None:
    """Publish ticks in bursts of one slice, stamped one by one, in about so many seconds."""
    began = time.monotonic()
    tick = sample(FIRST)
    for number in range(count):
        tick.seq = FIRST + number
        tick.receive_time.FromNanoseconds(time.time_ns())
        _publish(feed, element(tick.SerializeToString()))
        if number % _SLICE == _SLICE - 1:
            await asyncio.sleep(max(0.0, began + seconds * number / count - time.monotonic()))


def serve_ticks(address: str, most: int, link: Connection) -> None:
    """Be the server; `link` takes (followers to wait for, ticks, seconds or 0 for as fast as they are taken)."""
    made = elements(most)

    async def run() -> None:
        feed = Feed(epoch=1, size=RING)
        for data in itertools.islice(itertools.cycle(made or elements(1)), RING):
            _publish(feed, data)
        async with serve(address, [(NAME, Ticks(feed))]):
            link.send("ready")
            while True:
                followers, count, seconds = await asyncio.to_thread(link.recv)
                await _connected(feed, followers)
                if seconds:
                    await _paced(feed, count, seconds)
                else:
                    await _as_fast_as_taken(feed, made[:count])
                link.send([one.lag for one in feed.followers.values()])

    uvloop.run(run())
