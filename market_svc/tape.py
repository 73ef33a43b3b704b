"""The tape: every tick on disk as it was encoded, so that a restart goes on with the same stream.

A tape file holds the ticks of one trading day, one encoded element after the other: it reads as
one SubscribeTicksResponse. It is written before followers see the ticks and survives a killed
process; after a power cut its end may be missing, so the stream then begins anew with another
epoch rather than give a number to two ticks.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from arbig.errors import ConfigError
from arbig.market.v1.market_pb2 import Tick

log = logging.getLogger(__name__)

# Older files are removed when a trading day begins: the history lives in the store.
KEPT_DAYS = 5
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Recorded(NamedTuple):
    """A tick on the tape: what it says, and its encoded element."""

    tick: Tick
    data: bytes


def split(tape: bytes) -> Iterator[bytes]:
    """Cut a tape into its elements; an end that was torn off is left out."""
    at = 0
    while at < len(tape):
        start, size, shift = at + 1, 0, 0
        while True:
            if start >= len(tape):
                return
            byte = tape[start]
            size |= (byte & 0x7F) << shift
            start, shift = start + 1, shift + 7
            if byte < 0x80:
                break
        if start + size > len(tape):
            return
        yield tape[at : start + size]
        at = start + size


def payload(data: bytes) -> bytes:
    """Take the serialised tick out of its element."""
    start = 1
    while data[start] >= 0x80:
        start += 1
    return data[start + 1 :]


class Tape:
    """The tape files of one epoch, open for the next tick."""

    def __init__(self, directory: Path, now_ms: int) -> None:
        """Open the newest epoch in `directory`, or begin one named by `now_ms`."""
        self._root = directory
        self.epoch = self._choose_epoch(now_ms)
        self._directory = directory / str(self.epoch)
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "open").write_text(_boot_id())
        self._file: IO[bytes] | None = None
        self._day = ""

    def _choose_epoch(self, now_ms: int) -> int:
        epochs = sorted(int(path.name) for path in self._root.glob("*") if path.name.isdigit())
        if not epochs:
            return now_ms
        mark = self._root / str(epochs[-1]) / "open"
        if mark.exists() and mark.read_text() != _boot_id():
            log.warning("the machine went down with the tape open: a new epoch begins", extra={"old": epochs[-1]})
            return max(now_ms, epochs[-1] + 1)
        return epochs[-1]

    def recall(self, ticks: int) -> list[Recorded]:
        """Give the newest ticks, at least `ticks` where there are so many, the oldest first.

        An end that a killed process tore off is cut from the file.
        """
        recalled: list[Recorded] = []
        for path in reversed(self._files()):
            whole = path.read_bytes()
            elements = list(split(whole))
            if (size := sum(map(len, elements))) < len(whole):
                log.warning("torn end cut from the tape", extra={"file": path.name, "bytes": len(whole) - size})
                with path.open("r+b") as file:
                    file.truncate(size)
            recalled[:0] = [Recorded(Tick.FromString(payload(data)), data) for data in elements]
            if len(recalled) >= ticks:
                break
        return recalled

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*.ticks"))

    def append(self, seq: int, trading_day: str, data: bytes) -> None:
        """Write an element; `flush` must follow before followers see it."""
        if trading_day != self._day or self._file is None:
            self._file = self._open(seq, trading_day)
        self._file.write(data)

    def _open(self, seq: int, trading_day: str) -> IO[bytes]:
        if self._file:
            self._file.close()
        # The number first: names sort in the order of the stream, also when a day comes back.
        newest = max(self._files(), default=None)
        same_day = newest is not None and newest.stem.endswith(trading_day)
        path = newest if same_day and newest else self._directory / f"{seq:015d}-{trading_day}.ticks"
        try:
            file = path.open("ab", buffering=1 << 20)
        except OSError as error:
            raise ConfigError(f"the tape {path} cannot be written: {error.strerror}") from error
        self._day = trading_day
        log.info("tape opened", extra={"file": path.name})
        self._prune()
        return file

    def _prune(self) -> None:
        for path in self._files()[:-KEPT_DAYS]:
            path.unlink()
        for old in self._root.glob("*"):
            if old.name.isdigit() and int(old.name) < self.epoch:
                shutil.rmtree(old)

    def flush(self) -> None:
        """Hand what was appended to the operating system."""
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """Bring everything to the disk; the epoch goes on at the next start, also after a reboot."""
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        (self._directory / "open").unlink(missing_ok=True)


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
