"""TickHistoryService over gRPC: which ticks a replay has, whatever happens meanwhile."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.channel import open_channel
from arbig.errors import from_rpc
from arbig.store.v1.history_pb2 import ReplayTicksRequest, ReplayTicksResponse
from arbig.store.v1.history_pb2_grpc import TickHistoryServiceStub
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.ticks import archive
from tests.servers import Server, start_redis
from tests.store_svc.mesh import EPOCH, Mesh
from tests.store_svc.ticks.kept import (
    DAYS,
    SYMBOLS,
    assert_whole,
    published,
    replayed,
    seqs_of,
    tick_days,
    ticking,
    ticks_of,
    until_archived,
)


async def refusal(made: Mesh, **request: Any) -> tuple[grpc.StatusCode, str, str]:
    """Give what a replay is refused with: the status, the stable reason, the field."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await replayed(made, **request)
    return error.value.code(), *from_rpc(error.value)


async def insisted(made: Mesh, **request: Any) -> list[ReplayTicksResponse]:
    """Give a replay's answers as soon as storage can give them."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                return await replayed(made, **request)
            await asyncio.sleep(0.02)


async def test_a_replay_goes_on_after_any_cursor(own_redis: Server, tmp_path: Path) -> None:
    """In the archive, at its end, and in Redis; for all symbols and for some."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        for day in DAYS[:2]:
            published(made, day)
        await made.until_ticks_stored()
        await until_archived(made, 3)
        whole = ticks_of(await replayed(made))
        assert [tick.seq for tick in whole] == list(range(1, 1801))
        for after in (1, 450, 899, 900, 901, 1799, 1800):
            cursor = Cursor(epoch=EPOCH, seq=after)
            assert seqs_of(await replayed(made, after=cursor)) == list(range(after + 1, 1801))
            chosen = await replayed(made, after=cursor, symbols=SYMBOLS[:2])
            assert ticks_of(chosen) == [tick for tick in whole[after:] if tick.symbol in SYMBOLS[:2]]
        assert [answer.cursor.seq for answer in await replayed(made)][-1] == 1800


async def test_a_replay_of_days_has_those_days(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends are in it; the rest is not read."""
    days_read: list[str] = []
    read = archive.read

    def noted(file: archive.TickFile, *more: Any) -> Any:
        days_read.append(file.trading_day)
        return read(file, *more)

    monkeypatch.setattr(archive, "read", noted)
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        for day in DAYS:
            published(made, day)
        await made.until_ticks_stored()
        await until_archived(made, 6)
        for first in range(3):
            for last in range(first, 3):
                found = await replayed(made, first_trading_day=DAYS[first], last_trading_day=DAYS[last])
                assert seqs_of(found) == list(range(900 * first + 1, 900 * last + 901))
                assert sorted(set(days_read)) == [day for day in DAYS[first : last + 1] if day != DAYS[2]]
                days_read.clear()
        assert [day.symbol for day in await tick_days(made, symbol="au2606", first_trading_day=DAYS[1])] == [
            "au2606"
        ] * 2


async def test_what_cannot_be_asked_is_named(own_redis: Server, tmp_path: Path) -> None:
    bad = grpc.StatusCode.INVALID_ARGUMENT
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        await made.until_ticks_stored()
        assert await refusal(made, symbols=["../etc"]) == (bad, "BAD_SYMBOL", "symbols")
        for speed in (-1.0, float("nan"), float("inf"), 2e6):
            assert await refusal(made, speed=speed) == (bad, "INVALID_FIELD", "speed")
        assert await refusal(made, first_trading_day="2026-03-09") == (bad, "INVALID_FIELD", "first_trading_day")
        assert await refusal(made, last_trading_day="today") == (bad, "INVALID_FIELD", "last_trading_day")
        assert await refusal(made, end_time=Timestamp(nanos=-1)) == (bad, "INVALID_FIELD", "end_time")


async def test_where_no_ticks_are_kept_the_reason_is_stable(tmp_path: Path) -> None:
    async with ticking(tmp_path, "none") as made, made.storing():
        await made.status()
        assert await refusal(made) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_TICKS", "")
        with pytest.raises(grpc.aio.AioRpcError, match="no ticks are kept"):
            await tick_days(made)


async def test_an_archive_is_read_without_any_redis(own_redis: Server, tmp_path: Path) -> None:
    """Also when the settings no longer want one."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        published(made, DAYS[0])
        made.market.publish(*SYMBOLS, day=DAYS[1])
        await until_archived(made, 3)
    async with ticking(tmp_path, "none") as made, made.storing():
        await made.status()
        assert seqs_of(await replayed(made)) == list(range(1, 901))


async def test_a_redis_that_is_away_is_unavailable(own_redis: Server, tmp_path: Path) -> None:
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        await made.until_ticks_stored()
        own_redis.kill()
        assert (await refusal(made))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_day_that_is_archived_while_it_is_played_is_played_whole(own_redis: Server, tmp_path: Path) -> None:
    """A slow follower holds nothing back: what left Redis comes from the file."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        made.market.publish(*random.choices(SYMBOLS, k=40_000), day=DAYS[0])
        await made.until_ticks_stored()
        async with open_channel(made.settings.address("store")) as channel:
            history: Any = TickHistoryServiceStub(channel)
            call = history.ReplayTicks(ReplayTicksRequest(), timeout=60)
            seqs = [tick.seq for tick in (await call.read()).ticks]
            made.market.publish(*SYMBOLS, day=DAYS[1])
            await until_archived(made, 3)
            while (answer := await call.read()) is not grpc.aio.EOF:
                assert not answer.HasField("gap")
                seqs += [tick.seq for tick in answer.ticks]
        assert seqs == list(range(1, 40_001))


async def test_a_redis_that_loses_its_data_during_a_replay_ends_it(tmp_path: Path) -> None:
    """Nothing is left out in silence; the call that goes on after the cursor has the rest."""
    with start_redis(tmp_path, persistent=False) as redis:
        async with ticking(tmp_path, redis.url) as made, made.quoting(), made.storing():
            made.market.publish(*random.choices(SYMBOLS, k=40_000), day=DAYS[0])
            await made.until_ticks_stored()
            async with open_channel(made.settings.address("store")) as channel:
                history: Any = TickHistoryServiceStub(channel)
                call = history.ReplayTicks(ReplayTicksRequest(), timeout=60)
                answer = await call.read()
                seqs = [tick.seq for tick in answer.ticks]
                redis.kill()
                await asyncio.to_thread(redis.start)
                with contextlib.suppress(grpc.aio.AioRpcError):
                    while True:
                        answer = await call.read()
                        seqs += [tick.seq for tick in answer.ticks]
                assert await call.code() is grpc.StatusCode.UNAVAILABLE
            assert seqs == list(range(1, len(seqs) + 1))
            assert seqs_of(await insisted(made, after=answer.cursor)) == list(range(len(seqs) + 1, 40_001))


async def test_ticks_that_come_meanwhile_are_not_in_the_replay(own_redis: Server, tmp_path: Path) -> None:
    """It ends."""
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        published(made, DAYS[0])
        await made.until_ticks_stored()

        async def publish_for_ever() -> None:
            while True:
                published(made, DAYS[0], 50)
                await asyncio.sleep(0)

        publishing = asyncio.create_task(publish_for_ever())
        seqs = seqs_of(await replayed(made))
        publishing.cancel()
        assert len(seqs) >= 900
        assert seqs == list(range(1, len(seqs) + 1))
        await made.until_ticks_stored()
        await assert_whole(made)
