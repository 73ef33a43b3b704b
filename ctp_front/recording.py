"""Recorded ticks: the rows of CTP CSV files as snapshots, in the order of their time.

"N/A" is an absent price. A row that cannot be read is named in the log, skipped and counted.
"""

import gzip
import heapq
import logging
import math
import operator
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from arbig.errors import ConfigError
from ctp_front.depth import ABSENT, Depth

log = logging.getLogger(__name__)

# The columns in the order of Depth.
COLUMNS = (
    "UpdateTime", "UpdateMillisec", "ActionDay", "InstrumentID",
    "TradingDay", "PreSettlementPrice", "PreClosePrice", "PreOpenInterest", "PreDelta",
    "OpenPrice", "HighestPrice", "LowestPrice", "ClosePrice",
    "UpperLimitPrice", "LowerLimitPrice", "SettlementPrice", "CurrDelta",
    "LastPrice", "Volume", "Turnover", "OpenInterest",
    "BidPrice1", "BidVolume1", "AskPrice1", "AskVolume1",
    "BidPrice2", "BidVolume2", "BidPrice3", "BidVolume3",
    "AskPrice2", "AskVolume2", "AskPrice3", "AskVolume3",
    "BidPrice4", "BidVolume4", "BidPrice5", "BidVolume5",
    "AskPrice4", "AskVolume4", "AskPrice5", "AskVolume5",
    "AveragePrice",
)  # fmt: skip

_INT32 = 2**31
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d")
_DAY = re.compile(r"\d{8}")


class BrokenRow(Exception):
    """A row that cannot be read."""


def header(line: str) -> Callable[[str], Depth]:
    """Read a header, and give what reads the rows below it; raises BrokenRow where a column is missing."""
    names = _cells(line)
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise BrokenRow(f"no column {', '.join(missing)}")
    pick = operator.itemgetter(*map(names.index, COLUMNS))
    return lambda row: _depth(_cells(row), len(names), pick)


def _cells(line: str) -> list[str]:
    # No field of a recording holds a comma or a line break. Read line by line, a broken quote
    # spoils its own row only.
    return line.replace('"', "").strip().split(",")


def _depth(cells: list[str], width: int, pick: Callable[[list[str]], tuple[str, ...]]) -> Depth:
    if len(cells) != width:
        raise BrokenRow(f"{len(cells)} columns, not {width}")
    (time, millisec, action_day, symbol, trading_day, *numbers) = pick(cells)
    if not (_TIME.fullmatch(time) and _DAY.fullmatch(action_day) and _DAY.fullmatch(trading_day)):
        raise BrokenRow(f"time {action_day} {time}, trading day {trading_day}")
    if not (symbol and symbol.isascii()):
        raise BrokenRow(f"symbol {symbol!r}")
    try:
        return Depth(time, int(millisec), action_day, symbol, trading_day, *_numbers(numbers))
    except ValueError as error:
        raise BrokenRow(str(error)) from error


# Which of the numbers are lots.
_LOTS = frozenset(
    index for index, name in enumerate(COLUMNS[5:]) if name.startswith(("BidVolume", "AskVolume")) or name == "Volume"
)
_CONVERT = tuple(index in _LOTS for index in range(len(COLUMNS) - 5))


def _numbers(texts: list[str]) -> list[float]:
    return [_lots(text) if lots else _price(text) for text, lots in zip(texts, _CONVERT, strict=True)]


def _lots(text: str) -> int:
    lots = int(text)
    if not 0 <= lots < _INT32:
        raise ValueError(f"{lots} lots")
    return lots


def _price(text: str) -> float:
    if text == "N/A":
        return ABSENT
    price = float(text)
    if not math.isfinite(price):
        raise ValueError(f"price {text}")
    return price


class Recording:
    """Some recorded files, read row by row and merged by time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Check that each file is there and has a header; raises ConfigError that names it."""
        self.broken = 0
        self._paths = paths
        for path in paths:
            try:
                with _open(path) as file:
                    header(file.readline())
            except (OSError, EOFError, zlib.error, BrokenRow) as error:
                raise ConfigError(f"{path} cannot be replayed: {error}") from error

    def rows(self) -> Iterator[Depth]:
        """Give all snapshots; each file's own order is kept."""
        self.broken = 0
        return heapq.merge(*map(self._file, self._paths), key=_time)

    def symbols(self) -> dict[str, str]:
        """Give the symbols in the files, each with its first trading day; this reads all of them once."""
        found: dict[str, str] = {}
        for path in self._paths:
            with _open(path) as file:
                names = _cells(file.readline())
                symbol, day = names.index("InstrumentID"), names.index("TradingDay")
                for _, line in _lines(path, file):
                    # The commas tell a whole row; its other cells are looked at when it is played.
                    if line.count(",") == len(names) - 1:
                        cells = line.replace('"', "").split(",", max(symbol, day) + 1)
                        if _DAY.fullmatch(cells[day]):
                            found.setdefault(cells[symbol], cells[day])
        return {symbol: day for symbol, day in found.items() if symbol and symbol.isascii()}

    def _file(self, path: Path) -> Iterator[Depth]:
        with _open(path) as file:
            read = header(file.readline())
            for number, line in _lines(path, file):
                try:
                    yield read(line)
                except BrokenRow as error:
                    self.broken += 1
                    log.warning("broken row", extra={"file": str(path), "line": number, "reason": str(error)})


def _lines(path: Path, file: IO[str]) -> Iterator[tuple[int, str]]:
    number = 1
    try:
        for line in file:
            number += 1
            if line.strip():
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        log.warning("recording is cut off", extra={"file": str(path), "line": number, "reason": str(error)})


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")


def _time(depth: Depth) -> tuple[str, str, int]:
    return depth.action_day, depth.update_time, depth.update_millisec
