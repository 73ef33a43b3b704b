"""Ticks of a day that is over: proved in a file, then gone from Redis, and never lost between."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.ticks import archiver, files
from store_svc.ticks.archive import Archive, TickFile
from store_svc.ticks.place import Entry, Place
from tests.servers import Server
from tests.store_svc.mesh import EPOCH
from tests.store_svc.ticks.kept import (
    DAYS,
    SYMBOLS,
    archived,
    assert_whole,
    gaps_of,
    in_redis,
    published,
    replayed,
    seqs_of,
    tick_days,
    ticking,
    until_archived,
    written,
)


async def test_days_that_are_over_go_to_files_and_out_of_redis(own_redis: Server, tmp_path: Path) -> None:
    """The newest day stays; what is played is everything, once."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        for day in DAYS:
            published(made, day)
            await made.until_ticks_stored()
        await until_archived(made, 6)
        await assert_whole(made)
        days = await tick_days(made)
        assert [(day.trading_day, day.symbol) for day in days] == [(d, s) for d in reversed(DAYS) for s in SYMBOLS]
        assert [day.HasField("count") for day in days] == [False] * 3 + [True] * 6
        assert sum(day.count for day in days) == 1800
        assert all(day.bytes for day in days if day.HasField("count"))
        # What shares a node of the stream with the newest day stays until that is over.
        async with asyncio.timeout(10):
            while await in_redis(own_redis.url) > 900 + 3 * 101:
                await asyncio.sleep(0.02)
        assert (await made.status()).archive_reason == ""


async def test_a_file_says_what_is_in_it(own_redis: Server, tmp_path: Path) -> None:
    """Its name and its footer agree."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        published(made, DAYS[0])
        published(made, DAYS[1], 1)
        await until_archived(made, 3)
        for path in archived(made):
            symbol, epoch, first, last, count = path.stem.rsplit("-", 4)
            facts = {key.decode(): value.decode() for key, value in pq.read_metadata(path).metadata.items()}
            assert facts["arbig.symbol"] == symbol
            assert (facts["arbig.trading_day"], path.parent.name) == (DAYS[0], DAYS[0])
            assert (facts["arbig.epoch"], facts["arbig.format"]) == (epoch, files.FORMAT)
            assert (facts["arbig.first_seq"], facts["arbig.last_seq"], facts["arbig.count"]) == (first, last, count)
            seqs = pq.read_table(path, columns=["seq"]).column(0).to_pylist()
            assert (seqs[0], seqs[-1], len(seqs)) == (int(first), int(last), int(count))


async def test_ticks_that_come_when_their_day_is_over_are_kept_too(own_redis: Server, tmp_path: Path) -> None:
    """And a day that comes again: it has two entries."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        made.market.publish("au2604", "au2604", "au2606", day=DAYS[0])
        made.market.publish("au2606", day=DAYS[1])
        await until_archived(made, 2)
        made.market.publish("au2604", "au2606", day=DAYS[0])
        made.market.publish(*SYMBOLS, day=DAYS[2])
        await until_archived(made, 5)
        await assert_whole(made)
        days = [
            (day.symbol, day.first.seq, day.last.seq, day.count)
            for day in await tick_days(made, last_trading_day=DAYS[0])
        ]
        assert days == [("au2604", 1, 5, 3), ("au2606", 6, 6, 1), ("au2606", 3, 3, 1)]


async def test_without_an_archive_only_the_newest_days_are_kept(own_redis: Server, tmp_path: Path) -> None:
    """As many as the settings say, of all symbols; whoever was reading the older ones hears of it."""
    store = {"archive": "none", "tick_days": 2}
    async with ticking(tmp_path, own_redis.url, **store) as made, made.quoting(), made.storing():
        for day in DAYS:
            published(made, day, 3000)
            await made.until_ticks_stored()
        async with asyncio.timeout(20):
            while await in_redis(own_redis.url) != 6000:
                await asyncio.sleep(0.02)
        assert {day.trading_day for day in await tick_days(made)} == set(DAYS[1:])
        answers = await replayed(made, after=Cursor(epoch=EPOCH, seq=1000))
        assert gaps_of(answers) == [(1000, 3000)]
        assert seqs_of(answers) == list(range(3001, 9001))
        assert (await made.status()).archive_reason == ""
        assert not (made.settings.data / "store" / "archive").exists()


async def test_without_pyarrow_the_status_says_how_to_get_it(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store_svc.ticks.wiring.find_spec", lambda _: None)
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        assert "pip install 'arbig[archive]'" in (await made.status()).archive_reason
        made.market.publish(*SYMBOLS)
        await made.until_ticks_stored()


async def test_when_pyarrow_is_gone_redis_keeps_what_files_should_have(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that has files has been promised more than the newest days."""
    await written(Archive(tmp_path / "store" / "archive"), "au2604", [1])
    monkeypatch.setattr("store_svc.ticks.wiring.find_spec", lambda _: None)
    looked: list[None] = []
    look = archiver.Archiver._look

    async def counted(self: archiver.Archiver) -> None:
        await look(self)
        looked.append(None)

    monkeypatch.setattr(archiver.Archiver, "_look", counted)
    async with ticking(tmp_path, own_redis.url, tick_days=1) as made, made.quoting(), made.storing():
        for day in DAYS:
            published(made, day)
        await made.until_ticks_stored()
        looked.clear()
        async with asyncio.timeout(20):
            while not looked:
                made.market.publish("au2604", day=f"2026041{made.market.feed.head % 10}")
                await asyncio.sleep(0.02)
        assert await in_redis(own_redis.url) >= 2700


async def test_an_archive_that_cannot_be_written_is_the_reason_and_redis_keeps_all(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again."""
    monkeypatch.setattr(archiver, "RETRY_SECONDS", 0.1)
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        await made.status()
        in_the_way = tmp_path / "store" / "archive"
        in_the_way.write_text("")
        published(made, DAYS[0])
        published(made, DAYS[1])
        await made.until(lambda status: "archive" in status.archive_reason)
        assert await in_redis(own_redis.url) == 1800
        in_the_way.unlink()
        await until_archived(made, 3)
        await made.until(lambda status: not status.archive_reason)
        await assert_whole(made)


async def test_a_file_that_reads_back_otherwise_is_not_kept_and_nothing_is_trimmed(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk or a library that gives back other ticks costs none."""
    from store_svc.ticks import parquet

    monkeypatch.setattr(files, "compact", lambda table: parquet.compact(table).slice(1))
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        published(made, DAYS[0])
        published(made, DAYS[1])
        await made.until(lambda status: "reads back" in status.archive_reason)
        assert archived(made) == []
        assert await in_redis(own_redis.url) == 1800
        await assert_whole(made)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    half = tmp_path / "20260309" / f"au2604-{EPOCH}-1-2-2.partial"
    half.parent.mkdir()
    half.write_text("half")
    assert Archive(tmp_path).symbols == []
    assert not half.exists()


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.integers(1, 40), st.sampled_from("abcdef")), st.integers(0, 45), st.integers(0, 45))
def test_what_no_file_has_is_known_exactly(
    tmp_path_factory: pytest.TempPathFactory, stored: dict[int, str], after: int, through: int
) -> None:
    """Whichever symbols and days the ticks went to: a to c in one file each, d to f in two."""
    archive = Archive(tmp_path_factory.mktemp("archive"))
    for symbol in set(stored.values()):
        seqs = sorted(seq for seq, whose in stored.items() if whose == symbol)
        half = len(seqs) // 2 if symbol > "c" else 0
        for part in filter(None, (seqs[:half], seqs[half:])):
            asyncio.run(written(archive, symbol, part))
    pairs = asyncio.run(archive.missing(EPOCH, after, through))
    missing = [seq for left, right in pairs for seq in range(left + 1, right + 1)]
    assert missing == [seq for seq in range(after + 1, through + 1) if seq not in stored]


class OfTheLoop(dict[str, list[TickFile]]):
    """Files that only the loop may look at: it adds to them."""

    def values(self) -> Any:
        """Give them, on the loop."""
        asyncio.get_running_loop()
        return super().values()


async def test_what_is_missing_is_found_while_files_are_added(tmp_path: Path) -> None:
    """The thread that reads files has a list of its own."""
    archive = Archive(tmp_path)
    await written(archive, "au2604", range(1, 10, 2))
    archive._files = OfTheLoop(archive._files)
    assert await archive.missing(EPOCH, 5, 9) == [(5, 6), (7, 8)]


SERVICE = """
import asyncio, sys
from pathlib import Path
from arbig.config import Settings, Store
from store_svc.main import run
store = Store(redis=sys.argv[3])
asyncio.run(run(Settings(data=Path(sys.argv[1]), port_base=int(sys.argv[2]), store=store)))
"""


async def test_a_storage_that_is_killed_while_it_archives_loses_nothing(own_redis: Server, tmp_path: Path) -> None:
    """At any moment: half a file, a file that is not trimmed yet, or half of them."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting():
        for number in range(4):
            published(made, f"2026031{number}", 4000)
        arguments = [str(tmp_path), str(made.settings.port_base), own_redis.url]
        for number in range(3):
            service = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVICE, *arguments)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    while len(list(tmp_path.glob("store/archive/*/*"))) < 3 * number + 1:
                        await asyncio.sleep(0.001)
            service.kill()
            await service.wait()
        async with made.storing():
            await made.until_ticks_stored()
            await until_archived(made, 9)
            await assert_whole(made)
            assert list(tmp_path.glob("store/archive/*/*.partial")) == []


async def test_trimming_goes_on_where_redis_leaves_off(own_redis: Server, tmp_path: Path) -> None:
    """One call removes ten thousand entries at most."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        made.market.publish(*["au2604"] * 25_000, day=DAYS[0])
        made.market.publish("au2604", day=DAYS[1])
        await until_archived(made, 1)
        async with asyncio.timeout(10):
            while await in_redis(own_redis.url) > 101:
                await asyncio.sleep(0.02)
        await assert_whole(made)


async def test_ticks_of_an_older_version_are_adopted(own_redis: Server, tmp_path: Path) -> None:
    """0.1.0 noted neither symbols nor days."""
    entries: list[Entry] = []
    async with ticking(tmp_path, own_redis.url) as made, made.quoting():
        published(made, DAYS[0])
        published(made, DAYS[1])
        async with Redis.from_url(own_redis.url) as redis:
            for seq, symbol, data in made.market.feed.between(0, 1800):
                entries.append((Place(EPOCH, seq), data[2:]))
                await redis.xadd(f"ticks:{{{symbol}}}", {"tick": data[2:]}, id=f"{EPOCH}-{seq}")
            await redis.set("cursor:ticks", f"{EPOCH}-1800")
        async with made.storing():
            await until_archived(made, 3)
            await assert_whole(made)
