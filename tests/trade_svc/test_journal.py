"""The journal: on disk before anyone sees it, and the same after any restart."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from arbig.errors import ConfigError
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.journal import Journal


@contextmanager
def journal_in(directory: Path) -> Iterator[Journal]:
    with closing(Journal(directory / "journal.db", asyncio.get_running_loop())) as journal:
        yield journal


def order(number: int, state: pb.OrderState.ValueType = pb.ORDER_STATE_ACCEPTED, day: str = "20261123") -> pb.Order:
    return pb.Order(client_order_id=f"o{number}", account_id="sim", trading_day=day, state=state)


async def followed(journal: Journal, count: int) -> list[pb.Event]:
    events: list[pb.Event] = []
    with journal.feed.follower("test") as follower:
        async for batch in follower.batches(Cursor()):
            reply = pb.SubscribeEventsResponse.FromString(batch.response(pb.SubscribeEventsResponse))
            events += reply.events
            if len(events) >= count:
                break
    return events


async def test_followers_see_events_only_when_they_are_on_the_disk(tmp_path: Path) -> None:
    """What a follower knows survives any crash."""
    with journal_in(tmp_path) as journal:
        done = journal.append([order(1)])
        assert journal.feed.head == 0
        await done
        rows = sqlite3.connect(tmp_path / "journal.db").execute("SELECT count(*) FROM events").fetchone()
        assert (journal.feed.head, rows) == (1, (1,))


async def test_a_restart_goes_on_with_epoch_and_numbers(tmp_path: Path) -> None:
    """A follower's cursor stays good."""
    with journal_in(tmp_path) as journal:
        await journal.append([order(1), order(2)])
        epoch = journal.feed.epoch
    with journal_in(tmp_path) as journal:
        await journal.append([order(3)])
        assert journal.feed.epoch == epoch
        assert [event.seq for event in await followed(journal, 3)] == [1, 2, 3]


async def test_a_follower_from_the_beginning_gets_what_memory_no_longer_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal keeps everything: there is no gap."""
    monkeypatch.setattr("trade_svc.journal.RING", 8)
    with journal_in(tmp_path) as journal:
        for number in range(50):
            await journal.append([order(number)])
        assert [event.seq for event in await followed(journal, 50)] == list(range(1, 51))


async def test_appends_are_done_in_their_order(tmp_path: Path) -> None:
    """Orders leave in the order of their OrderRef."""
    with journal_in(tmp_path) as journal:
        done: list[int] = []

        async def write(number: int) -> None:
            await journal.append([order(number)])
            done.append(number)

        await asyncio.gather(*map(write, range(100)))
        assert done == list(range(100))


async def test_an_order_of_any_day_is_found(tmp_path: Path) -> None:
    """An id is unique for ever."""
    with journal_in(tmp_path) as journal:
        await journal.append([order(1, day="20250101"), order(2)])
        found = await journal.order("sim", "o1")
        assert found is not None
        assert found.trading_day == "20250101"
        assert await journal.order("sim", "o9") is None
        assert await journal.order("other", "o1") is None


async def test_a_restart_recalls_the_last_day_and_what_is_not_final(tmp_path: Path) -> None:
    """An order that may still be at the exchange is never forgotten."""
    with journal_in(tmp_path) as journal:
        old_open = order(1, pb.ORDER_STATE_UNKNOWN, "20261120")
        old_done = order(2, pb.ORDER_STATE_FILLED, "20261120")
        await journal.append([old_open, old_done, order(3, pb.ORDER_STATE_FILLED)])
    with journal_in(tmp_path) as journal:
        recalled = journal.recall("sim")
        assert sorted(one.client_order_id for one in recalled.orders) == ["o1", "o3"]


async def test_what_is_appended_is_a_copy(tmp_path: Path) -> None:
    """The order goes on changing while the disk is asked."""
    with journal_in(tmp_path) as journal:
        one = order(1)
        done = journal.append([one])
        one.state = pb.ORDER_STATE_FILLED
        await done
        assert (await followed(journal, 1))[0].order.state == pb.ORDER_STATE_ACCEPTED


async def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    """The service does not start on it, and does not overwrite it."""
    (tmp_path / "journal.db").write_text("this is not a database, and long enough to be read as one" * 20)
    with pytest.raises(ConfigError, match=r"journal\.db cannot be used"), journal_in(tmp_path):
        pass


async def test_a_journal_that_cannot_write_ends_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits hears why, nothing is shown to followers, and the loop's handler ends the process."""

    def full(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    with journal_in(tmp_path) as journal:
        monkeypatch.setattr(journal, "_commit", full)
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            await journal.append([order(1)])
        assert journal.feed.head == 0
        assert len(faults) == 1
