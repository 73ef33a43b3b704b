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
from datetime import datetime
from pathlib import Path
from typing import IO, Any

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
_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9&\- ]{1,29}")


class BrokenRow(Exception):
    """A row that cannot be read."""


def _cells(line: str) -> list[str]:
    # No field of a recording holds a comma or a line break. Read line by line, a broken quote
    # spoils its own row only.
    return line.replace('"', "").strip().split(",")


class _Column(dict[str, Any]):
    """Reads the cells of a column; most of them have been seen before, and are not read again."""

    _LIMIT = 100_000

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> Any:
        if len(self) >= self._LIMIT:
            self.clear()
        value = self[text] = self._read(text)
        return value


def _time(text: str) -> str:
    return _checked(_TIME, text)


def _day(text: str) -> str:
    datetime.strptime(_checked(_DAY, text), "%Y%m%d")  # noqa: DTZ007 - only whether there is such a day
    return text


def _symbol(text: str) -> str:
    return _checked(_SYMBOL, text)


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"what is {text!r}?")
    return text


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


_READERS = {"UpdateTime": _time, "ActionDay": _day, "TradingDay": _day, "InstrumentID": _symbol}


def _reader(name: str) -> Callable[[str], Any]:
    return _READERS.get(name) or (_lots if name == "UpdateMillisec" or "Volume" in name else _price)


class Rows:
    """Reads the rows below a header."""

    def __init__(self, header: str) -> None:
        """Raise BrokenRow where a column is missing."""
        names = _cells(header)
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            raise BrokenRow(f"no column {', '.join(missing)}")
        self.width = len(names)
        self.symbol, self.day = names.index("InstrumentID"), names.index("TradingDay")
        self._pick = operator.itemgetter(*map(names.index, COLUMNS))
        shared = {read: _Column(read) for read in {_reader(name) for name in COLUMNS}}
        self._columns = [shared[_reader(name)] for name in COLUMNS]

    def read(self, line: str) -> Depth:
        """Read one row; raises BrokenRow."""
        cells = _cells(line)
        if len(cells) != self.width:
            raise BrokenRow(f"{len(cells)} columns, not {self.width}")
        texts = self._pick(cells)
        try:
            return Depth._make([column[text] for column, text in zip(self._columns, texts, strict=True)])
        except ValueError as error:
            raise BrokenRow(str(error)) from error


class Recording:
    """Some recorded files, read row by row and merged by time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Check that each file is there and has a header; raises ConfigError that names it."""
        self.broken = 0
        self._paths = paths
        for path in paths:
            try:
                with _open(path) as file:
                    Rows(file.readline())
            except (OSError, EOFError, zlib.error, BrokenRow) as error:
                raise ConfigError(f"{path} cannot be replayed: {error}") from error

    def rows(self) -> Iterator[Depth]:
        """Give all snapshots; each file's own order is kept."""
        self.broken = 0
        return heapq.merge(*map(self._file, self._paths), key=_moment)

    def symbols(self) -> dict[str, str]:
        """Give the symbols in the files, each with its first trading day; this reads all of them once."""
        found: dict[str, str] = {}
        for path in self._paths:
            with _open(path) as file:
                rows = Rows(file.readline())
                for _, line in _lines(path, file):
                    # The commas tell a whole row; its other cells are looked at when it is played.
                    if line.count(",") == rows.width - 1:
                        cells = line.replace('"', "").split(",", max(rows.symbol, rows.day) + 1)
                        found.setdefault(cells[rows.symbol], cells[rows.day])
        return {symbol: day for symbol, day in found.items() if _SYMBOL.fullmatch(symbol) and _DAY.fullmatch(day)}

    def _file(self, path: Path) -> Iterator[Depth]:
        with _open(path) as file:
            read = Rows(file.readline()).read
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


def _moment(depth: Depth) -> tuple[str, str, int]:
    return depth.action_day, depth.update_time, depth.update_millisec
