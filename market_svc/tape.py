"""The tape: every tick on disk as it was encoded, so that a restart goes on with the same stream.

A tape file holds the ticks of one trading day, one encoded element after the other: it reads as
one SubscribeTicksResponse. It is written before followers see the ticks and survives a killed
process; after a power cut its end may be missing, so the stream then begins anew with another
epoch rather than give a number to two ticks. Followers resume anywhere on it.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import IO, NamedTuple

from arbig.durable import sync_directory
from arbig.fanout import Kept
from arbig.market.v1.market_pb2 import Tick
from market_svc.reel import Reel, payload, split

log = logging.getLogger(__name__)

# Older files are removed when a trading day begins: the history lives in the store.
KEPT_DAYS = 5
# Followers that catch up share the reader's thread with those who read whole days.
READ_AT_ONCE = 5_000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Recorded(NamedTuple):
    """A tick on the tape: what it says, and its encoded element."""

    tick: Tick
    data: bytes


class Tape:
    """The tape files of one epoch, open for the next tick."""

    def __init__(self, directory: Path, now_ms: int) -> None:
        """Open the newest epoch in `directory`, or begin one named by `now_ms`."""
        self._root = directory
        self.epoch = self._choose_epoch(now_ms)
        self._directory = directory / str(self.epoch)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._mark_open()
        self._file: IO[bytes] | None = None
        self._day = ""
        # Replaced as a whole: ticks come on another thread than readers ask.
        self._reels = tuple(map(Reel, self._begun()))
        self._reader = ThreadPoolExecutor(1, "tape-reader")

    def _begun(self) -> list[Path]:
        """Give the files in the order of the stream, and remove those that a kill left without a tick.

        The number in such a name was given to a tick of another file.
        """
        paths = sorted(self._directory.glob("*.ticks"))
        for path in paths:
            if not path.stat().st_size:
                path.unlink()
        return [path for path in paths if path.exists()]

    def _choose_epoch(self, now_ms: int) -> int:
        epochs = sorted(int(path.name) for path in self._root.glob("*") if path.name.isdigit())
        if not epochs:
            return now_ms
        mark = self._root / str(epochs[-1]) / "open"
        if mark.exists() and mark.read_text() != _boot_id():
            log.warning("the machine went down with the tape open: a new epoch begins", extra={"old": epochs[-1]})
            return max(now_ms, epochs[-1] + 1)
        return epochs[-1]

    def _mark_open(self) -> None:
        """Note on the disk that the tape is open: a power cut may take its end."""
        with (self._directory / "open").open("w") as mark:
            mark.write(_boot_id())
            mark.flush()
            os.fsync(mark.fileno())
        sync_directory(self._directory)
        sync_directory(self._root)

    def recall(self, ticks: int) -> Iterator[Recorded]:
        """Give the newest ticks, at least `ticks` where there are so many, the oldest first.

        An end that a killed process tore off is cut from the file.
        """
        recalled: list[bytes] = []
        for reel in reversed(self._reels):
            recalled[:0] = _whole_elements(reel.path)
            if len(recalled) >= ticks:
                break
        # One at a time: a tick takes several times the memory of its element.
        return (Recorded(Tick.FromString(payload(data)), data) for data in recalled)

    @property
    def oldest(self) -> int:
        """The place before the first tick on the tape."""
        return next((reel.first - 1 for reel in self._reels), 0)

    @property
    def trading_days(self) -> list[str]:
        """The trading days on the tape, in the order in which they began."""
        return list(dict.fromkeys(reel.trading_day for reel in self._reels))

    @property
    def begun_on(self) -> str:
        """The trading day in which its first tick was recorded, maybe late; empty once that is gone."""
        return next((reel.trading_day for reel in self._reels[:1] if reel.first == 1), "")

    def before(self, newest_days: int) -> int:
        """Give the place before the first tick of the newest so many trading days."""
        days = self.trading_days[-newest_days:]
        return min((reel.first - 1 for reel in self._reels if reel.trading_day in days), default=0)

    async def of_day(self, trading_day: str) -> AsyncIterator[list[bytes]]:
        """Give the elements of a trading day that were flushed, in the order of the stream, some at a time."""
        in_thread = asyncio.get_running_loop().run_in_executor
        for reel in [one for one in self._reels if one.trading_day == trading_day]:
            seq, elements = reel.first - 1, [b""] * READ_AT_ONCE
            # A short read is the end, as it was then: ticks may come as fast as they are read.
            while len(elements) == READ_AT_ONCE:
                elements = await in_thread(self._reader, reel.elements, seq, READ_AT_ONCE)
                seq += len(elements)
                yield elements

    async def read(self, seq: int, limit: int) -> list[Kept]:
        """Give at most `limit` ticks after `seq` that were flushed, the oldest that are left."""
        there = self._reels
        reels = [reel for reel, after in zip_longest(there, there[1:]) if after is None or after.first > seq + 1]
        return await asyncio.get_running_loop().run_in_executor(self._reader, _read, reels, seq, limit)

    def append(self, seq: int, trading_day: str, data: bytes) -> None:
        """Write an element; `flush` must follow before followers see it. Raises OSError."""
        if trading_day != self._day or self._file is None:
            self._file = self._open(seq, trading_day)
        self._file.write(data)

    def _open(self, seq: int, trading_day: str) -> IO[bytes]:
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        # The number first: names sort in the order of the stream, also when a day comes back.
        if not self._reels or self._reels[-1].trading_day != trading_day:
            self._reels = (*self._reels, Reel(self._directory / f"{seq:015d}-{trading_day}.ticks"))
        path = self._reels[-1].path
        file = path.open("ab", buffering=1 << 20)
        self._day = trading_day
        log.info("tape opened", extra={"file": path.name})
        self._prune()
        return file

    def _prune(self) -> None:
        # Days, not files: snapshots of two days may come in turns.
        kept = list(dict.fromkeys(reel.trading_day for reel in reversed(self._reels)))[:KEPT_DAYS]
        gone = list(takewhile(lambda reel: reel.trading_day not in kept, self._reels))
        self._reels = self._reels[len(gone) :]
        for reel in gone:
            reel.path.unlink()
        for old in self._root.glob("*"):
            if old.name.isdigit() and int(old.name) < self.epoch:
                shutil.rmtree(old)

    def flush(self) -> None:
        """Hand what was appended to the operating system; raises OSError."""
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """Bring everything to the disk; the epoch goes on at the next start, also after a reboot."""
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            sync_directory(self._directory)
        self._reader.shutdown()
        (self._directory / "open").unlink(missing_ok=True)


def _whole_elements(path: Path) -> list[bytes]:
    whole = path.read_bytes()
    elements = list(split(whole))
    if (size := sum(map(len, elements))) < len(whole):
        log.warning("torn end cut from the tape", extra={"file": path.name, "bytes": len(whole) - size})
        with path.open("r+b") as file:
            file.truncate(size)
    return elements


def _read(reels: list[Reel], seq: int, limit: int) -> list[Kept]:
    return next(filter(None, (reel.read(seq, limit) for reel in reels)), [])


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
