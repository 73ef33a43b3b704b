"""When a trading day of a symbol is over: into the archive with it, and out of Redis.

Nothing leaves Redis that is not in a proved file; where no archive is kept, what is older than so
many trading days.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from store_svc.ticks.place import BEGIN, Hole, Place
from store_svc.ticks.streams import Segment, TickStreams

if TYPE_CHECKING:
    from store_svc.ticks.archive import Archive

log = logging.getLogger(__name__)

PAGE = 2_000
# A disk that was full is tried again after so long.
RETRY_SECONDS = 30.0
MISSING = "ticks are not archived: pyarrow is not installed: pip install 'arbig[archive]'"


class Archiver:
    """Moves what is over from Redis to the archive, or, without one, keeps the newest `days` trading days.

    None keeps them all.
    """

    def __init__(self, streams: TickStreams, archive: "Archive | None", days: int | None, reason: str = "") -> None:
        self.reason = reason
        self._streams = streams
        self._archive = archive
        self._kept_days = days
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Look soon: a trading day of some symbol is over."""
        self._wanted.set()

    async def run(self) -> None:
        """Move for ever."""
        while True:
            self._wanted.clear()
            # While Redis is away, the recorder says so.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._wanted.wait()

    async def _look(self) -> None:
        stored = {symbol: await self._streams.segments(symbol) for symbol in await self._streams.symbols()}
        every = sorted((one for segments in stored.values() for one in segments), key=lambda one: one.first)
        if not every:
            return
        if self._archive is None:
            if self._kept_days is not None:
                await self._trim_by_age(stored, every, self._kept_days)
            return
        # Not that of the segment that began last: a quiet symbol's first snapshot is of the day before.
        today = max(every, key=lambda one: one.last).trading_day
        troubles = [await self._move(self._archive, segments, today) for segments in stored.values()]
        self.reason = next(filter(None, troubles), "")

    async def _move(self, archive: "Archive", segments: Sequence[Segment], today: str) -> str:
        """Archive and remove what is over of a symbol; give what keeps it from the archive."""
        from store_svc.ticks.files import NotProved  # noqa: PLC0415 - pyarrow is an optional extra

        for segment in segments:
            if segment.closed or segment.trading_day != today:
                try:
                    await self._write(archive, segment)
                except (OSError, NotProved) as error:
                    if not self.reason:
                        log.warning("cannot archive ticks, trying again", extra={"why": error})
                    return f"archive: {error}"
                await self._trim(archive, segments)
        return ""

    async def _write(self, archive: "Archive", segment: Segment) -> None:
        before = Place(segment.first.epoch, segment.first.seq - 1)
        after = max(archive.mark(segment.symbol) or BEGIN, before)
        if after < segment.last:
            pages = self._streams.pages(segment.symbol, after, segment.last, PAGE)
            await archive.write(segment.symbol, segment.trading_day, pages)

    async def _trim(self, archive: "Archive", segments: Sequence[Segment]) -> None:
        symbol = segments[0].symbol
        if mark := archive.mark(symbol):
            await self._streams.trim(symbol, mark.next)
            first = next((one.first for one in segments if one.last > mark), segments[-1].first)
            await self._streams.trim_days(symbol, first)

    async def _trim_by_age(self, stored: Mapping[str, Sequence[Segment]], every: Sequence[Segment], days: int) -> None:
        """Remove what is older than the days kept, and say so first: somebody may be reading it."""
        kept = sorted({one.trading_day for one in every})[-days:]
        first = next(one.first for one in every if one.trading_day in kept)
        if first == every[0].first:
            return
        why = f"older than the {days} trading days kept"
        await self._streams.note([Hole(BEGIN, Place(first.epoch, first.seq - 1), why)])
        for symbol, segments in stored.items():
            await self._streams.trim(symbol, first, approximate=False)
            if segments:
                begins = next((one.first for one in segments if one.last >= first), segments[-1].first)
                await self._streams.trim_days(symbol, begins)
