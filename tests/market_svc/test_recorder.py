"""A snapshot's way to the followers leads over the tape."""

import errno
from pathlib import Path
from typing import Any

import pytest

from arbig.market.v1.market_pb2 import Tick
from market_svc import recorder as recorder_module
from market_svc.gateway import Raw
from market_svc.main import recall
from market_svc.recorder import Recorder
from market_svc.tape import Tape

DAY = "20261123"


class FullDisk:
    """A file that has room in its buffer only."""

    def write(self, _: bytes) -> None:
        """Take it."""

    def flush(self) -> None:
        """Find no room for it."""
        raise OSError(errno.ENOSPC, "No space left on device")


def record(recorder: Recorder, count: int) -> None:
    raw = Raw(0, b"")
    for _ in range(count):
        recorder.record(raw)


def test_what_is_not_on_the_tape_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk ends the service, which says so once; its next life goes on behind what was seen."""
    monkeypatch.setattr(
        recorder_module, "tick_from_ctp", lambda _data, seq, *_: Tick(seq=seq, symbol="au2604", trading_day=DAY)
    )
    tape: Any = Tape(tmp_path, 1000)
    feed = recall(tape, 64)
    recorder = Recorder(feed, tape, {})
    record(recorder, 3)
    recorder.flush()
    file, tape._file = tape._file, FullDisk()
    record(recorder, 5)
    with pytest.raises(OSError, match="No space left"):
        recorder.flush()
    file.close()
    assert feed.cursor.seq == 3
    assert [one.seq for one in feed.between(0, 10)] == [1, 2, 3]
    assert [one.message for one in caplog.records] == ["the tape cannot be written: the market service ends"]
    assert recall(Tape(tmp_path, 2000), 64).cursor == feed.cursor
