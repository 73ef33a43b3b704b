"""A snapshot's way to the followers leads over the tape."""

import errno
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from arbig.fanout import Feed, Kept
from arbig.market.v1.market_pb2 import Tick, TickFlag
from market_svc.depth import TickMaker
from market_svc.gateway import Raw
from market_svc.hours import ExchangeHours
from market_svc.main import newest_day, recall
from market_svc.quality import Quality
from market_svc.recorder import Recorder
from market_svc.reel import payload
from market_svc.status import ExchangeStatus
from market_svc.tape import Tape
from tests.market_svc.test_depth import CALENDAR, raw


class FullDisk:
    """A file that has room in its buffer only."""

    def write(self, _: bytes) -> None:
        """Take it."""

    def flush(self) -> None:
        """Find no room for it."""
        raise OSError(errno.ENOSPC, "No space left on device")


def begun(directory: Path) -> tuple[Recorder, Feed, Any]:
    """Begin as the service does, with a small ring."""
    tape = Tape(directory, 1000)
    quality = Quality(ExchangeHours(CALENDAR, ExchangeStatus()))
    feed = recall(tape, 64, quality.recall)
    return Recorder(feed, tape, TickMaker({}, CALENDAR), quality), feed, tape


def record(recorder: Recorder, *snapshots: bytes) -> None:
    for data in snapshots:
        recorder.record(Raw(0, data))


def told(feed: Feed, after: int = 0) -> list[tuple[int, str, list[str]]]:
    """Give number, symbol and flags of the ticks that followers see."""
    ticks = [Tick.FromString(payload(one.data)) for one in feed.between(after, 100)]
    return [(one.seq, one.symbol, [TickFlag.Name(flag)[10:] for flag in one.flags]) for one in ticks]


def test_what_is_not_on_the_tape_is_not_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk ends the service, which says so once; its next life goes on behind what was seen."""
    recorder, feed, tape = begun(tmp_path)
    record(recorder, *[raw(Volume=volume) for volume in range(3)])
    recorder.flush()
    file, tape._file = tape._file, FullDisk()
    record(recorder, *[raw(Volume=volume) for volume in range(3, 8)])
    with pytest.raises(OSError, match="No space left"):
        recorder.flush()
    file.close()
    assert feed.cursor.seq == 3
    assert [one.seq for one in feed.between(0, 10)] == [1, 2, 3]
    assert [one.message for one in caplog.records] == ["the tape cannot be written: the market service ends"]
    assert recall(Tape(tmp_path, 2000), 64).cursor == feed.cursor


def test_a_broken_link_is_told_at_once_and_the_next_tick_is_a_gap(tmp_path: Path) -> None:
    """Of every symbol, as a tick of its own that repeats the last; a service that begins does not know more."""
    recorder, feed, _ = begun(tmp_path)
    record(recorder, raw(), raw(InstrumentID=b"au2606"))
    recorder.flush()
    recorder.lose()
    assert told(feed, 2) == [(3, "au2604", ["STALE"]), (4, "au2606", ["STALE"])]
    record(recorder, raw(Volume=5))
    recorder.flush()
    assert told(feed, 4) == [(5, "au2604", ["FIRST_SNAPSHOT", "GAP"])]
    again, feed, _ = begun(tmp_path)
    again.lose()
    assert told(feed, 5) == [(6, "au2604", ["STALE"])]


def test_the_trading_day_that_was_recalled_is_the_newest_of_all_symbols(tmp_path: Path) -> None:
    """Though what is repeated last, as STALE, is a symbol that is a day behind."""
    recorder, _, _ = begun(tmp_path)
    record(recorder, raw(TradingDay=b"20261120"), raw(InstrumentID=b"au2612", TradingDay=b"20261120"), raw())
    recorder.flush()
    again, feed, _ = begun(tmp_path)
    again.lose()
    assert told(feed, 3) == [(4, "au2604", ["STALE"]), (5, "au2612", ["STALE"])]
    assert newest_day(feed) == "20261123"


async def test_ticks_come_on_another_thread_than_followers_ask(tmp_path: Path) -> None:
    """Each has its number once, in the ring as on the tape, over changes of the day and of the link."""
    recorder, feed, tape = begun(tmp_path)
    snapshots, interval = 3_000, sys.getswitchinterval()

    def come() -> None:
        for volume in range(snapshots):
            day = b"20261124" if volume // 50 % 2 else b"20261123"
            record(recorder, raw(Volume=volume, TradingDay=day))

    thread = threading.Thread(target=come)
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        taped: list[Kept] = []
        coming = True
        while coming or len(taped) < feed.shown:
            coming = thread.is_alive()
            recorder.lose() if len(taped) % 7 == 0 else recorder.flush()
            assert [kept.seq for kept in feed.between(feed.tail, 64)] == list(range(feed.tail + 1, feed.shown + 1))
            taped += await tape.read(len(taped), 1_000)
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    ticks = [Tick.FromString(payload(kept.data)) for kept in taped]
    assert [tick.seq for tick in ticks] == [kept.seq for kept in taped] == list(range(1, len(ticks) + 1))
    assert [tick.volume for tick in ticks if TickFlag.TICK_FLAG_STALE not in tick.flags] == list(range(snapshots))
