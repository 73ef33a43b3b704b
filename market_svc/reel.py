"""A tape file as its readers see it: elements one after the other, found by number.

It may grow while it is read, end in the middle of an element, and be removed at any time.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from arbig.fanout import Kept
from arbig.market.v1.market_pb2 import Tick

# Elements from one remembered offset to the next.
STRIDE = 1_000
_BLOCK = 1 << 18


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


class Reel:
    """The file `{number of its first tick}-{trading day}.ticks`; one thread at a time may read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        first, _, self.trading_day = path.stem.partition("-")
        self.first = int(first)
        # Where each STRIDE-th element begins, as far as somebody has read.
        self._offsets = [0]

    def read(self, seq: int, limit: int) -> list[Kept]:
        """Give at most `limit` ticks after `seq`; none where the file ends before, or is gone."""
        after = max(seq, self.first - 1)
        elements = self.elements(after, limit)
        numbers = range(after + 1, after + 1 + len(elements))
        return [Kept(number, Tick.FromString(payload(one)).symbol, one) for number, one in zip(numbers, elements)]  # noqa: B905

    def elements(self, seq: int, limit: int) -> list[bytes]:
        """Give the same as they were written."""
        wanted = max(seq + 1 - self.first, 0)
        try:
            with self.path.open("rb") as file:
                if not self._find(file, wanted // STRIDE):
                    return []
                ahead = wanted % STRIDE
                found = self._elements(file, self._offsets[wanted // STRIDE])
                return list(islice(found, ahead, ahead + limit))
        except FileNotFoundError:
            return []

    def _find(self, file: IO[bytes], stride: int) -> bool:
        """Read on until the offset of this stride is known; False where the file ends before."""
        while len(self._offsets) <= stride:
            sizes = [len(one) for one in islice(self._elements(file, self._offsets[-1]), STRIDE)]
            if len(sizes) < STRIDE:
                return False
            self._offsets.append(self._offsets[-1] + sum(sizes))
        return True

    def _elements(self, file: IO[bytes], offset: int) -> Iterator[bytes]:
        rest = b""
        file.seek(offset)
        while block := file.read(_BLOCK):
            rest += block
            done = 0
            for one in split(rest):
                yield one
                done += len(one)
            rest = rest[done:]
