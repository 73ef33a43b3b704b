"""A Redis that lost ticks: they are there again, or the hole is named exactly."""

import asyncio
import random
from pathlib import Path

import pytest
from redis.asyncio import Redis

from arbig.log import facts
from store_svc.ticks.streams import GAPS
from tests.servers import Server, start_redis
from tests.store_svc.mesh import EPOCH, FakeMarket
from tests.store_svc.ticks.kept import (
    DAYS,
    SYMBOLS,
    archived,
    assert_whole,
    chosen,
    emptied,
    gaps_of,
    replayed,
    seqs_of,
    tick_days,
    ticking,
    until_archived,
)


async def test_a_redis_that_is_emptied_between_two_ticks_gets_the_old_ones_first(
    own_redis: Server, tmp_path: Path
) -> None:
    """Nothing tells storage: the next tick must not stand alone, with a cursor that says all is well."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        for _ in range(3):
            made.market.publish(*chosen(500))
            await made.until_ticks_stored()
            await emptied(own_redis.url)
            made.market.publish("au2604")
            await made.until_ticks_stored()
            await assert_whole(made)


async def test_what_is_archived_is_not_filled_again(own_redis: Server, tmp_path: Path) -> None:
    """And is played once."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        made.market.publish(*chosen(900), day=DAYS[0])
        made.market.publish(*chosen(900), day=DAYS[1])
        await made.until_ticks_stored()
        await until_archived(made, 3)
        await emptied(own_redis.url)
        made.market.publish(*SYMBOLS, day=DAYS[1])
        await made.until_ticks_stored()
        await assert_whole(made)
        async with Redis.from_url(own_redis.url) as redis:
            assert sum([await redis.xlen(f"ticks:{{{symbol}}}") for symbol in SYMBOLS]) == 903
        assert [day.trading_day for day in await tick_days(made)] == [DAYS[1]] * 3 + [DAYS[0]] * 3


async def test_what_nobody_has_any_more_is_a_hole_of_exactly_those(own_redis: Server, tmp_path: Path) -> None:
    """The archive has the first day, the market service the newest ticks."""
    async with ticking(tmp_path, own_redis.url) as made:
        made.market = FakeMarket(size=1_024)
        async with made.quoting(), made.storing():
            made.market.publish(*chosen(900), day=DAYS[0])
            made.market.publish(*chosen(100), day=DAYS[1])
            await made.until_ticks_stored()
            await until_archived(made, 3)
            made.market.publish(*chosen(1_000), day=DAYS[1])
            await made.until_ticks_stored()
            await emptied(own_redis.url)
            made.market.publish("au2604", day=DAYS[1])
            await made.until_ticks_stored()
            answers = await replayed(made)
        kept_from = made.market.feed.tail
        assert gaps_of(answers) == [(900, kept_from)]
        assert seqs_of(answers) == [*range(1, 901), *range(kept_from + 1, 2_002)]
        # A Redis that loses everything again changes nothing.
        async with made.quoting(), made.storing():
            await emptied(own_redis.url)
            made.market.publish("au2604", day=DAYS[1])
            await made.until_ticks_stored()
            answers = await replayed(made)
        assert gaps_of(answers) == [(900, made.market.feed.tail)]


async def test_a_hole_that_the_market_service_declares_is_kept(own_redis: Server, tmp_path: Path) -> None:
    """Storage was away for longer than ticks are kept."""
    async with ticking(tmp_path, own_redis.url, archive="none") as made:
        made.market = FakeMarket(size=1_024)
        async with made.quoting():
            made.market.publish(*chosen(10))
            async with made.storing():
                await made.until_ticks_stored()
            made.market.publish(*chosen(3_000))
            async with made.storing():
                await made.until_ticks_stored()
                answers = await replayed(made)
    assert gaps_of(answers) == [(10, 1_986)]
    assert seqs_of(answers) == [*range(1, 11), *range(1_987, 3_011)]


async def test_another_life_of_the_stream_is_a_hole_between_the_two(own_redis: Server, tmp_path: Path) -> None:
    """Nobody knows how long the old one went on; the archive remembers that for a Redis that does not."""
    async with ticking(tmp_path, own_redis.url) as made:
        for epoch in (EPOCH, EPOCH + 5):
            made.market = FakeMarket(epoch=epoch)
            made.market.publish(*chosen(500), day=DAYS[0])
            async with made.quoting(), made.storing():
                await made.until_ticks_stored()
                if epoch != EPOCH:
                    # With files of the new life too, nothing else says where the old one ended.
                    made.market.publish("au2604", day=DAYS[1])
                    await until_archived(made, 6)
                    await emptied(own_redis.url)
                    made.market.publish("au2604", day=DAYS[1])
                    await made.until_ticks_stored()
                answers = await replayed(made)
        [gap] = [answer.gap for answer in answers if answer.HasField("gap")]
        assert (gap.after.epoch, gap.after.seq) == (EPOCH, 500)
        assert (gap.resume.epoch, gap.resume.seq) == (EPOCH + 5, 0)
        assert seqs_of(answers) == [*range(1, 501), *range(1, 503)]


async def test_an_old_life_that_only_the_archive_remembers_is_joined_to_the_new_one(
    own_redis: Server, tmp_path: Path
) -> None:
    """Redis is empty and the stream began anew: what Redis alone had is a hole, also between archived ticks."""
    async with ticking(tmp_path, own_redis.url) as made:
        async with made.quoting(), made.storing():
            made.market.publish(*["au2604"] * 400, day=DAYS[0])
            made.market.publish(*["au2606"] * 100, day=DAYS[0])
            made.market.publish(*["au2604"] * 400, day=DAYS[0])
            made.market.publish(*["au2604"] * 500, day=DAYS[1])
            await made.until_ticks_stored()
            await until_archived(made, 2)
        next(path for path in archived(made) if "au2606" in path.name).unlink()
        await emptied(own_redis.url)
        made.market = FakeMarket(epoch=EPOCH + 5)
        made.market.publish(*chosen(100), day=DAYS[1])
        async with made.quoting(), made.storing():
            await made.until_ticks_stored()
            answers = await replayed(made)
        gaps = [answer.gap for answer in answers if answer.HasField("gap")]
        assert [(gap.after.epoch - EPOCH, gap.resume.epoch - EPOCH) for gap in gaps] == [(0, 0), (0, 5)]
        assert gaps_of(answers) == [(400, 500), (900, 0)]
        assert seqs_of(answers) == [*range(1, 401), *range(501, 901), *range(1, 101)]


async def test_a_redis_killed_without_persistence_is_whole_again(tmp_path: Path) -> None:
    """While ticks come, at any moment, and days begin."""
    with start_redis(tmp_path, persistent=False) as redis:
        async with ticking(tmp_path, redis.url) as made, made.quoting(), made.storing():
            for number in range(3):
                made.market.publish(*chosen(4_000), day=f"2026031{number}")
                await asyncio.sleep(random.uniform(0, 0.15))
                redis.kill()
                made.market.publish(*chosen(2_000), day=f"2026031{number}")
                await asyncio.to_thread(redis.start)
            await made.until_ticks_stored()
            await assert_whole(made)
            async with Redis.from_url(redis.url) as client:
                assert await client.hgetall(GAPS) == {}


async def test_another_storage_on_the_same_redis_is_noticed(
    own_redis: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two writers hinder each other, say why, and lose nothing."""
    async with (
        ticking(tmp_path / "one", own_redis.url, archive="none") as one,
        ticking(tmp_path / "two", own_redis.url, archive="none") as two,
    ):
        two.market = one.market
        async with one.quoting(), two.quoting(), one.storing():
            await one.until(lambda status: status.ready)  # it has its tables
            async with two.storing():
                async with asyncio.timeout(20):
                    while not any("another process stores ticks too" in str(facts(log)) for log in caplog.records):
                        one.market.publish(*chosen(300))
                        await asyncio.sleep(0.01)
                await one.until(lambda status: status.ticks == one.market.feed.cursor)
                await assert_whole(one)


@pytest.mark.parametrize("archive", ["", "none"])
async def test_a_first_start_notes_no_hole(own_redis: Server, tmp_path: Path, archive: str) -> None:
    async with ticking(tmp_path, own_redis.url, archive=archive) as made, made.quoting(), made.storing():
        made.market.publish(*SYMBOLS)
        await made.until_ticks_stored()
        await assert_whole(made)
