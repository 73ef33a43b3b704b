"""The ring and its followers: live, resume and gap are one path."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from arbig.errors import OutOfRange
from arbig.fanout import Batch, Feed, Kept, element
from arbig.market.v1.market_pb2 import SubscribeTicksResponse, Tick
from arbig.stream.v1.stream_pb2 import Cursor

EPOCH = 7


def feed_of(count: int, size: int = 8, keys: str = "a") -> Feed:
    feed = Feed(EPOCH, size)
    for number in range(1, count + 1):
        feed.append(keys[number % len(keys)], b"%d" % number)
    feed.wake()
    return feed


def at(seq: int, epoch: int = EPOCH) -> Cursor:
    return Cursor(epoch=epoch, seq=seq)


async def take(batches: AsyncIterator[Batch], count: int) -> list[bytes]:
    """Read batches until `count` items came."""
    items: list[bytes] = []
    async with asyncio.timeout(5):
        while len(items) < count:
            items += (await anext(batches)).items
    return items


async def test_a_follower_gets_everything_after_its_cursor_once_and_in_order() -> None:
    """Resume is a position in the ring, and what comes later follows on it."""
    feed = feed_of(5)
    with feed.follower("peer") as follower:
        batches = follower.batches(at(2))
        assert await take(batches, 3) == [b"3", b"4", b"5"]
        feed.append("a", b"6")
        feed.wake()
        assert await take(batches, 1) == [b"6"]


async def test_what_is_appended_is_not_seen_before_the_wake() -> None:
    """By nobody, in no way: it may not be on the disk yet."""
    feed = feed_of(5, size=8)
    for number in range(6, 30):
        feed.append("new", b"%d" % number)
    assert (feed.head, feed.cursor.seq, feed.tail, feed.counts) == (29, 5, 0, {"a": 5})
    assert list(feed.newest) == ["a"]
    assert [kept.seq for kept in feed.between(0, 100)] == [1, 2, 3, 4, 5]
    for latest in (False, True):
        with feed.follower("peer", latest=latest) as follower:
            assert await take(follower.batches(None), 1) == [b"5"]
            batch = await anext(follower.batches(at(5), heartbeat=0.001))
            assert (batch.items, batch.cursor, follower.lag) == ([], at(5), 0)
            with pytest.raises(OutOfRange):
                await anext(follower.batches(at(6)))
    feed.wake()
    assert (feed.cursor.seq, feed.tail, feed.newest["new"].seq) == (29, 21, 29)


async def test_a_cursor_older_than_the_ring_is_a_declared_gap_and_then_all_that_is_kept() -> None:
    """Nothing is skipped silently, and nothing that is kept is left out."""
    with feed_of(20, size=8).follower("peer") as follower:
        batches = follower.batches(at(3))
        gap = (await anext(batches)).gap
        assert gap is not None
        assert (gap.after.seq, gap.resume.seq) == (3, 12)
        assert await take(batches, 8) == [b"%d" % number for number in range(13, 21)]


async def test_a_follower_that_falls_behind_the_ring_is_told_so() -> None:
    """A slow follower loses what the ring lost, and hears of it."""
    feed = feed_of(2, size=8)
    with feed.follower("peer") as follower:
        batches = follower.batches(at(0))
        assert await take(batches, 2) == [b"1", b"2"]
        for number in range(3, 30):
            feed.append("a", b"%d" % number)
        feed.wake()
        gap = (await anext(batches)).gap
        assert gap is not None
        assert (gap.after.seq, gap.resume.seq) == (2, 21)
        assert follower.gaps == 1


async def test_another_epoch_is_a_gap_and_then_all_that_is_kept() -> None:
    """A stream that began anew cannot continue an old cursor."""
    with feed_of(2).follower("peer") as follower:
        batches = follower.batches(at(1, epoch=3))
        assert (await anext(batches)).gap is not None
        assert await take(batches, 2) == [b"1", b"2"]


async def test_epoch_zero_means_from_the_oldest_that_is_kept() -> None:
    """It is a wish, not a cursor: no gap is declared."""
    with feed_of(20, size=8).follower("peer") as follower:
        assert (await take(follower.batches(Cursor()), 8))[0] == b"13"


async def test_a_cursor_ahead_of_the_stream_is_refused() -> None:
    """Its owner saw a stream that this one never was."""
    with feed_of(2).follower("peer") as follower, pytest.raises(OutOfRange, match=r"3 lies ahead.* at 2"):
        await anext(follower.batches(at(3)))


async def test_without_a_cursor_the_newest_of_each_key_comes_first() -> None:
    """A new follower sees a picture at once, then what happens."""
    feed = feed_of(5, keys="ab")
    with feed.follower("peer") as follower:
        batches = follower.batches(None)
        assert await take(batches, 2) == [b"4", b"5"]
        feed.append("a", b"6")
        feed.wake()
        assert await take(batches, 1) == [b"6"]


async def test_a_filter_narrows_what_is_sent_and_not_the_numbers() -> None:
    """The cursor moves over what was for others."""
    feed = feed_of(6, keys="ab")
    with feed.follower("peer", ["b"]) as follower:
        batch = await anext(follower.batches(at(0)))
        assert batch.items == [b"1", b"3", b"5"]
        assert batch.cursor == at(6)


async def test_latest_conflates_and_counts_what_it_dropped() -> None:
    """A slow LATEST follower gets the newest of each key only."""
    feed = feed_of(1)
    with feed.follower("peer", latest=True) as follower:
        batches = follower.batches(at(1))
        reading = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        for number in range(2, 6):
            feed.append("a", b"%d" % number)
        feed.wake()
        assert (await reading).items == [b"5"]
        assert follower.dropped == 3


async def test_latest_that_resumes_has_dropped_nothing_of_its_own() -> None:
    """What it missed while it was away was not left out by this stream."""
    feed = feed_of(6, keys="abc")
    with feed.follower("peer", latest=True) as follower:
        batch = await anext(follower.batches(at(1)))
        assert len(batch.items) == 3
        assert follower.dropped == 0


async def test_silence_is_filled_with_heartbeats_that_carry_the_cursor() -> None:
    """A follower of a quiet stream knows that it is quiet, not broken."""
    with feed_of(3).follower("peer") as follower:
        batch = await anext(follower.batches(at(3), heartbeat=0.001))
        response = SubscribeTicksResponse.FromString(batch.response(SubscribeTicksResponse))
        assert response.HasField("heartbeat")
        assert response.cursor == at(3)


async def test_a_follower_whose_symbols_are_quiet_still_hears_heartbeats() -> None:
    """What is for others does not count as a sign of life."""
    feed = feed_of(0)
    with feed.follower("peer", ["quiet"]) as follower:
        batches = follower.batches(at(0), heartbeat=0.02)
        reading = asyncio.ensure_future(anext(batches))
        while not reading.done():
            feed.append("busy", b"x")
            feed.wake()
            await asyncio.sleep(0.001)
        assert (await reading).items == []


async def test_older_events_come_from_the_archive_without_a_gap() -> None:
    """A stream that keeps everything resumes from anywhere."""

    async def archive(seq: int, limit: int) -> list[Kept]:
        return [Kept(number, "a", b"%d" % number) for number in range(seq + 1, min(seq + limit, 20) + 1)]

    feed = Feed(EPOCH, 8, archive=archive)
    for number in range(1, 21):
        feed.append("a", b"%d" % number)
    feed.wake()
    with feed.follower("peer") as follower:
        assert await take(follower.batches(at(1)), 19) == [b"%d" % number for number in range(2, 21)]


async def test_events_that_even_the_archive_lost_are_a_declared_gap() -> None:
    """Wherever they are missing: before what it has, in its middle, or between it and the ring."""
    kept_there = [5, 6, 9, 10]

    async def archive(seq: int, limit: int) -> list[Kept]:
        found = [number for number in kept_there if number > seq][: min(limit, 1)]
        return [Kept(number, "a", b"%d" % number) for number in found]

    feed = Feed(EPOCH, 8, archive=archive, kept_from=lambda: 4)
    for number in range(1, 21):
        feed.append("a", b"%d" % number)
    feed.wake()
    assert feed.oldest == 4
    with feed.follower("peer") as follower:
        heard: list[object] = []
        async for batch in follower.batches(at(1)):
            heard += [f"{batch.gap.after.seq}-{batch.gap.resume.seq}"] if batch.gap else batch.items
            if batch.cursor.seq == 20:
                break
    assert heard == ["1-4", b"5", b"6", "6-8", b"9", b"10", "10-12", *(b"%d" % number for number in range(13, 21))]


async def test_a_batch_reads_as_the_response_of_the_contract() -> None:
    """Elements that were encoded once, joined, are the repeated field."""
    feed = Feed(EPOCH, 8)
    for seq in (1, 2):
        feed.append("au2604", element(Tick(seq=seq, symbol="au2604" * 40).SerializeToString()))
    feed.wake()
    with feed.follower("peer") as follower:
        batch = await anext(follower.batches(at(0)))
        response = SubscribeTicksResponse.FromString(batch.response(SubscribeTicksResponse, dropped=4))
    assert [tick.seq for tick in response.ticks] == [1, 2]
    assert response.cursor == at(2)
    assert response.dropped == 4


async def test_a_follower_that_leaves_is_forgotten() -> None:
    """Followers cost nothing once they are gone."""
    feed = feed_of(1)
    with feed.follower("peer"):
        assert len(feed.followers) == 1
    assert not feed.followers
