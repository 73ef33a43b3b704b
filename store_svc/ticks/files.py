"""One Parquet file of ticks: written, proved, published; and read again."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from arbig.durable import sync_directory
from arbig.market.v1.market_pb2 import Tick
from store_svc.ticks.parquet import COLUMNS, RAW, compact, from_rows, to_time

# The version of what is in a file, for whoever reads it one day.
FORMAT = "1"
ROW_GROUP = 16_384
_TEXTS = [one.name for one in COLUMNS if one.type == pa.string()]
_SEQ, _TIME = ([one.name for one in COLUMNS].index(name) for name in ("seq", "time"))
_COUNTED = {one.name: "DELTA_BINARY_PACKED" for one in COLUMNS if one.name not in _TEXTS} | {RAW: "PLAIN"}
# What is worth skipping row groups by.
_STATISTICS = ["seq", "time", "receive_time", "last_price"]


class NotProved(Exception):
    """A file that was written does not read back as it should."""


class Checksum:
    """How many ticks passed, and what they were."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def update(self, ticks: Sequence[bytes]) -> None:
        """Count some more, serialised."""
        self.count += len(ticks)
        for one in ticks:
            # The length first: the same bytes cut otherwise are other ticks.
            self._digest.update(len(one).to_bytes(4, "big") + one)

    def __str__(self) -> str:
        """Give it as text."""
        return self._digest.hexdigest()


def write(tables: Sequence[pa.Table], path: Path, facts: Mapping[str, object], expected: Checksum) -> None:
    """Write a file, prove that it has what is expected, and only then give it its name.

    Raises OSError or NotProved; there is no file then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    try:
        table = compact(pa.concat_tables(tables).combine_chunks())
        known = {**facts, "format": FORMAT, "count": expected.count, "blake2b": expected}
        _write(table.replace_schema_metadata({f"arbig.{key}": str(value) for key, value in known.items()}), partial)
        _prove(partial, expected)
        publish(partial, path)
    except pa.ArrowException as error:
        raise NotProved(f"{path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _write(table: pa.Table, path: Path) -> None:
    doubles = {field.name: "BYTE_STREAM_SPLIT" for field in table.schema if pa.types.is_floating(field.type)}
    pq.write_table(
        table,
        path,
        row_group_size=ROW_GROUP,
        compression="zstd",
        compression_level=9,
        use_dictionary=_TEXTS,
        column_encoding=_COUNTED | doubles,
        store_decimal_as_integer=True,
        write_statistics=_STATISTICS,
    )


def _prove(path: Path, expected: Checksum) -> None:
    """Read a file back; raises NotProved where it does not have exactly the ticks that Redis had."""
    found = Checksum()
    with pq.ParquetFile(path) as file:
        for rows in file.iter_batches(4_096):
            found.update(from_rows(rows))
    if (found.count, str(found)) != (expected.count, str(expected)):
        raise NotProved(f"{path}: it reads back as {found.count} ticks of {expected.count}, or others")


def publish(partial: Path, path: Path) -> None:
    """Bring a file to the disk, and then give it its name."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(path)
    sync_directory(path.parent)
    sync_directory(path.parent.parent)


def read(
    path: Path, after: int, size: int, wants: Callable[[int, int], bool] = lambda _first, _last: True
) -> Iterator[list[tuple[int, bytes]]]:
    """Give the ticks of a file after a number, with their numbers, in pages of at most `size`.

    Of ticks between two times that nobody `wants` only two come, the first and the last, and those
    say of what day and time they are and no more. Raises OSError, also for a file that is damaged.
    """
    with _damaged(path), pq.ParquetFile(path) as file:
        day = (file.metadata.metadata or {}).get(b"arbig.trading_day", b"").decode()
        for group in range(file.num_row_groups):
            facts = file.metadata.row_group(group)
            seqs, times = (facts.column(number).statistics for number in (_SEQ, _TIME))
            if seqs.max <= after:
                continue
            # A tick without a time counts by when it came.
            if times and times.has_min_max and times.null_count == 0 and not wants(times.min_raw, times.max_raw):
                ends = (max(seqs.min, after + 1), times.min_raw), (seqs.max, times.max_raw)
                yield [(seq, Tick(trading_day=day, time=to_time(moment)).SerializeToString()) for seq, moment in ends]
                continue
            for rows in file.iter_batches(size, [group]):
                numbered = zip(rows.column("seq").to_pylist(), from_rows(rows), strict=True)
                if page := [one for one in numbered if one[0] > after]:
                    yield page


def numbers(path: Path) -> pa.Array:
    """Give the numbers of a file's ticks; raises OSError, also for a file that is damaged."""
    with _damaged(path):
        return pq.read_table(path, columns=["seq"]).column(0).combine_chunks()


@contextlib.contextmanager
def _damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        raise OSError(f"{path} is damaged: {error}") from error
