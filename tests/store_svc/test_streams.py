"""Following strategies, triggers and logs: everything once, in order, or a declared gap."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from arbig.errors import from_rpc
from arbig.store.v1 import log_pb2 as lg
from arbig.store.v1 import strategy_pb2 as st
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc import sequences
from store_svc.logs import records
from store_svc.tables import schema as tables
from tests.servers import Server
from tests.store_svc.strategies_and_logs import DEADLINE, THEN, Follower, Served, config, record, serving, trigger

EARLIER = Cursor(epoch=0)


async def say(served: Served, *messages: str, **more: Any) -> None:
    await served.call(lg.WriteLogsRequest(records=[record(message, **more) for message in messages]))


async def head(served: Served, stream: str = sequences.LOGS) -> Cursor:
    return await served.database.read(lambda on: sequences.head(on, stream))


def messages(found: list[lg.LogRecord]) -> list[str]:
    return [one.message for one in found]


async def test_a_follower_gets_what_comes(served: Served) -> None:
    """Without a cursor it begins with a heartbeat: from there on it is live."""
    await say(served, "before")
    async with Follower(served, lg.SubscribeLogsRequest()) as live:
        first = await live.next()
        assert first.HasField("heartbeat")
        assert first.cursor == await head(served)
        await say(served, "a", "b")
        reply = await live.next()
        assert messages(reply.records) == ["a", "b"]
        assert reply.cursor.seq == reply.records[-1].seq == 3


async def test_a_follower_that_comes_back_gets_all_it_missed(served: Served) -> None:
    await say(served, "a", "b")
    cursor = await head(served)
    await say(served, "c", "d")
    async with Follower(served, lg.SubscribeLogsRequest(after=cursor)) as back:
        assert messages(await back.items(2)) == ["c", "d"]
    async with Follower(served, lg.SubscribeLogsRequest(after=EARLIER)) as new:
        assert messages(await new.items(4)) == ["a", "b", "c", "d"]


async def test_strategies_begin_with_the_newest_change_of_each_that_there_is(served: Served) -> None:
    for name in ("a", "b", "gone"):
        await served.call(st.CreateStrategyRequest(config=config(name)))
    await served.call(st.ActivateStrategyRequest(strategy="a"))
    await served.call(st.DeleteStrategyRequest(strategy="gone"))
    async with Follower(served, st.SubscribeStrategiesRequest()) as live:
        reply = await live.next()
        assert [(one.seq, one.strategy) for one in reply.changes] == [(2, "b"), (4, "a")]
        assert reply.changes[1].kind == st.STRATEGY_CHANGE_KIND_ACTIVATED
        assert reply.changes[1].config.active
        beat = await live.next()
        assert beat.HasField("heartbeat")
        assert beat.cursor.seq == 5
        await served.call(st.DeleteStrategyRequest(strategy="b"))
        (deleted,) = await live.items(1)
        assert (deleted.seq, deleted.kind) == (6, st.STRATEGY_CHANGE_KIND_DELETED)
        assert deleted.config.strategy_class == "arb.Grid"
    async with Follower(served, st.SubscribeStrategiesRequest(strategy="a")) as one:
        assert [change.seq for change in (await one.next()).changes] == [4]
        assert (await one.next()).HasField("heartbeat")
    async with Follower(served, st.SubscribeStrategiesRequest(after=EARLIER, strategy="a")) as everything:
        assert [one.seq for one in await everything.items(2)] == [1, 4]


async def test_a_trigger_comes_when_it_is_recorded_and_when_it_changes(served: Served) -> None:
    async with Follower(served, st.SubscribeTriggersRequest()) as live:
        await live.next()
        made = (await served.call(st.RecordTriggerRequest(trigger=trigger()))).trigger
        assert await live.items(1) == [made]
        change = st.UpdateTriggerRequest(strategy="grid", trigger_id="t1", result=st.TRIGGER_RESULT_SUCCESS)
        made = (await served.call(change)).trigger
        assert await live.items(1) == [made]
    await served.call(st.RecordTriggerRequest(trigger=trigger("t2", strategy="other")))
    async with Follower(served, st.SubscribeTriggersRequest(after=EARLIER)) as late:
        assert [(one.trigger_id, one.seq) for one in await late.items(2)] == [("t1", 2), ("t2", 3)]


async def test_what_this_service_wrote_comes_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking every second is for other services on the database."""
    monkeypatch.setattr("store_svc.tail.POLL_SECONDS", 2 * DEADLINE)
    monkeypatch.setattr("store_svc.tail.HEARTBEAT_SECONDS", 2 * DEADLINE)
    said: list[tuple[Message, Message]] = [
        (st.SubscribeStrategiesRequest(), st.CreateStrategyRequest(config=config())),
        (st.SubscribeStrategiesRequest(after=EARLIER), st.ActivateStrategyRequest(strategy="grid")),
        (st.SubscribeTriggersRequest(), st.RecordTriggerRequest(trigger=trigger())),
        (lg.SubscribeLogsRequest(), lg.WriteLogsRequest(records=[record()])),
    ]
    for subscribe, write in said:
        async with Follower(served, subscribe) as follower:
            await follower.next()
            await served.call(write)
            assert len(await follower.items(1)) == 1


async def test_what_another_service_on_the_database_wrote_comes_too(
    served: Served, database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path) as other, Follower(served, lg.SubscribeLogsRequest()) as live:
        await live.next()
        await say(other, "theirs")
        assert messages(await live.items(1)) == ["theirs"]


async def test_a_filter_narrows_what_is_sent_and_the_cursor_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that comes back need not be shown again what was not for it."""
    monkeypatch.setattr("store_svc.tail.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("store_svc.tail.POLL_SECONDS", 0.02)
    wanted = lg.SubscribeLogsRequest(min_level=lg.LOG_LEVEL_ERROR, service="trade", after=EARLIER)
    async with Follower(served, wanted) as follower:
        await say(served, "no", level=lg.LOG_LEVEL_WARNING, service="trade")
        await say(served, "yes", level=lg.LOG_LEVEL_CRITICAL, service="trade")
        assert messages(await follower.items(1)) == ["yes"]
        await say(served, "no", level=lg.LOG_LEVEL_ERROR, service="market")
        while (beat := await follower.next()).cursor.seq < 3:
            assert not beat.records
        assert beat.HasField("heartbeat")


async def test_quiet_streams_say_that_they_live(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store_svc.tail.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("store_svc.tail.POLL_SECONDS", 0.02)
    async with Follower(served, st.SubscribeTriggersRequest()) as follower:
        beats = [await follower.next() for _ in range(3)]
    assert all(beat.HasField("heartbeat") for beat in beats)


async def test_a_cursor_of_another_database_is_a_gap(served: Served) -> None:
    """Then comes everything that this one has."""
    await say(served, "a")
    strange = Cursor(epoch=1, seq=500)
    async with Follower(served, lg.SubscribeLogsRequest(after=strange)) as follower:
        reply = await follower.next()
        assert reply.gap.after == strange
        assert reply.gap.resume == reply.cursor == Cursor(epoch=(await head(served)).epoch, seq=0)
        assert messages(await follower.items(1)) == ["a"]


async def test_a_database_that_was_restored_is_a_gap_to_those_who_follow(served: Served) -> None:
    """Its numbers mean other events now, and its streams have a new epoch."""
    await say(served, "a")
    async with Follower(served, lg.SubscribeLogsRequest(after=EARLIER)) as follower:
        await follower.items(1)
        await served.database.write(lambda on: on.execute(tables.sequences.update().values(epoch=7)))
        await say(served, "b")
        assert (await follower.next()).gap.resume == Cursor(epoch=7)
        assert messages(await follower.items(2)) == ["a", "b"]


async def test_a_cursor_ahead_of_the_stream_is_refused(served: Served) -> None:
    cursor = await head(served)
    cursor.seq = 2**64 - 1
    async with Follower(served, lg.SubscribeLogsRequest(after=cursor)) as follower:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await follower.next()
    assert refused.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert from_rpc(refused.value)[0] == "CURSOR_AHEAD"


async def prune(served: Served, days: int) -> None:
    """Do what the service does every hour, so many days later."""
    await served.system_logs.prune(THEN.replace(tzinfo=None) + timedelta(days=days))


async def test_records_that_were_removed_are_a_gap(served: Served) -> None:
    young = THEN + timedelta(days=39)
    await say(served, *map(str, range(5)))
    after = await head(served)
    after.seq = 2
    await say(served, "young", time=young)
    await prune(served, 40)
    async with Follower(served, lg.SubscribeLogsRequest(after=after)) as follower:
        reply = await follower.next()
        assert (reply.gap.after.seq, reply.gap.resume.seq) == (2, 5)
        assert messages(await follower.items(1)) == ["young"]
    await prune(served, 80)
    async with Follower(served, lg.SubscribeLogsRequest(after=after)) as follower:
        assert (await follower.next()).gap.resume.seq == 6
        await say(served, "next")
        assert messages(await follower.items(1)) == ["next"]
    async with Follower(served, lg.SubscribeLogsRequest(after=EARLIER)) as oldest:
        assert messages(await oldest.items(1)) == ["next"]


async def test_only_the_oldest_records_are_removed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong clock neither takes young records away nor keeps old ones, and a hole is never within."""
    monkeypatch.setattr(records, "PRUNE_ROWS", 2)
    await say(served, "old", "old")
    await say(served, "ahead", time=THEN.replace(year=9999))
    await say(served, "old")
    await say(served, "young", time=THEN + timedelta(days=39))
    await say(served, "slow", time=THEN.replace(year=1970))
    await prune(served, 40)
    kept = await served.listed(lg.ListLogsRequest())
    assert messages(kept) == ["slow", "young"]


async def test_a_follower_that_falls_behind_what_is_kept_is_told(served: Served) -> None:
    async with Follower(served, lg.SubscribeLogsRequest()) as follower:
        await follower.next()
        await served.database.write(write_and_remove)
        assert (await follower.next()).gap.resume.seq == 1


async def write_and_remove(on: Any) -> None:
    await records.write(on, [record("a", log_id="a")])
    await on.execute(tables.system_logs.delete())


async def test_messages_stay_small_enough_to_be_read(served: Served) -> None:
    """Five hundred records may be more than a message holds."""
    big = "文" * 8000
    for number in range(5):
        await say(served, *[big] * 100, service=f"s{number}")
    async with Follower(served, lg.SubscribeLogsRequest(after=EARLIER)) as follower:
        found = await follower.items(500)
    assert [one.seq for one in found] == list(range(1, 501))
    listed = await served.listed(lg.ListLogsRequest(page_size=1000))
    assert [one.seq for one in listed] == list(range(500, 0, -1))


async def test_a_database_that_goes_down_ends_the_stream(own_mariadb: Server, tmp_path: Path) -> None:
    """The follower comes back with its cursor, and nothing is missing."""
    async with serving(own_mariadb.url, tmp_path) as served:
        await say(served, "a")
        async with Follower(served, lg.SubscribeLogsRequest(after=EARLIER)) as follower:
            cursor = (await follower.next()).cursor
            own_mariadb.kill()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await follower.items(1)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert from_rpc(ended.value)[0] == "DATABASE_DOWN"
        await asyncio.to_thread(own_mariadb.start)
        await say(served, "b")
        async with Follower(served, lg.SubscribeLogsRequest(after=cursor)) as back:
            assert messages(await back.items(1)) == ["b"]
