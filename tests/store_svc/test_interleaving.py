"""Several writers in two processes, followers that come and go: nothing skipped, nothing twice.

Two Database objects on one URL are two processes to each other: they share nothing but the tables.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from arbig.store.v1 import log_pb2 as lg
from arbig.store.v1 import strategy_pb2 as st
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc import sequences
from tests.store_svc.strategies_and_logs import Follower, Served, record, serving, trigger

CALLS = 12
DEADLINE = 60.0


@pytest.fixture
async def pair(database_url: str, tmp_path: Path) -> AsyncIterator[list[Served]]:
    """Serve one database twice."""
    async with serving(database_url, tmp_path) as one, serving(database_url, tmp_path) as other:
        yield [one, other]


async def write_logs(served: Served, writer: int, dice: random.Random) -> None:
    """Write records, a few at a time, and now and then a call again."""
    for number in range(CALLS):
        names = [f"{writer}-{number}-{part}" for part in range(dice.randint(1, 4))]
        request = lg.WriteLogsRequest(records=[record(name, log_id=name) for name in names])
        for _ in range(dice.choice([1, 1, 2])):
            await served.call(request)
        await asyncio.sleep(dice.random() * 0.01)


async def write_triggers(served: Served, writer: int, dice: random.Random) -> None:
    """Record triggers, and change some of all writers'."""
    for number in range(CALLS):
        await served.call(st.RecordTriggerRequest(trigger=trigger(f"{writer}-{number}")))
        change = st.UpdateTriggerRequest(strategy="grid", trigger_id=f"{writer}-{dice.randint(0, number)}")
        change.volume = dice.randint(0, 5)
        await served.call(change)


class Restless:
    """A follower that goes away after a few messages and comes back, perhaps elsewhere."""

    def __init__(self, pair: list[Served], request: Callable[[Cursor], Any], dice: random.Random) -> None:
        self.items: list[Any] = []
        self._pair = pair
        self._request = request
        self._dice = dice
        self._cursor = Cursor()

    async def until(self, head: Callable[[], int]) -> None:
        """Follow until everything up to the head, which may grow, is there."""
        async with asyncio.timeout(DEADLINE):
            while self._cursor.seq < head():
                async with Follower(self._dice.choice(self._pair), self._request(self._cursor)) as follower:
                    for _ in range(self._dice.randint(1, 4)):
                        self._take(await follower.next())
                        if self._cursor.seq >= head():
                            return

    def _take(self, reply: Any) -> None:
        assert not reply.HasField("gap"), reply
        self.items += getattr(reply, reply.DESCRIPTOR.fields_by_number[1].name)
        self._cursor = reply.cursor


async def interleave(pair: list[Served], seed: int) -> tuple[list[list[lg.LogRecord]], list[list[st.Trigger]]]:
    """Let all of them run, and give what each follower has at the end."""
    dice = [random.Random(f"{seed} {number}") for number in range(10)]
    logs = [Restless(pair, lambda at: lg.SubscribeLogsRequest(after=at), dice[number]) for number in (0, 1)]
    triggers = [Restless(pair, lambda at: st.SubscribeTriggersRequest(after=at), dice[number]) for number in (2, 3)]
    heads = {sequences.LOGS: 1 << 62, sequences.TRIGGERS: 1 << 62}
    async with asyncio.TaskGroup() as group:
        for stream, followers in ((sequences.LOGS, logs), (sequences.TRIGGERS, triggers)):
            for one in followers:
                group.create_task(one.until(lambda stream=stream: heads[stream]))  # type: ignore[misc]
        writers = [write_logs(pair[number % 2], number, dice[4 + number]) for number in range(4)]
        writers += [write_triggers(pair[number % 2], number, dice[8 + number]) for number in range(2)]
        await asyncio.gather(*writers)
        for stream in heads:
            heads[stream] = 1 + (await pair[0].database.read(lambda on, stream=stream: sequences.head(on, stream))).seq  # type: ignore[misc]
        # For those who have all and wait for more.
        await pair[0].call(lg.WriteLogsRequest(records=[record("last")]))
        await pair[0].call(st.RecordTriggerRequest(trigger=trigger("last")))
    return [one.items for one in logs], [one.items for one in triggers]


async def check(pair: list[Served], seed: int) -> None:
    logs, triggers = await interleave(pair, seed)
    stored = (await pair[1].listed(lg.ListLogsRequest(page_size=1000)))[::-1]
    for found in logs:
        assert [one.log_id for one in found] == [one.log_id for one in stored]
        assert found == stored
    assert [one.seq for one in stored] == list(range(1, len({one.log_id for one in stored}) + 1))
    newest = {one.trigger_id: one for one in await pair[1].listed(st.ListTriggersRequest(page_size=1000))}
    for seen in triggers:
        assert [one.seq for one in seen] == sorted({one.seq for one in seen})
        assert {one.trigger_id: one for one in seen} == newest


async def test_followers_skip_nothing_and_get_nothing_twice(pair: list[Served]) -> None:
    await check(pair, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 32))
async def test_followers_skip_nothing_in_any_story(pair: list[Served], seed: int) -> None:
    await check(pair, seed)
