"""Playing ticks again: many symbols as one stream, at a pace, with the holes in their places."""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple

from arbig.fanout import BATCH, HEARTBEAT_SECONDS
from arbig.market.v1.market_pb2 import Tick
from arbig.store.v1.history_pb2 import ReplayTicksResponse
from store_svc.ticks.place import Entry, Hole, Place, nanoseconds

# Of a message; the limit is 4 MiB.
MOST_BYTES = 1 << 20
# A pause longer than this is left out.
LONGEST_PAUSE = 60.0


class Clock(NamedTuple):
    """Time, as a replay sees it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Range(NamedTuple):
    """Which ticks: trading days, and times in nanoseconds since 1970; "" and None leave an end open."""

    first_day: str = ""
    last_day: str = ""
    first_time: int | None = None
    end_time: int | None = None

    def has_day(self, trading_day: str) -> bool:
        """Whether the trading day may have ticks in it."""
        return self.first_day <= trading_day and (not self.last_day or trading_day <= self.last_day)

    def has_times(self, first: int, last: int) -> bool:
        """Whether ticks between two moments may be in it."""
        return (self.first_time is None or last >= self.first_time) and (self.end_time is None or first < self.end_time)

    def side(self, tick: Tick) -> int:
        """Say where a tick lies: before it (-1), in it (0), behind it (1)."""
        if not self.has_day(tick.trading_day):
            return -1 if tick.trading_day < self.first_day else 1
        moment = moment_of(tick)
        if self.has_times(moment, moment):
            return 0
        return -1 if self.first_time is not None and moment < self.first_time else 1


def moment_of(tick: Tick) -> int:
    """Give when it happened, or else when it came, in nanoseconds."""
    return nanoseconds(tick.time if tick.HasField("time") else tick.receive_time)


class Pace:
    """When a tick is due, for ticks that are asked about in their order."""

    def __init__(self, speed: float, began: float) -> None:
        self._speed = speed
        self._due = began
        self._newest: int | None = None

    def due(self, tick: Tick) -> float:
        """Give the second at which the tick is due; 0 where there is no hurry to keep."""
        if not self._speed:
            return 0.0
        moment = moment_of(tick)
        if not moment:
            return self._due  # it has no time at all
        # A pause that is left out, a day that is played again, or one wrong time.
        if self._newest is None or abs(moment - self._newest) > LONGEST_PAUSE * 1e9:
            self._newest = moment
        elif moment > self._newest:
            self._due += (moment - self._newest) / 1e9 / self._speed
            self._newest = moment
        return self._due


async def merged(sources: Iterable[AsyncIterator[list[Entry]]]) -> AsyncIterator[list[Entry]]:
    """Merge symbols, each in the order of the stream, into one; holds a page of each."""
    following = list(sources)
    pages = [await anext(source, []) for source in following]
    heap = [(page[0][0], number, 0) for number, page in enumerate(pages) if page]
    heapq.heapify(heap)
    batch: list[Entry] = []
    while heap:
        _, number, at = heap[0]
        batch.append(pages[number][at])
        at += 1
        if at == len(pages[number]):
            pages[number], at = await anext(following[number], []), 0
        if pages[number]:
            heapq.heapreplace(heap, (pages[number][at][0], number, at))
        else:
            heapq.heappop(heap)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class Replay:
    """One call's answers: the ticks of `wanted` after a place, and what is missing between them."""

    def __init__(self, wanted: Range, holes: Iterable[Hole], after: Place, speed: float, clock: Clock) -> None:
        self._wanted = wanted
        self._holes = deque(hole._replace(after=max(hole.after, after)) for hole in holes if hole.resume > after)
        self._position = after
        self._clock = clock
        self._pace = Pace(speed, clock.now())
        self._quiet_from = clock.now()
        # Where the tick before lay; what is missing between two ticks of one side was not wanted.
        self._side = -1
        self._ticks: list[Tick] = []
        self._bytes = 0

    async def responses(self, batches: AsyncIterator[list[Entry]]) -> AsyncIterator[ReplayTicksResponse]:
        """Play the entries."""
        async for batch in batches:
            async for response in self._play(batch):
                yield response
            if self._ticks:
                yield self._flush()
            elif self._clock.now() - self._quiet_from >= HEARTBEAT_SECONDS:
                yield self._heartbeat()
        for response in self._missing(None, 1):
            yield response
        yield self._heartbeat()

    async def _play(self, batch: list[Entry]) -> AsyncIterator[ReplayTicksResponse]:
        for place, data in batch:
            tick = Tick.FromString(data)
            side = self._wanted.side(tick)
            for response in self._missing(place, side):
                yield response
            if side:
                continue
            if (due := self._pace.due(tick)) > self._clock.now():
                async for response in self._wait(due):
                    yield response
            self._add(place, tick, len(data))
            if self._bytes >= MOST_BYTES:
                yield self._flush()

    def _missing(self, place: Place | None, side: int) -> Iterator[ReplayTicksResponse]:
        """Give the holes before a place, the end without one, in which something wanted may have been."""
        while self._holes and (place is None or self._holes[0].resume < place):
            hole = self._holes.popleft()
            # Of a hole that is noted too large, what was played is not missing.
            hole = hole._replace(after=max(hole.after, self._position))
            if self._side == side != 0 or hole.after >= hole.resume:
                continue
            if self._ticks:
                yield self._flush()
            self._position = hole.resume
            yield ReplayTicksResponse(gap=hole.gap, cursor=hole.resume.cursor)
        self._side = side

    async def _wait(self, due: float) -> AsyncIterator[ReplayTicksResponse]:
        if self._ticks:
            yield self._flush()
        while (now := self._clock.now()) < due:
            beat = self._quiet_from + HEARTBEAT_SECONDS
            await self._clock.sleep(min(due, beat) - now)
            if self._clock.now() >= beat:
                yield self._heartbeat()

    def _add(self, place: Place, tick: Tick, size: int) -> None:
        self._ticks.append(tick)
        self._bytes += size
        self._position = place

    def _flush(self) -> ReplayTicksResponse:
        response = ReplayTicksResponse(ticks=self._ticks, cursor=self._position.cursor)
        self._ticks, self._bytes, self._quiet_from = [], 0, self._clock.now()
        return response

    def _heartbeat(self) -> ReplayTicksResponse:
        response = ReplayTicksResponse(cursor=self._position.cursor)
        response.heartbeat.time.GetCurrentTime()
        self._quiet_from = self._clock.now()
        return response
