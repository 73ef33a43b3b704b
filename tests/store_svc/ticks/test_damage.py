"""What is damaged or in the way costs ticks at most their storage, for a while, and says so."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from arbig.log import facts
from arbig.server import serve
from store_svc.ticks import recorder
from store_svc.ticks.archive import Archive
from store_svc.ticks.history import TickHistory, TicksAway
from store_svc.ticks.place import BEGIN, Place
from store_svc.ticks.replay import Range
from store_svc.ticks.streams import CURSOR
from tests.servers import Server
from tests.store_svc.mesh import EPOCH, FakeMarket
from tests.store_svc.ticks.kept import gaps_of, replayed, seqs_of, ticking, written


async def test_an_archive_that_cannot_be_read_is_ticks_away(tmp_path: Path) -> None:
    """A damaged file, one that is gone, and notes that are damaged: who asks is told, and may ask again."""
    archive = Archive(tmp_path)
    history = TickHistory(None, archive)
    await written(archive, "au2604", range(1, 10))
    [file] = archive.files("au2604")
    file.path.write_bytes(file.path.read_bytes()[:-9])
    picture = await history.picture(BEGIN)
    with pytest.raises(TicksAway, match="damaged"):
        await anext(picture.pages("au2604", BEGIN, Range()))
    file.path.unlink()
    with pytest.raises(TicksAway, match="archive"):
        await history.days(["au2604"])
    (tmp_path / "gaps.json").write_text("{")
    with pytest.raises(TicksAway, match=r"gaps\.json is damaged"):
        await history.picture(BEGIN)


async def test_a_damaged_file_keeps_ticks_from_being_stored_and_nothing_else(own_redis: Server, tmp_path: Path) -> None:
    """What it has cannot be told from what is lost; once it is whole again, all goes on."""
    archive = Archive(tmp_path / "store" / "archive")
    await written(archive, "au2604", range(1, 20, 2))
    [file] = archive.files("au2604")
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:-9])
    async with ticking(tmp_path, own_redis.url) as made:
        made.market = FakeMarket(size=8)
        made.market.publish(*["au2604"] * 30)
        async with made.quoting(), made.storing():
            await made.until(lambda status: status.ticks_reason.startswith("archive: ") and status.ready)
            file.path.write_bytes(whole)
            await made.until_ticks_stored()
            answers = await replayed(made)
    assert seqs_of(answers) == [*range(1, 20, 2), *range(23, 31)]
    assert gaps_of(answers) == [*((seq, seq + 1) for seq in range(1, 18, 2)), (19, 22)]


async def test_another_service_on_the_market_port_is_the_reason(own_redis: Server, tmp_path: Path) -> None:
    """Whatever it answers, orders are stored; and ticks are as soon as the right one is there."""
    async with ticking(tmp_path, own_redis.url) as made, made.storing():
        async with serve(made.settings.address("market"), [("arbig.trade.v1.TradeService", made.trade)]):
            await made.until(lambda status: "not found" in status.ticks_reason and status.ready)
        async with made.quoting():
            made.market.publish("au2604")
            await made.until_ticks_stored()


class Counted(FakeMarket):
    """Counts who follows."""

    calls = 0

    async def SubscribeTicks(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Stream the ticks."""
        self.calls += 1
        async for reply in super().SubscribeTicks(request, context):
            yield reply


async def test_a_fault_that_stands_is_logged_once(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is met, and whatever numbers it says; and so is its end.

    A market service behind what is stored lost ticks, and numbers others like them: an error.
    """
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(recorder, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(recorder, "LAST_BACKOFF", 0.01)
    async with Redis.from_url(own_redis.url) as redis:
        await redis.set(CURSOR, f"{EPOCH}-5")
    async with ticking(tmp_path, own_redis.url) as made:
        made.market = market = Counted()
        async with made.quoting(), made.storing():
            async with asyncio.timeout(20):
                while market.calls < 6:
                    market.publish(*["au2604"] * (market.calls - market.feed.head if market.calls < 4 else 0))
                    await asyncio.sleep(0.01)
            logged = [one.message for one in caplog.records if one.name == recorder.__name__]
            assert logged == ["cannot store ticks, trying again"]
            [error] = [one for one in caplog.records if one.levelno == logging.ERROR]
            assert facts(error)["stored"] == Place(EPOCH, 5)
            assert "cursor 5 lies ahead of the stream, which is at" in str(facts(error)["why"])
            market.publish(*["au2604"] * 7)
            await made.until_ticks_stored()
    logged = [one.message for one in caplog.records if one.name == recorder.__name__]
    assert logged == ["cannot store ticks, trying again", "recording ticks"]
