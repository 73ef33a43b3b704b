"""Ticks played again: in order, at a pace, with the holes in their places. No server, and no clock."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from hypothesis import given
from hypothesis import strategies as st

from arbig.fanout import HEARTBEAT_SECONDS
from arbig.market.v1.market_pb2 import Tick
from arbig.store.v1.history_pb2 import ReplayTicksResponse
from store_svc.ticks.place import BEGIN, Entry, Hole, Place, holes, note
from store_svc.ticks.replay import Clock, Range, Replay, merged

EPOCH = 7


class FakeTime:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        """The clock that shows it."""
        return Clock(lambda: self.seconds, self.sleep)


def at(seq: int) -> Place:
    return Place(EPOCH, seq)


def entry(seq: int, second: float = 0.0, day: str = "20260309") -> Entry:
    tick = Tick(seq=seq, trading_day=day)
    if second:
        tick.time.FromNanoseconds(round(second * 1e9))
    return at(seq), tick.SerializeToString()


def hole(after: int, resume: int) -> Hole:
    return Hole(at(after), at(resume), "lost")


async def paged(*pages: list[Entry]) -> AsyncIterator[list[Entry]]:
    for page in pages:
        yield page


def played(
    entries: Iterable[Entry],
    lost: Iterable[Hole] = (),
    wanted: Range | None = None,
    after: Place = BEGIN,
    speed: float = 0.0,
) -> list[tuple[float, ReplayTicksResponse]]:
    """Give the answers, each with the second at which it came."""
    time = FakeTime()

    async def play() -> list[tuple[float, ReplayTicksResponse]]:
        replay = Replay(wanted or Range(), lost, after, speed, time.clock)
        return [(time.seconds, response) async for response in replay.responses(paged(list(entries)))]

    return asyncio.run(play())


def told(answers: Iterable[tuple[float, ReplayTicksResponse]]) -> list[str]:
    """Say the answers in short."""
    short = []
    for _, answer in answers:
        if answer.HasField("gap"):
            short.append(f"gap {answer.gap.after.seq}-{answer.gap.resume.seq}")
        elif answer.HasField("heartbeat"):
            short.append(f"beat {answer.cursor.seq}")
        else:
            short.append(" ".join(str(tick.seq) for tick in answer.ticks))
    return short


@given(st.lists(st.sets(st.integers(1, 200))), st.integers(1, 7))
def test_symbols_are_merged_in_the_order_of_the_stream(symbols: list[set[int]], size: int) -> None:
    """However their pages are cut."""
    sources = []
    for numbers in symbols:
        ordered = [(at(seq), b"") for seq in sorted(numbers)]
        sources.append(paged(*[ordered[start : start + size] for start in range(0, len(ordered), size)]))

    async def play() -> list[Entry]:
        return [one async for batch in merged(sources) for one in batch]

    assert asyncio.run(play()) == [(at(seq), b"") for seq in sorted(seq for numbers in symbols for seq in numbers)]


def test_at_once_is_one_message_and_a_heartbeat_at_the_end() -> None:
    assert told(played([entry(1, 100), entry(2, 200), entry(3, 300)])) == ["1 2 3", "beat 3"]


def test_nothing_is_one_heartbeat_at_the_place_asked_for() -> None:
    assert told(played([], after=at(5))) == ["beat 5"]


def test_the_pace_is_that_of_the_exchange() -> None:
    """Ticks of the same moment come together."""
    day = [entry(1, 100), entry(2, 100.5), entry(3, 100.5), entry(4, 103)]
    for speed in (1.0, 2.0, 10.0):
        answers = played(day, speed=speed)
        assert told(answers) == ["1", "2 3", "4", "beat 4"]
        assert [second * speed for second, _ in answers] == [0.0, 0.5, 3.0, 3.0]


def test_a_pause_of_more_than_a_minute_is_left_out() -> None:
    """The night ends here; a minute is waited for, with heartbeats."""
    answers = played([entry(1, 100), entry(2, 160), entry(3, 40_000), entry(4, 40_000.5)], speed=1.0)
    assert told(answers) == ["1", *["beat 1"] * int(60 / HEARTBEAT_SECONDS), "2 3", "4", "beat 4"]
    assert [second for second, answer in answers if answer.ticks] == [0.0, 60.0, 60.5]


def test_a_tick_without_a_time_or_behind_the_newest_is_not_waited_for() -> None:
    late = [entry(1, 100), entry(2, 99), entry(3), entry(4, 100.5)]
    assert [second for second, _ in played(late, speed=1.0)] == [0.0, 0.5, 0.5]


def test_the_pace_goes_on_after_a_day_that_is_played_twice() -> None:
    """Or after one tick with a wrong time: a jump is no pause, whichever way it goes."""
    day = [1000.0, 1050.0, 1100.0]
    twice = [entry(number, time) for number, time in enumerate([*day, *day, 90_000.0, *day], 1)]
    answers = played(twice, speed=10.0)
    assert [second for second, answer in answers for _ in answer.ticks] == [0, 5, 10, 10, 15, 20, 20, 20, 25, 30]


def test_large_ticks_are_cut_into_messages_below_the_limit() -> None:
    """Whatever a newer contract puts into a tick."""
    big = Tick(exchange="x" * 100_000).SerializeToString()
    answers = played([(at(seq), big) for seq in range(1, 100)])
    assert sum(len(answer.ticks) for _, answer in answers) == 99
    assert max(answer.ByteSize() for _, answer in answers) < 4 * 1024 * 1024


def test_holes_stand_in_their_places() -> None:
    """Also before the first tick and behind the last."""
    lost = [hole(0, 2), hole(4, 6), hole(7, 9)]
    assert told(played([entry(3), entry(4), entry(7)], lost)) == ["gap 0-2", "3 4", "gap 4-6", "7", "gap 7-9", "beat 9"]


def test_a_hole_behind_the_cursor_begins_at_the_cursor() -> None:
    """What lies before it was not asked for."""
    assert told(played([entry(7)], [hole(0, 2), hole(3, 6)], after=at(4))) == ["gap 4-6", "7", "beat 7"]


def test_holes_far_from_what_is_wanted_are_left_out() -> None:
    """A hole beside a tick of the range may have been in it."""
    days = [entry(1), entry(3), entry(5, day="20260310"), entry(7, day="20260310"), entry(9, day="20260311")]
    days += [entry(11, day="20260311"), entry(13, day="20260312")]
    lost = [hole(seq, seq + 1) for seq in (1, 3, 5, 7, 9, 11, 13)]
    wanted = Range("20260310", "20260310")
    assert told(played(days, lost, wanted)) == ["gap 3-4", "5", "gap 5-6", "7", "gap 7-8", "beat 8"]


def test_a_range_that_was_lost_whole_is_a_gap() -> None:
    """Its neighbours lie on either side; also where nothing is stored behind it, or before, or at all."""
    before, behind = [entry(1, 100), entry(3, 101)], [entry(9, 200, "20260311"), entry(11, 201, "20260311")]
    for wanted in (Range("20260310", "20260310"), Range(first_time=150 * 10**9, end_time=160 * 10**9)):
        for entries in ([*before, *behind], before, behind, []):
            assert told(played(entries, [hole(3, 8)], wanted)) == ["gap 3-8", "beat 8"]
        assert told(played([*before, *behind], [hole(1, 2), hole(9, 10)], wanted)) == ["beat 0"]


def test_a_day_and_a_time_are_both_looked_at() -> None:
    """What lies behind the day lies behind the range, whatever its time."""
    later = [entry(seq, day="20260312") for seq in (3, 7)]
    assert told(played(later, [hole(4, 6)], Range("20260310", "20260310", first_time=10**9))) == ["beat 0"]


def test_a_gap_covers_nothing_that_was_played() -> None:
    """However large the hole was noted."""
    entries = [entry(1), entry(2), entry(9)]
    assert told(played(entries, [Hole(BEGIN, at(8), "trimmed")])) == ["1 2", "gap 2-8", "9", "beat 9"]
    assert told(played(entries, [Hole(BEGIN, at(2), "trimmed")])) == ["1 2 9", "beat 9"]


def test_a_range_of_times_begins_with_its_first_and_ends_before_its_end() -> None:
    """A tick without an exchange time counts by when it came."""
    came = Tick(seq=9)
    came.receive_time.FromSeconds(102)
    day = [entry(1, 100), entry(2, 101), entry(3, 102), (at(4), came.SerializeToString()), entry(5, 103)]
    wanted = Range(first_time=101 * 10**9, end_time=103 * 10**9)
    assert told(played(day, wanted=wanted)) == ["2 3 9", "beat 4"]


def test_holes_that_touch_become_one() -> None:
    """A hole that is noted again, or found larger, is told once."""
    noted = [note(hole(5, 9)), note(hole(1, 3)), note(hole(3, 4)), note(hole(5, 7)), note(hole(6, 12))]
    assert [(one.after.seq, one.resume.seq) for one in holes(*noted)] == [(1, 4), (5, 12)]
