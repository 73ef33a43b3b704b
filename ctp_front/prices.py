"""Where prices come from, and when: a recording at its own pace, or the generator on Shanghai's clock.

A source gives batches of snapshots, each when it is due, and the exchange's clock.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Protocol

from arbig.calendar import SHANGHAI
from arbig.config import Front
from ctp_front import clock, generator, hours
from ctp_front.depth import Depth
from ctp_front.generator import Generator
from ctp_front.ledger import Prices
from ctp_front.orders import Moment
from ctp_front.recording import Recording

# Recorded pauses are cut to this many seconds.
_LONGEST_PAUSE = 2.0
# Rows in one batch of a replay without pauses: a few milliseconds' work.
_BATCH = 256
# SHFE sends two snapshots a second.
_STEP = 0.5


class Source(Protocol):
    """Prices of one kind."""

    name: str  # names what is played
    kind: str  # "replay" or "generator"
    trading_day: str  # of the first snapshot
    symbols: dict[str, str]  # each with a trading day on which it was traded
    position: int
    is_paced: bool  # false where only the clients' reading holds it back
    finished: bool
    started: asyncio.Event

    @property
    def broken(self) -> int:
        """Rows that could not be read so far."""
        ...

    def now(self) -> Moment:
        """Give the exchange's time."""
        ...

    def pass_to(self, now: Moment) -> None:
        """Take the time of a snapshot that came from elsewhere."""
        ...

    def open_day(self, trading_day: str) -> dict[str, float]:
        """Begin a day if it has not begun, and give the settlement prices that are known."""
        ...

    def batches(self) -> AsyncIterator[list[Depth]]:
        """Give the snapshots as they are due; none where only time has passed."""
        ...


def open_source(front: Front, saved: Prices | None) -> Source:
    """Open the prices that the settings name, where they were left; raises ConfigError on a bad recording."""
    if front.replay:
        return Replay(front, saved)
    return Generated(front, saved)


class Replay:
    """Recorded prices, by recorded time."""

    kind = "replay"

    def __init__(self, front: Front, saved: Prices | None) -> None:
        self.name = "replay:" + ",".join(str(path.resolve()) for path in front.replay)
        self._recording = Recording(front.replay)
        self.symbols = self._recording.symbols()
        self.position = saved.position if saved is not None and saved.source == self.name else 0
        self.is_paced = front.speed != "max"
        self._speed = int(front.speed) if self.is_paced else 0
        self.finished = False
        self.started = asyncio.Event()
        if self.position or not front.hold:
            self.started.set()
        first = next(self._recording.rows(), None)
        self.trading_day = min(self.symbols.values(), default="") if first is None else first.trading_day
        self._now = Moment(self.trading_day, "00:00:00") if first is None else _moment(first)

    @property
    def broken(self) -> int:
        """Rows that could not be read so far."""
        return self._recording.broken

    def now(self) -> Moment:
        """Give the time of the last row."""
        return self._now

    def pass_to(self, now: Moment) -> None:
        """Take the time of a snapshot that came from elsewhere, until the next row."""
        self._now = now

    def open_day(self, trading_day: str) -> dict[str, float]:
        """Know nothing of a day that was not recorded."""
        return {}

    async def batches(self) -> AsyncIterator[list[Depth]]:
        """Give the rows after the saved position, once started."""
        await self.started.wait()
        rows = itertools.islice(self._recording.rows(), self.position, None)
        batches = self._timed(rows) if self.is_paced else self._untimed(rows)
        async for batch in batches:
            self._now = _moment(batch[-1])
            self.position += len(batch)
            yield batch
        self.finished = True

    async def _untimed(self, rows: Iterator[Depth]) -> AsyncIterator[list[Depth]]:
        while batch := list(itertools.islice(rows, _BATCH)):
            yield batch
            await asyncio.sleep(0)

    async def _timed(self, rows: Iterator[Depth]) -> AsyncIterator[list[Depth]]:
        loop = asyncio.get_running_loop()
        due, before = loop.time(), None
        for moment, group in itertools.groupby(rows, _moment):
            time = clock.instant(moment)
            pause = 0.0 if before is None else (time - before).total_seconds()
            before = time
            due += min(max(pause, 0.0), _LONGEST_PAUSE) / self._speed
            await asyncio.sleep(max(due - loop.time(), 0.0))
            yield list(group)


class Generated:
    """Made-up prices, on real time."""

    kind = "generator"
    broken = 0  # there are no rows
    finished = False
    is_paced = True

    def __init__(self, front: Front, saved: Prices | None) -> None:
        self.name = f"generator:{front.seed}"
        self.started = asyncio.Event()
        self.started.set()
        self.position = saved.position if saved is not None and saved.source == self.name else 0
        before = {} if saved is None or not self.position else {depth.symbol: depth for depth in saved.depths}
        self.trading_day = clock.trading_day(_shanghai())
        last_day = max((depth.trading_day for depth in before.values()), default=self.trading_day)
        names = generator.symbols(self.trading_day)
        # The position is part of the seed: after a restart the prices go on, and do not repeat.
        randomness = random.Random(f"{front.seed}:{self.position}")
        self._generator = Generator(names, last_day, randomness, before)
        self._day = last_day
        self._keeps_hours = front.hours == "keep"
        self._status = ""
        self.symbols = dict.fromkeys(names, self.trading_day)

    def now(self) -> Moment:
        """Give the time in Shanghai."""
        return clock.moment(_shanghai())

    def pass_to(self, now: Moment) -> None:
        """Keep to real time."""

    def open_day(self, trading_day: str) -> dict[str, float]:
        """Begin a day, perhaps before its time: the real clock catches up with it."""
        if trading_day <= self._day:
            return {}
        self._day = trading_day
        return self._generator.open_day(trading_day)

    async def batches(self) -> AsyncIterator[list[Depth]]:
        """Give snapshots twice a second, for ever, while the product trades."""
        while True:
            now = _shanghai()
            next_step = _STEP - now.timestamp() % _STEP
            await asyncio.sleep(next_step)
            now += timedelta(seconds=next_step)
            self.open_day(clock.trading_day(now))
            moment = clock.moment(now)
            if self.is_quiet(moment):
                yield []
                continue
            self.position += 1
            yield self._generator.step(moment)

    def is_quiet(self, now: Moment) -> bool:
        """Whether there are no snapshots: trading makes them, and each auction one."""
        if not self._keeps_hours:
            return False
        before, self._status = self._status, hours.status_at("au", now.time)
        if not hours.is_open_day(now.day, now.time):
            return True
        return self._status != hours.CONTINUOUS and (self._status != hours.AUCTION_MATCH or before == self._status)


def _shanghai() -> datetime:
    return datetime.now(SHANGHAI)


def _moment(depth: Depth) -> Moment:
    return Moment(depth.action_day, depth.update_time, depth.update_millisec)
