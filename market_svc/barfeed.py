"""The streams of bars: one build of each period that is followed, shared by all who follow it.

A build follows the ticks from the beginning of the trading day before the newest one, over the
tape and then live, so a restart and the present are one path. It holds the newest state of each
bar and the tick at which it changed; the cursor of a follower is a place in the stream of ticks.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from arbig.fanout import BATCH, HEARTBEAT_SECONDS, Batch, Feed, Position, Shown, element
from arbig.market.v1 import bars_pb2 as pb
from arbig.market.v1.market_pb2 import Tick
from arbig.stream.v1.stream_pb2 import Cursor
from market_svc.bars import Bars, Hours, Name, period_name
from market_svc.reel import payload
from market_svc.tape import Tape

# The newest trading day and the one before.
KEPT_DAYS = 2
# Ticks that are built before others have their turn: about a millisecond.
SLICE = 100
# A build outlives its last follower: who reconnects finds it.
LINGER_SECONDS = 60.0


class Changed(NamedTuple):
    """The newest state of a bar, encoded, and the tick at which it became that."""

    seq: int
    name: Name
    data: bytes


class Build(Shown):
    """The bars of one period, as far as the ticks were taken in: up to `shown`."""

    def __init__(self, period: pb.BarPeriod.ValueType, hours: Hours, epoch: int, start: int) -> None:
        """Begin behind the tick `start`."""
        super().__init__(epoch, start)
        self.period = period
        self.users = 0
        self._hours = hours
        self._begin(start)

    def _begin(self, start: int) -> None:
        self._bars = Bars(self.period, self._hours)
        self._start = start
        self._days: list[str] = []
        self._dropped: set[str] = set()
        self._newest: dict[Name, Changed] = {}
        # In order of `seq`; what a newer change replaced is left in it for a while.
        self._log: list[Changed] = []

    @property
    def oldest(self) -> int:
        """The place behind which no change is lost."""
        return self._start

    @property
    def first(self) -> int:
        """The place before the first change that is held: it may be older, where days come in turns."""
        return self._log[0].seq - 1 if self._log else self._start

    @property
    def trading_day(self) -> str:
        """The newest one; empty before the first bar."""
        return self._days[-1] if self._days else ""

    async def follow(self, ticks: Feed) -> None:
        """Take in every tick, for ever."""
        with ticks.follower(f"bars {period_name(self.period)}") as follower:
            async for batch in follower.batches(Cursor(epoch=self.epoch, seq=self._start)):
                if batch.gap:
                    self._begin(batch.cursor.seq)
                for start in range(0, len(batch.items), SLICE):
                    self.take(Tick.FromString(payload(one)) for one in batch.items[start : start + SLICE])
                    await asyncio.sleep(0)
                if batch.cursor.seq > self.shown:
                    self.show(batch.cursor.seq)

    def take(self, ticks: Iterable[Tick]) -> None:
        """Take in some ticks, and let the followers see what they changed."""
        changed: dict[Name, int] = {}
        seq = self.shown
        for tick in ticks:
            seq = tick.seq
            if tick.trading_day in self._dropped:
                continue
            for name in self._bars.add(tick):
                # The last change of each, in order.
                changed.pop(name, None)
                changed[name] = seq
                if name.trading_day not in self._days:
                    self._days.append(name.trading_day)
        for name, at in changed.items():
            one = Changed(at, name, element(self._bars.bar(name).SerializeToString()))
            self._newest[name] = one
            self._log.append(one)
        self._tidy()
        self.show(seq)

    def _tidy(self) -> None:
        while len(self._days) > KEPT_DAYS:
            day = self._days.pop(0)
            self._bars.forget(day)
            self._dropped.add(day)
            gone = [name for name in self._newest if name.trading_day == day]
            # Whoever stands before the last change of a bar that is gone has lost it.
            self._start = max([self._start, *(self._newest.pop(name).seq for name in gone)])
        if len(self._log) > 2 * len(self._newest) + BATCH:
            self._log = [one for one in self._log if self._newest.get(one.name) is one]

    def since(self, seq: int) -> Iterator[Changed]:
        """Give each bar that changed after `seq` as it is now, in order of change."""
        for at in range(bisect_right(self._log, seq, key=attrgetter("seq")), len(self._log)):
            one = self._log[at]
            if self._newest.get(one.name) is one:
                yield one


class BarFollower(Position):
    """A position in a build: what lies between two of its looks is conflated."""

    _feed: Build

    def __init__(self, build: Build, peer: str, symbols: Iterable[str]) -> None:
        super().__init__(build, peer)
        self._symbols = frozenset(symbols)
        # What was dropped before this place is no news.
        self._told = build.oldest

    def _begin(self, _: Callable[[], list[bytes]] | None) -> Iterator[Batch]:
        build, more = self._feed, True
        end, day = build.shown, build.trading_day
        self.position = build.first
        while more:
            changes = (one for one in self._changes() if one.seq <= end and one.name.trading_day == day)
            now, more = _first(changes)
            self.position = now[-1].seq if more else end
            if now:
                yield self._batch(now)
        yield Batch([], None, self._cursor())

    def _reach(self) -> tuple[int, int]:
        return self._feed.first, self._feed.oldest

    def _why_lost(self) -> str:
        return f"older than the bars of {KEPT_DAYS} trading days that are kept: ListBars has them"

    async def _next(self) -> Batch | None:
        build = self._feed
        if self.position < build.oldest != self._told:
            self._told = build.oldest
            lost, self.position = self._cursor(), build.first
            return self._declare(self._gap(lost, self._why_lost()))
        now, more = _first(self._changes())
        self.position = now[-1].seq if more else build.shown
        return self._batch(now) if now else None

    def _changes(self) -> Iterator[Changed]:
        changes = self._feed.since(self.position)
        return (one for one in changes if not self._symbols or one.name.symbol in self._symbols)

    def _batch(self, changes: list[Changed]) -> Batch:
        self.sent += len(changes)
        return Batch([one.data for one in changes], None, self._cursor())


def _first(changes: Iterator[Changed]) -> tuple[list[Changed], bool]:
    """Give what goes into one message, and whether there is more: no cursor stands between two changes of one tick."""
    first = list(islice(changes, BATCH))
    for one in changes:
        if one.seq != first[-1].seq:
            return first, True
        first.append(one)
    return first, False


class BarFeeds:
    """The builds of the periods that are followed."""

    def __init__(self, ticks: Feed, tape: Tape, hours: Hours, tasks: asyncio.TaskGroup) -> None:
        self._ticks = ticks
        self._tape = tape
        self._hours = hours
        self._tasks = tasks
        self._builds: dict[int, tuple[Build, asyncio.Task[None]]] = {}

    @property
    def streams(self) -> dict[str, Shown]:
        """What is followed, by the names that people know them by."""
        return {f"bars {period_name(build.period)}": build for build, _ in self._builds.values()}

    @contextlib.asynccontextmanager
    async def follower(
        self, peer: str, period: pb.BarPeriod.ValueType, symbols: Iterable[str]
    ) -> AsyncIterator[BarFollower]:
        """Register a follower for as long as it follows; waits until the build is where the ticks are now."""
        with self._using(period) as build:
            target = self._ticks.shown
            while build.shown < target:
                await build.changed(target - 1, HEARTBEAT_SECONDS)
            with build.registered(BarFollower(build, peer, symbols)) as follower:
                yield follower

    @contextlib.contextmanager
    def _using(self, period: pb.BarPeriod.ValueType) -> Iterator[Build]:
        build, _ = self._builds.get(period) or self._begin(period)
        build.users += 1
        try:
            yield build
        finally:
            build.users -= 1
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._end, build)

    def _begin(self, period: pb.BarPeriod.ValueType) -> tuple[Build, asyncio.Task[None]]:
        build = Build(period, self._hours, self._ticks.epoch, self._tape.before(KEPT_DAYS))
        self._builds[period] = build, self._tasks.create_task(build.follow(self._ticks))
        return self._builds[period]

    def _end(self, build: Build) -> None:
        known, task = self._builds.get(build.period, (None, None))
        if known is build and task and not build.users:
            del self._builds[build.period]
            task.cancel()

    def stop(self) -> None:
        """End every build."""
        for _, task in self._builds.values():
            task.cancel()


@contextlib.asynccontextmanager
async def open_bars(ticks: Feed, tape: Tape, hours: Hours) -> AsyncIterator[BarFeeds]:
    """Build bars for whoever follows them; a build that fails ends the service, as a lost tick would."""
    async with asyncio.TaskGroup() as tasks:
        feeds = BarFeeds(ticks, tape, hours, tasks)
        try:
            yield feeds
        finally:
            feeds.stop()
