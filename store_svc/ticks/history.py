"""What is stored of the ticks, wherever it is: the archive first, and then Redis."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import RedisError

from arbig.errors import Unavailable
from arbig.market.v1.market_pb2 import Tick
from arbig.store.v1.history_pb2 import TickDay
from store_svc.ticks.place import BEGIN, Entry, Hole, Notes, Place, holes
from store_svc.ticks.replay import Range
from store_svc.ticks.streams import Segment, TickStreams

if TYPE_CHECKING:
    from store_svc.ticks.archive import Archive, TickFile

T = TypeVar("T")

# Of Redis; small: a replay holds one of each symbol.
PAGE = 250
# Of a file, whose pages are dear to begin.
FILE_PAGE = 4_000


class TicksAway(Unavailable):
    """Ticks cannot be read now."""

    def __init__(self, message: str) -> None:
        super().__init__(f"ticks: {message}", "TICKS_AWAY")


class TickHistory:
    """The archive and Redis as one; either may not be kept. Every call may raise TicksAway.

    `newest` says up to which place Redis is known to have had ticks once.
    """

    def __init__(
        self, streams: TickStreams | None, archive: "Archive | None", newest: Callable[[], Place] = lambda: BEGIN
    ) -> None:
        self._streams = streams
        self._archive = archive
        self._newest = newest

    @property
    def has_ticks(self) -> bool:
        """Whether any are kept, as far as is known without asking."""
        return self._streams is not None or (self._archive is not None and bool(self._archive.symbols))

    async def symbols(self) -> list[str]:
        """Give every symbol that has or had ticks."""
        found = set(self._archive.symbols if self._archive else ())
        if self._streams:
            found |= set(await _asked(self._streams.symbols()))
        return sorted(found)

    async def picture(self, after: Place) -> "Picture":
        """Give what is stored now behind a place, to be read at leisure."""
        with _reading():
            kept = self._archive.notes() if self._archive else {}
        if not self._streams:
            return Picture(None, self._archive, Place(2**64 - 1, 0), {}, holes(kept))
        # What was stored before, though Redis does not have it now, would be missing in silence.
        known = max(after, self._newest(), self._archive.newest if self._archive else BEGIN)
        last, notes = await _asked(self._streams.state())
        if last < known:
            raise TicksAway(f"Redis is at {last} of {known}: it lost its data and is being filled again, or is behind")
        return Picture(self._streams, self._archive, last, notes, holes(notes, kept))

    async def days(self, symbols: Iterable[str]) -> list[TickDay]:
        """Give what is stored of each symbol on each trading day, in the order of the stream."""
        found: list[TickDay] = []
        for symbol in symbols:
            segments = await _asked(self._streams.segments(symbol)) if self._streams else []
            # After the segments: what left Redis meanwhile is in the archive.
            files = self._archive.files(symbol) if self._archive else []
            with _reading():
                found += _joined([*map(_day_of_file, files), *_days_of_redis(segments, files)])
        return found


class Picture:
    """The ticks up to `last`, the place at which Redis was; what comes meanwhile is not in it."""

    def __init__(
        self,
        streams: TickStreams | None,
        archive: "Archive | None",
        last: Place,
        notes: Notes,
        known: Sequence[Hole],
    ) -> None:
        self.holes = [hole for hole in known if hole.resume <= last]
        self._streams = streams
        self._archive = archive
        self._last = last
        self._notes = notes

    async def pages(self, symbol: str, after: Place, wanted: Range) -> AsyncIterator[list[Entry]]:
        """Give the ticks of a symbol after a place; of those that are not wanted, some stand for all."""
        while after < self._last:
            if file := self._file(symbol, after):
                async for page in self._of_file(file, after, wanted):
                    yield page
                after = file.last
                continue
            page = await self._of_redis(symbol, after)
            if self._file(symbol, after):
                continue  # archived while we asked: what Redis said may lack its beginning
            if not page:
                return
            yield page
            after = page[-1][0]

    def _file(self, symbol: str, after: Place) -> "TickFile | None":
        files = self._archive.files(symbol) if self._archive else []
        return next((one for one in files if one.last > after and one.first <= self._last), None)

    async def _of_file(self, file: "TickFile", after: Place, wanted: Range) -> AsyncIterator[list[Entry]]:
        from store_svc.ticks.archive import read  # noqa: PLC0415 - pyarrow is an optional extra

        if not wanted.has_day(file.trading_day):
            unwanted = Tick(trading_day=file.trading_day).SerializeToString()
            yield [(max(file.first, after), unwanted), (file.last, unwanted)]
            return
        with _reading():
            async for page in read(file, after, FILE_PAGE, wanted.has_times):
                if page[0][0] > self._last:
                    return
                yield [entry for entry in page if entry[0] <= self._last]

    async def _of_redis(self, symbol: str, after: Place) -> list[Entry]:
        if not self._streams:
            return []
        last, notes, page = await _asked(self._streams.page_and_state(symbol, after, self._last, PAGE))
        if last < self._last or notes != self._notes:
            raise TicksAway("Redis lost its data, or a hole was found, while they were being read: ask again")
        return page


def _day_of_file(file: "TickFile") -> TickDay:
    return TickDay(
        symbol=file.symbol,
        trading_day=file.trading_day,
        first=file.first.cursor,
        last=file.last.cursor,
        count=file.ticks,
        bytes=file.path.stat().st_size,
    )


def _days_of_redis(segments: Sequence[Segment], files: "Sequence[TickFile]") -> list[TickDay]:
    """Give the segments, or the ends of them, that are not archived."""
    mark = files[-1].last if files else BEGIN
    return [
        TickDay(
            symbol=one.symbol,
            trading_day=one.trading_day,
            first=max(one.first, mark.next if mark.epoch == one.first.epoch else one.first).cursor,
            last=one.last.cursor,
        )
        for one in segments
        if one.last > mark
    ]


def _joined(days: Iterable[TickDay]) -> list[TickDay]:
    """Join what follows on the same trading day: ticks that came when the day seemed to be over."""
    joined: list[TickDay] = []
    for day in days:
        newest = joined[-1] if joined else TickDay()
        if (newest.trading_day, newest.first.epoch) != (day.trading_day, day.first.epoch):
            joined.append(day)
            continue
        newest.last.CopyFrom(day.last)
        if day.HasField("count"):
            newest.count += day.count
            newest.bytes += day.bytes
        else:
            newest.ClearField("count")
            newest.ClearField("bytes")
    return joined


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TicksAway(f"archive: {error}") from error


async def _asked(call: Awaitable[T]) -> T:
    try:
        return await call
    except (RedisError, OSError, TimeoutError) as error:
        raise TicksAway(f"redis: {error}") from error
