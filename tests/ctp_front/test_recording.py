"""Recorded ticks: rows as snapshots."""

import gzip
import itertools
from pathlib import Path

import pytest

from arbig.errors import ConfigError
from ctp_front.depth import ABSENT
from ctp_front.recording import COLUMNS, Recording

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data" / "ctp-ticks"
recorded = pytest.mark.skipif(not SHARED_DATA.exists(), reason=f"no recordings in {SHARED_DATA}")

HEADER = ",".join(f'"{name}"' for name in COLUMNS)


def row(time: str = "09:00:00", last: str = "800.02", day: str = "20261123", symbol: str = "au2612") -> str:
    """Write one row with absent prices but the last."""
    cells = dict.fromkeys(COLUMNS, "N/A") | {name: "0" for name in COLUMNS if "Volume" in name}
    cells |= {"UpdateTime": time, "UpdateMillisec": "500", "ActionDay": day, "TradingDay": day}
    cells |= {"InstrumentID": symbol, "LastPrice": last}
    return ",".join(f'"{cells[name]}"' for name in COLUMNS)


def write(path: Path, *rows: str) -> Path:
    """Write a recording."""
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_an_absent_price_stays_absent(tmp_path: Path) -> None:
    """N/A is no price, and becomes CTP's own sign for that."""
    (depth,) = Recording([write(tmp_path / "a.csv", row())]).rows()
    assert (depth.last, depth.open, depth.update_millisec) == (800.02, ABSENT, 500)


@pytest.mark.parametrize(
    "broken",
    [
        "rubbish",
        row(time="25:00:00"),
        row(last="nan"),
        row(last="8oo"),
        row(day="20261340"),
        row(symbol=""),
        row()[:-20],
        row().replace('"800.02"', '"800.02'),
    ],
)
def test_a_broken_row_is_named_skipped_and_counted(
    tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows around it are played; a lost quote alone spoils nothing."""
    recording = Recording([write(tmp_path / "a.csv", row(), broken, row("09:00:01"))])
    times = [depth.update_time for depth in recording.rows()]
    assert times[0] == "09:00:00"
    assert times[-1] == "09:00:01"
    assert len(times) + recording.broken == 3
    assert [vars(record)["line"] for record in caplog.records] == [3] * recording.broken


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The mistake is told at the start."""
    with pytest.raises(ConfigError, match=r"nowhere\.csv"):
        Recording([tmp_path / "nowhere.csv"])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """A file of another kind cannot be replayed."""
    (tmp_path / "a.csv").write_text("TradingDay,Price\n")
    with pytest.raises(ConfigError, match="InstrumentID"):
        Recording([tmp_path / "a.csv"])


def test_something_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    """Its name promised something else."""
    (tmp_path / "a.csv.gz").write_text(HEADER)
    with pytest.raises(ConfigError, match=r"a\.csv\.gz"):
        Recording([tmp_path / "a.csv.gz"])


def test_a_cut_off_file_gives_what_it_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The rows before the cut are played, and the cut is logged."""
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress("\n".join([HEADER, *[row()] * 5000]).encode())
    path.write_bytes(whole[:-20])
    assert 0 < sum(1 for _ in Recording([path]).rows()) <= 5000
    assert "recording is cut off" in caplog.messages


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    """Two contracts recorded in two files are played as they happened."""
    first = write(tmp_path / "a.csv", row("09:00:00"), row("09:00:02"))
    second = write(tmp_path / "b.csv", row("09:00:01", symbol="au2702"))
    recording = Recording([first, second])
    assert [depth.symbol for depth in recording.rows()] == ["au2612", "au2702", "au2612"]
    assert recording.symbols() == {"au2612": "20261123", "au2702": "20261123"}


@recorded
def test_a_recorded_day_is_read_whole() -> None:
    """Every row of the rubber day, across the rollover to the next trading day."""
    recording = Recording([SHARED_DATA / "ru1901-20181009.csv.gz"])
    days = [depth.trading_day for depth in recording.rows()]
    assert (len(days), recording.broken) == (39_541, 0)
    assert [day for day, _ in itertools.groupby(days)] == ["20181009", "20181010"]


@recorded
def test_czce_zeros_are_kept() -> None:
    """What the exchange sent as 0 is sent as 0."""
    first = next(Recording([SHARED_DATA / "AP010-20200803.csv.gz"]).rows())
    assert (first.bid_price1, first.settlement) == (0.0, ABSENT)
