"""The tape: a restart goes on with the same stream."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.fanout import BATCH, Feed, element
from arbig.market.v1.market_pb2 import SubscribeTicksResponse, Tick
from arbig.stream.v1.stream_pb2 import Cursor
from market_svc import reel as reel_module
from market_svc import tape as tape_module
from market_svc.main import recall
from market_svc.reel import payload, split
from market_svc.tape import Tape


def write(tape: Tape, first: int, last: int, day: str = "20261123") -> None:
    for seq in range(first, last + 1):
        symbol = "au2604" if seq % 2 else "au2606"
        data = element(Tick(seq=seq, symbol=symbol, trading_day=day).SerializeToString())
        tape.append(seq, day, data)
    tape.flush()


def numbers(tape: Tape, size: int = 100) -> list[int]:
    return [recorded.tick.seq for recorded in tape.recall(size)]


def test_a_killed_service_goes_on_with_epoch_and_numbers(tmp_path: Path) -> None:
    """Flushed ticks are the operating system's, whatever becomes of the process."""
    write(Tape(tmp_path, 1000), 1, 5)
    again = Tape(tmp_path, 2000)
    assert again.epoch == 1000
    assert numbers(again) == [1, 2, 3, 4, 5]


def test_a_torn_end_is_cut_and_writing_goes_on_behind_it(tmp_path: Path) -> None:
    """A process killed in the middle of a write leaves half a tick."""
    write(Tape(tmp_path, 1000), 1, 3)
    (file,) = tmp_path.glob("*/*.ticks")
    file.write_bytes(file.read_bytes()[:-2])
    again = Tape(tmp_path, 2000)
    assert numbers(again) == [1, 2]
    write(again, 3, 4)
    assert numbers(Tape(tmp_path, 3000)) == [1, 2, 3, 4]


async def test_a_file_begun_before_a_kill_takes_no_ticks_of_other_numbers(tmp_path: Path) -> None:
    """It has none of its own, and its name says where it would have begun."""
    write(Tape(tmp_path, 1000), 1, 3)
    (first,) = tmp_path.glob("*/*.ticks")
    (first.parent / "000000000000004-20261124.ticks").touch()
    again = Tape(tmp_path, 2000)
    assert numbers(again) == [1, 2, 3]
    write(again, 4, 5)
    last = Tape(tmp_path, 3000)
    assert numbers(last) == [1, 2, 3, 4, 5]
    write(last, 6, 7, "20261124")
    assert [kept.seq for kept in await last.read(0, 100)] == [1, 2, 3, 4, 5]
    assert [kept.seq for kept in await last.read(5, 100)] == [6, 7]
    assert numbers(Tape(tmp_path, 4000)) == [1, 2, 3, 4, 5, 6, 7]


def test_a_power_cut_begins_a_new_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end may be lost: the same number must never name two ticks."""
    write(Tape(tmp_path, 1000), 1, 3)
    monkeypatch.setattr(tape_module, "_boot_id", lambda: "after the power cut")
    assert Tape(tmp_path, 2000).epoch == 2000


def test_a_clean_stop_keeps_the_epoch_over_a_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is on the disk then."""
    tape = Tape(tmp_path, 1000)
    write(tape, 1, 3)
    tape.close()
    monkeypatch.setattr(tape_module, "_boot_id", lambda: "after the reboot")
    assert Tape(tmp_path, 2000).epoch == 1000


def test_a_day_of_ticks_is_recalled_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed ticks take several times the memory of the tape, and it may have a million."""
    parsed: list[bytes] = []

    def noted(data: bytes) -> bytes:
        parsed.append(data)
        return payload(data)

    monkeypatch.setattr(tape_module, "payload", noted)
    write(Tape(tmp_path, 1000), 1, 50)
    recalled = Tape(tmp_path, 2000).recall(100)
    assert next(recalled).tick.seq == 1
    assert len(parsed) == 1


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of what is brought to the disk."""
    names: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        names.append(Path(f"/proc/self/fd/{handle}").readlink().name)

    monkeypatch.setattr(os, "fsync", noted)
    return names


def test_the_mark_of_an_open_tape_is_on_the_disk(tmp_path: Path, synced: list[str]) -> None:
    """Also after a clean stop: a power cut soon after the next start must not find the tape closed."""
    Tape(tmp_path, 1000).close()
    synced.clear()
    Tape(tmp_path, 2000)
    assert synced == ["open", "1000", tmp_path.name]


def test_a_tape_that_is_closed_is_on_the_disk_with_all_its_days(tmp_path: Path, synced: list[str]) -> None:
    """Its mark is gone then, and the epoch goes on after a power cut."""
    tape = Tape(tmp_path, 1000)
    synced.clear()
    write(tape, 1, 3, "20261120")
    write(tape, 4, 5, "20261123")
    tape.close()
    assert synced == [*(path.name for path in sorted(tmp_path.glob("*/*.ticks"))), "1000"]


def test_recall_reaches_over_the_trading_day(tmp_path: Path) -> None:
    """A ring begins with yesterday's ticks where today's are few."""
    tape = Tape(tmp_path, 1000)
    write(tape, 1, 3, "20261120")
    write(tape, 4, 5, "20261123")
    assert numbers(tape) == [1, 2, 3, 4, 5]
    assert numbers(tape, size=1) == [4, 5]


def test_old_days_are_removed_when_a_day_begins(tmp_path: Path) -> None:
    """The tape does not grow for ever."""
    tape = Tape(tmp_path, 1000)
    for day in range(10, 20):
        write(tape, day, day, f"202611{day}")
    assert len(list(tmp_path.glob("*/*.ticks"))) == tape_module.KEPT_DAYS


async def test_the_recalled_feed_gives_the_next_tick_the_next_number(tmp_path: Path) -> None:
    """The head is the last tick on the tape."""
    write(Tape(tmp_path, 1000), 1, 5)
    feed = recall(Tape(tmp_path, 2000), size=3)
    assert (feed.epoch, feed.head, feed.tail) == (1000, 5, 2)


@given(st.lists(st.binary(max_size=400)), st.integers(0, 500))
def test_a_tape_cut_anywhere_gives_the_whole_elements_before_the_cut(payloads: list[bytes], cut: int) -> None:
    """No half tick, and none lost before it."""
    elements = [element(one) for one in payloads]
    whole = b"".join(elements)
    kept = list(split(whole[: len(whole) - cut] if cut else whole))
    assert kept == elements[: len(kept)]
    assert [payload(one) for one in kept] == payloads[: len(kept)]
    assert cut or len(kept) == len(elements)


def test_a_tape_file_reads_as_a_response_of_the_contract(tmp_path: Path) -> None:
    """Any protobuf tool can read it."""
    write(Tape(tmp_path, 1000), 1, 3)
    (file,) = tmp_path.glob("*/*.ticks")
    assert [tick.seq for tick in SubscribeTicksResponse.FromString(file.read_bytes()).ticks] == [1, 2, 3]


async def followed(feed: Feed, after: int, symbols: list[str] | None = None) -> list[int]:
    """Follow from a place to the head, without a gap; give the numbers of the ticks."""
    seqs: list[int] = []
    with feed.follower("peer", symbols or []) as follower:
        async for batch in follower.batches(Cursor(epoch=feed.epoch, seq=after)):
            assert not batch.gap
            seqs += [Tick.FromString(payload(one)).seq for one in batch.items]
            if seqs[-1] >= feed.head - 1:
                break
    return seqs


async def test_a_follower_resumes_anywhere_on_the_tape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days and process lives are one stream, however small the ring."""
    monkeypatch.setattr(reel_module, "STRIDE", 7)
    write(Tape(tmp_path, 1000), 1, 50, "20261120")
    tape = Tape(tmp_path, 2000)
    tape.recall(1)
    write(tape, 51, 90, "20261120")
    write(tape, 91, 120, "20261123")
    feed = recall(Tape(tmp_path, 3000), size=8)
    assert feed.tail == 112
    assert feed.oldest == 0
    for after in range(120):
        assert await followed(feed, after) == list(range(after + 1, 121))
    assert await followed(feed, 80, ["au2604"]) == list(range(81, 121, 2))


async def test_ticks_still_in_the_buffer_are_not_read(tmp_path: Path) -> None:
    """A process that is killed loses them, and its next life gives their numbers to others."""
    tape = Tape(tmp_path, 1000)
    feed = recall(tape, size=8)
    for seq in range(1, 31):
        data = element(Tick(seq=seq, symbol="au2604").SerializeToString())
        tape.append(seq, "20261123", data)
        feed.append("au2604", data)
    assert [one.seq for one in await tape.read(0, 100)] == []
    tape.flush()
    feed.wake()
    assert await followed(feed, 0) == list(range(1, 31))


async def test_days_that_are_removed_while_they_are_read_are_a_declared_gap(tmp_path: Path) -> None:
    """And all that is left follows."""
    tape = Tape(tmp_path, 1000)
    for day in range(tape_module.KEPT_DAYS):
        write(tape, day * 2000 + 1, day * 2000 + 2000, f"2026110{day}")
    feed = recall(tape, size=8)
    with feed.follower("peer") as follower:
        batches = follower.batches(Cursor(epoch=1000, seq=0))
        first = await anext(batches)
        assert first.cursor.seq == BATCH
        write(tape, 10_001, 10_100, "20261110")
        gap = (await anext(batches)).gap
        assert gap is not None
        assert (gap.after.seq, gap.resume.seq, feed.oldest) == (BATCH, 2000, 2000)
        assert (await anext(batches)).cursor.seq == 2000 + BATCH


def test_two_days_in_turns_remove_no_other_day(tmp_path: Path) -> None:
    """Snapshots of quiet symbols still carry the day before."""
    tape = Tape(tmp_path, 1000)
    write(tape, 1, 5, "20261119")
    for seq in range(6, 40):
        write(tape, seq, seq, f"2026112{seq % 2}")
    assert tape.oldest == 0
