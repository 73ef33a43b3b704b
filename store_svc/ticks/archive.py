"""The archive: a directory of Parquet files, each the ticks of a symbol on a trading day.

`{trading day}/{symbol}-{epoch}-{first}-{last}-{count}.parquet`: a file that has its name is whole,
proved and on the disk; nothing else says what is archived. `gaps.json` keeps the holes that are
known, for a Redis that loses them.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc

from store_svc.ticks import files
from store_svc.ticks.parquet import to_table
from store_svc.ticks.place import BEGIN, Entry, Hole, Notes, Place, note

log = logging.getLogger(__name__)

_GAPS = "gaps.json"


class TickFile(NamedTuple):
    """A file of the archive, as its name says."""

    path: Path
    symbol: str
    trading_day: str
    first: Place
    last: Place
    ticks: int

    @classmethod
    def named(cls, path: Path) -> "TickFile":
        """Read the name of a file; raises ValueError for one that is not ours."""
        symbol, epoch, *numbers = path.stem.rsplit("-", 4)
        first, last, count = map(int, numbers)
        day = unquote(path.parent.name)
        return cls(path, unquote(symbol), day, Place(int(epoch), first), Place(int(epoch), last), count)


class Archive:
    """The files in `directory`, known by their names."""

    def __init__(self, directory: Path) -> None:
        """Read the names; what a killed process left half written is removed."""
        self.directory = directory
        self._files: dict[str, list[TickFile]] = {}
        for path in directory.glob("*/*.partial"):
            path.unlink()
        for path in sorted(directory.glob("*/*.parquet")):
            with contextlib.suppress(ValueError):
                self._add(TickFile.named(path))

    def _add(self, file: TickFile) -> None:
        known = self._files.setdefault(file.symbol, [])
        known.append(file)
        known.sort(key=lambda one: one.first)

    @property
    def symbols(self) -> list[str]:
        """The symbols that have files."""
        return sorted(self._files)

    @property
    def newest(self) -> Place:
        """The place of the newest tick that is archived; BEGIN without any."""
        return max((known[-1].last for known in self._files.values()), default=BEGIN)

    def files(self, symbol: str) -> list[TickFile]:
        """Give the files of a symbol, in the order of the stream."""
        return self._files.get(symbol, [])

    def mark(self, symbol: str) -> Place | None:
        """Give the place up to which the symbol is archived."""
        known = self._files.get(symbol)
        return known[-1].last if known else None

    def notes(self) -> Notes:
        """Read the holes that are noted here; raises OSError."""
        path = self.directory / _GAPS
        try:
            noted: Notes = json.loads(path.read_text()) if path.exists() else {}
        except ValueError as error:
            raise OSError(f"{path} is damaged: {error}") from error
        return noted

    def note(self, found: Iterable[Hole]) -> None:
        """Note some holes, on the disk; raises OSError."""
        noted = dict(self.notes())
        for hole in found:
            noted.update(note(hole))
        self.directory.mkdir(parents=True, exist_ok=True)
        partial = self.directory / f"{_GAPS}.partial"
        partial.write_text(json.dumps(noted, indent=1))
        files.publish(partial, self.directory / _GAPS)

    async def missing(self, epoch: int, after: int, through: int) -> list[tuple[int, int]]:
        """Give what no file has of the stream behind `after` up to `through`, as pairs of the same kind.

        The stream numbers the ticks of all symbols without a break. Raises OSError.
        """
        # The list is made here, on the loop: files are added to it while a thread looks into these.
        every = [one for known in self._files.values() for one in known if one.first.epoch == epoch]
        near = [one for one in every if one.first.seq <= through and one.last.seq > after]
        return await asyncio.to_thread(_missing, near, after, through)

    async def write(self, symbol: str, trading_day: str, pages: AsyncIterator[list[Entry]]) -> None:
        """Put a symbol's ticks into a file; raises OSError or NotProved, and has no file then."""
        tables, places, checksum = [], [], files.Checksum()
        async for page in pages:
            ticks = [data for _, data in page]
            tables.append(await asyncio.to_thread(to_table, ticks))
            checksum.update(ticks)
            places += [page[0][0], page[-1][0]]
        if not places:
            return
        first, last = places[0], places[-1]
        name = f"{quote(symbol, safe=' ')}-{first.epoch}-{first.seq}-{last.seq}-{checksum.count}.parquet"
        path = self.directory / quote(trading_day, safe="") / name
        facts = {"symbol": symbol, "trading_day": trading_day}
        facts |= {"epoch": str(first.epoch), "first_seq": str(first.seq), "last_seq": str(last.seq)}
        await asyncio.to_thread(files.write, tables, path, facts, checksum)
        log.info("ticks archived", extra={"file": str(path), "ticks": checksum.count, "bytes": path.stat().st_size})
        self._add(TickFile.named(path))


async def read(
    file: TickFile, after: Place, size: int, wants: Callable[[int, int], bool]
) -> AsyncIterator[list[Entry]]:
    """Give the ticks of a file after a place, in pages of at most `size`; of those that nobody `wants`, some."""
    epoch = file.first.epoch
    pages = files.read(file.path, after.seq if after.epoch == epoch else 0, size, wants)
    while page := await asyncio.to_thread(next, pages, None):
        yield [(Place(epoch, seq), data) for seq, data in page]


def _missing(near: list[TickFile], after: int, through: int) -> list[tuple[int, int]]:
    runs = [run for cluster in _clusters(near) for run in _runs(cluster) if run[1] > after]
    edges = [(after, after), *runs, (through, through)]
    between = [(left, min(right, through)) for (_, left), (right, _) in pairwise(edges)]
    return [(left, right) for left, right in between if left < right]


def _clusters(unsorted: list[TickFile]) -> Iterator[list[TickFile]]:
    """Group files whose ranges overlap, in the order of the stream."""
    cluster: list[TickFile] = []
    for file in sorted(unsorted, key=lambda one: one.first):
        if cluster and file.first.seq > max(one.last.seq for one in cluster):
            yield cluster
            cluster = []
        cluster.append(file)
    if cluster:
        yield cluster


def _runs(cluster: list[TickFile]) -> Iterator[tuple[int, int]]:
    """Give the runs of numbers without a break in some files: the place before each, and its last."""
    before, last = cluster[0].first.seq - 1, max(one.last.seq for one in cluster)
    if sum(one.ticks for one in cluster) == last - before:
        yield before, last
        return
    seqs: Any = pa.concat_arrays([files.numbers(one.path) for one in cluster])
    ordered = [before, *pc.take(seqs, pc.sort_indices(seqs)).to_pylist()]
    breaks = [(left, right) for left, right in pairwise(ordered) if right != left + 1]
    for (_, begin), (end, _) in pairwise([(0, before + 1), *breaks, (ordered[-1], 0)]):
        yield begin - 1, end
