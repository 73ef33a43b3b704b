"""Whatever breaks and whenever: every event is stored, and none twice."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from arbig.channel import open_channel
from arbig.fanout import element
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2 as tr
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from store_svc.database import Deadline, bounded, open_database
from store_svc.journal.ahead import Ahead
from store_svc.journal.recorder import Recorder
from store_svc.journal.writing import write
from tests import store_faults
from tests.servers import Server
from tests.store_svc.mesh import EPOCH, FakeTrade, Mesh, a_day, assert_everything_once, journal, mesh, order

ORDERS = 400


async def publish_slowly(made: Mesh, orders: int) -> None:
    """Trade on, whatever storage does."""
    for number in range(orders):
        made.trade.publish(*a_day(1, first=number))
        await asyncio.sleep(0.005)


async def test_a_database_that_is_killed_while_trading_goes_on(own_mariadb: Server, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=own_mariadb.url, batch=7) as made, made.trading(), made.storing():
        trading = asyncio.create_task(publish_slowly(made, ORDERS))
        await made.until(lambda status: status.ready)
        for _ in range(4):
            await asyncio.sleep(random.uniform(0.1, 0.4))
            own_mariadb.kill()
            status = await made.until(lambda status: not status.ready)
            assert "database: " in status.reason
            await asyncio.to_thread(own_mariadb.start)
            await made.until(lambda status: status.ready)
        await trading
        await made.until_stored()
        await assert_everything_once(made, ORDERS)


async def test_a_database_that_is_killed_and_hung_at_random_has_what_the_journal_has(tmp_path: Path) -> None:
    assert await store_faults.run(store_faults.Plan(events=2000, kills=2, hangs=1), tmp_path) == []


@pytest.mark.long
async def test_a_database_that_is_killed_twenty_times_has_what_the_journal_has(tmp_path: Path) -> None:
    assert await store_faults.run(store_faults.Plan(), tmp_path) == []


async def test_a_database_that_hangs_is_noticed_in_bounded_time(own_mariadb: Server, tmp_path: Path) -> None:
    settings = {"database": own_mariadb.url, "timeout_seconds": 1, "batch": 5000}
    async with mesh(tmp_path, **settings) as made, made.trading(), made.storing():
        made.trade.publish(*a_day(1))
        await made.until_stored()
        own_mariadb.hang()
        # More than a socket holds, so that even saying goodbye to the server blocks.
        made.trade.publish(*(order(f"o{n}", status_text="x" * 250) for n in range(1, 20_000)))
        async with asyncio.timeout(10):
            status = await made.until(lambda status: not status.ready)
        assert "no answer within 1 s" in status.reason
        own_mariadb.go_on()
        await made.until_stored()
        assert len(await made.orders()) == 20_000


async def test_a_query_to_a_database_that_hangs_is_answered(own_mariadb: Server, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=own_mariadb.url, timeout_seconds=1) as made, made.trading(), made.storing():
        await made.until(lambda status: status.ready)
        own_mariadb.hang()
        with pytest.raises(Exception, match="no answer within 1 s"):
            await made.orders()
        own_mariadb.go_on()
        assert await made.orders() == []


async def test_a_quiet_market_does_not_hide_a_database_that_is_down(own_mariadb: Server, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=own_mariadb.url) as made, made.trading(), made.storing():
        await made.until(lambda status: status.ready)
        own_mariadb.kill()
        await made.until(lambda status: not status.ready)


def failure(text: str) -> OperationalError:
    return OperationalError("", None, Exception(text))


@contextlib.asynccontextmanager
async def faulty(made: Mesh, faults: list[tuple[str, int]], came: set[str]) -> AsyncIterator[list[tuple[str, int]]]:
    """Let the service's database fail: at a statement, before a commit, or after one.

    Each fault says how many of its kind pass before; what is yielded are the faults to come, and
    the kinds of those that came are added to `came`.
    """
    original = open_database(made.settings)
    plan = list(faults)

    def due(kind: str) -> bool:
        if not plan or plan[0][0] != kind:
            return False
        _, left = plan.pop(0)
        if left:
            plan.insert(0, (kind, left - 1))
        else:
            came.add(kind)
        return not left

    def execute(*_: object) -> None:
        if due("statement"):
            raise failure("Deadlock found when trying to get lock")

    commit = original.engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        if due("commit"):
            raise failure("Lost connection before COMMIT")
        commit(connection)
        if due("committed"):
            raise failure("Lost connection after COMMIT")

    event.listen(original.engine.sync_engine, "before_cursor_execute", execute)
    original.engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store_svc.main.open_database", lambda _: original)
        patch.setattr("store_svc.journal.recorder.FIRST_BACKOFF", 0.001)
        yield plan


FAULT = st.tuples(st.sampled_from(["statement", "commit", "committed"]), st.integers(0, 12))


@pytest.fixture(scope="module")
def came() -> Iterator[set[str]]:
    """Collect the kinds of faults that came, and see that none was only planned."""
    kinds: set[str] = set()
    yield kinds
    assert kinds == {"statement", "commit", "committed"}


@example(faults=[("statement", 0)])
@example(faults=[("commit", 3)])
@example(faults=[("committed", 3)])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(FAULT, min_size=1, max_size=6))
async def test_errors_before_in_and_after_a_transaction(
    faults: list[tuple[str, int]], came: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("faults")
    async with mesh(directory, batch=9) as made, faulty(made, faults, came) as plan, made.trading(), made.storing():
        made.trade.publish(*a_day(30))
        await made.until_stored()
        plan.clear()
        await assert_everything_once(made, 30)


@contextlib.asynccontextmanager
async def recording(made: Mesh) -> AsyncIterator[None]:
    """Run the recorder alone, and cancel it."""
    async with (
        contextlib.aclosing(open_database(made.settings)) as database,
        open_channel(made.settings.address("trade")) as channel,
    ):
        recorder = Recorder(database, TradeServiceStub(channel).SubscribeEvents, made.settings.store.batch)
        task = asyncio.create_task(recorder.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("seed", range(6))
async def test_a_recorder_that_is_cancelled_anywhere_goes_on(seed: int, database_url: str, tmp_path: Path) -> None:
    chance = random.Random(seed)
    async with mesh(tmp_path, database=database_url, batch=11) as made, made.trading():
        made.trade.publish(*a_day(60))
        for _ in range(12):
            async with recording(made):
                for _ in range(chance.randrange(400)):
                    await asyncio.sleep(0)
                await asyncio.sleep(chance.choice([0, 0.01, 0.03]))
        async with made.storing():
            await made.until_stored()
            await assert_everything_once(made, 60)


async def test_a_journal_that_was_lost_begins_anew_beside_the_old(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with mesh(tmp_path) as made, made.storing():
        async with made.trading():
            made.trade.publish(order("old"), order("both"))
            await made.until_stored()
        made.trade = FakeTrade(EPOCH + 1)
        made.trade.publish(order("both", state=tr.ORDER_STATE_FILLED), order("new"))
        async with made.trading():
            await made.until_stored()
            found = {one.client_order_id: one.state for one in await made.orders()}
            assert list(found) == ["new", "both", "old"]
            assert found["both"] == tr.ORDER_STATE_FILLED
    assert "the journal began anew" in caplog.text


async def test_a_journal_that_went_back_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with mesh(tmp_path) as made, made.storing():
        async with made.trading():
            made.trade.publish(order("a"), order("b"), order("lost by the journal"))
            await made.until_stored()
        made.trade = FakeTrade()
        made.trade.publish(order("a"), order("other"))
        async with made.trading():
            await made.until_stored()
            assert {one.client_order_id for one in await made.orders()} == {"a", "b", "other", "lost by the journal"}
    assert "the journal went back" in caplog.text


@pytest.mark.parametrize("away", [False, True])
async def test_a_journal_that_was_put_back_and_has_grown_since_is_read_again(
    away: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its numbers go on from what is stored, and yet they mean other events."""
    async with mesh(tmp_path) as made, contextlib.AsyncExitStack() as storage:
        await storage.enter_async_context(made.storing())
        async with made.trading():
            made.trade.publish(order("a"), order("lost"), order("lost too"))
            await made.until_stored()
        if away:
            await storage.aclose()
        made.trade = FakeTrade()
        made.trade.publish(order("a"), order("b"), order("c"), order("d"))
        async with made.trading(), made.storing() if away else contextlib.nullcontext():
            await made.until_stored()
            assert {one.client_order_id for one in await made.orders()} == {"a", "b", "c", "d", "lost", "lost too"}
    assert "the journal went back" in caplog.text
    assert "its event 3 is another one than was stored" in str([vars(one).get("why") for one in caplog.records])


async def test_a_journal_that_is_what_it_was_is_not_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with mesh(tmp_path) as made, made.storing():
        for number in range(3):
            async with made.trading():
                made.trade.publish(*a_day(1, first=number))
                await made.until_stored()
        async with made.trading():
            await assert_everything_once(made, 3)
    assert "the journal went back" not in caplog.text


async def test_an_event_that_the_journal_lacks_is_named_and_what_comes_before_it_is_stored(tmp_path: Path) -> None:
    async with mesh(tmp_path) as made, made.trading(), made.storing():
        made.trade.publish(order("a"))
        await made.until_stored()
        before = len(made.trade.asked)
        for event in (*journal([order("b")], 1), *journal([order("d")], 3)):
            made.trade.feed.append("", element(event.SerializeToString()))
        made.trade.feed.wake()
        status = await made.until(lambda status: not status.ready and status.events.seq == 2)
        assert status.reason == "the journal has no event 3"
        assert (await made.status()).reason == status.reason
        # It is not asked again and again.
        assert len(made.trade.asked) == before
        assert [one.client_order_id for one in await made.orders()] == ["b", "a"]


async def test_a_journal_that_was_mended_is_followed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store_svc.journal.recorder.HOLE_SECONDS", 0.01)
    async with mesh(tmp_path) as made, made.storing():
        made.trade.feed.append("", element(next(journal([order("b")], 1)).SerializeToString()))
        made.trade.feed.wake()
        async with made.trading():
            await made.until(lambda status: status.reason == "the journal has no event 1")
        made.trade = FakeTrade()
        made.trade.publish(order("a"), order("b"))
        async with made.trading():
            await made.until_stored()
            assert [one.client_order_id for one in await made.orders()] == ["b", "a"]


async def test_a_disk_that_hangs_is_told_while_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits for the disk gives no error, and cannot be ended."""
    monkeypatch.setattr("store_svc.journal.recorder.PATIENCE_SECONDS", 0.0)
    hung = asyncio.Event()

    async def write_late(*given: Any) -> None:
        await hung.wait()
        await write(*given)

    async with mesh(tmp_path, timeout_seconds=0.5) as made, made.trading(), made.storing():
        await made.until(lambda status: status.ready)
        monkeypatch.setattr("store_svc.journal.recorder.write", write_late)
        monkeypatch.setattr("store_svc.database.bounded", lambda work, *_: work)
        made.trade.publish(order("a"))
        await made.until(lambda status: status.reason == "database: no answer within 0.5 s")
        hung.set()
        await made.until_stored()


async def test_reading_ahead_is_bounded() -> None:
    ahead = Ahead(3, Cursor())
    await ahead.put(1, list(journal([order("a")] * 3)))
    waiting = asyncio.create_task(ahead.put(1, list(journal([order("b")]))))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len((await ahead.take(2, 1)).events) == 2
    await waiting


async def test_a_batch_is_of_one_life_of_the_journal() -> None:
    ahead = Ahead(10, Cursor())
    await ahead.put(1, list(journal([order("a")])))
    waiting = asyncio.create_task(ahead.put(2, list(journal([order("b")]))))
    await asyncio.sleep(0)
    batches = [await ahead.take(9, 1), await ahead.take(9, 1), await ahead.take(9, 0.01)]
    assert [(batch.epoch, batch.after, len(batch.events)) for batch in batches] == [(1, 0, 1), (2, 0, 1), (2, 1, 0)]
    await waiting


async def test_work_that_does_not_let_go_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store_svc.database.PATIENCE_SECONDS", 0.01)
    cancelled = 0

    async def stubborn() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
        raise asyncio.CancelledError

    with pytest.raises(TimeoutError):
        await bounded(stubborn(), Deadline(0.01))
    assert cancelled == 2
