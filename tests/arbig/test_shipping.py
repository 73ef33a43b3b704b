"""The mesh's own warnings reach the system log, and its absence reaches nobody."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from arbig import shipping as module
from arbig.errors import InvalidField, Unavailable
from arbig.server import Context, serve
from arbig.shipping import BATCH, SIZE, shipping
from arbig.store.v1 import log_pb2 as pb
from tests.servers import free_port

NAME = "arbig.store.v1.LogService"
DEADLINE = 10.0
log = logging.getLogger("arbig.test")


class FakeLogs:
    """A system log that keeps what it is told, in memory."""

    def __init__(self) -> None:
        self.records: dict[str, pb.LogRecord] = {}
        self.calls = 0
        self.refuse: Exception | None = None

    async def WriteLogs(self, request: pb.WriteLogsRequest, _: Context) -> pb.WriteLogsResponse:  # noqa: N802
        """Keep them, or refuse after keeping them, as a database whose answer is lost."""
        self.calls += 1
        if not isinstance(self.refuse, InvalidField):
            self.records.update({one.log_id: one for one in request.records})
        if self.refuse:
            raise self.refuse
        return pb.WriteLogsResponse()

    async def ListLogs(self, _: Any, __: Context) -> None:  # noqa: N802
        """Be there."""

    async def SubscribeLogs(self, _: Any, __: Context) -> AsyncIterator[None]:  # noqa: N802
        """Be there."""
        yield

    @property
    def messages(self) -> list[str]:
        """What was said, in the order that it came."""
        return [one.message for one in self.records.values()]


@pytest.fixture
def logs() -> FakeLogs:
    return FakeLogs()


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(module, "LAST_PAUSE_SECONDS", 0.1)


@contextlib.asynccontextmanager
async def shipped(logs: FakeLogs, address: str) -> AsyncIterator[None]:
    """Ship to a system log that is there."""
    async with serve(address, [(NAME, logs)]), shipping("market", address):
        yield


def fact(record: pb.LogRecord, name: str) -> str:
    """Give a text of the details."""
    return record.details.fields[name].string_value


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_warning_is_shipped_with_its_facts(logs: FakeLogs, address: str) -> None:
    before = time.time()
    async with shipped(logs, address):
        log.info("not this")
        log.warning("stream %s", "lost", extra={"why": OSError("gone"), "lag": 3, "up": False, "at": 2**60})
        await until(lambda: bool(logs.records))
    (record,) = logs.records.values()
    assert (record.level, record.service, record.module) == (pb.LOG_LEVEL_WARNING, "market", "arbig.test")
    assert record.message == "stream lost"
    assert dict(record.details) == {"why": "gone", "lag": 3, "up": False, "at": str(2**60)}
    assert before <= record.time.ToMicroseconds() / 1e6 <= time.time()


async def test_levels_are_kept_and_a_traceback_is_a_fact(logs: FakeLogs, address: str) -> None:
    async with shipped(logs, address):
        log.error("an error", exc_info=ValueError("bad tick"))
        log.critical("the end")
        log.log(35, "between")
        await until(lambda: len(logs.records) == 3)
    error, critical, between = logs.records.values()
    assert [error.level, critical.level, between.level] == [4, 5, 3]
    assert fact(error, "traceback").endswith("ValueError: bad tick")


async def test_what_was_said_while_storage_was_away_comes_later(logs: FakeLogs, address: str) -> None:
    """And that it was away was no reason to log anything."""
    async with shipping("market", address):
        log.warning("alone")
        await asyncio.sleep(0.2)
        async with serve(address, [(NAME, logs)]):
            await until(lambda: bool(logs.records))
    assert logs.messages == ["alone"]


async def test_a_call_that_is_repeated_writes_nothing_twice(logs: FakeLogs, address: str) -> None:
    """Whether the first one was written is not known; the ids tell."""
    logs.refuse = Unavailable("no answer", "DATABASE_DOWN")
    async with shipped(logs, address):
        for number in range(BATCH + 10):
            log.warning("record %d", number)
        await until(lambda: logs.calls > 1)
        logs.refuse = None
        await until(lambda: len(logs.records) == BATCH + 10)
    assert logs.messages == [f"record {number}" for number in range(BATCH + 10)]


async def test_the_oldest_go_first_and_how_many_is_said(logs: FakeLogs, address: str) -> None:
    async with shipping("market", address):
        for number in range(SIZE + 7):
            log.warning("record %d", number)
        async with serve(address, [(NAME, logs)]):
            await until(lambda: len(logs.records) == SIZE + 1)
    lost, *kept = logs.messages
    assert lost.startswith("7 log records were lost")
    assert kept == [f"record {number}" for number in range(7, SIZE + 7)]


async def test_records_that_are_refused_are_not_sent_for_ever(logs: FakeLogs, address: str) -> None:
    logs.refuse = InvalidField("records[0].message", "too long")
    async with shipped(logs, address):
        log.warning("bad")
        await until(lambda: logs.calls == 1)
        logs.refuse = None
        log.warning("good")
        await until(lambda: "good" in logs.messages)
    assert [text.split(" ")[0] for text in logs.messages] == ["1", "good"]


async def test_how_many_were_lost_is_not_lost_with_a_batch_that_is_refused(logs: FakeLogs, address: str) -> None:
    logs.refuse = InvalidField("records[0].message", "too long")
    async with shipped(logs, address):
        for number in range(3):
            log.warning("bad %d", number)
        await until(lambda: logs.calls == 1)
        log.warning("bad too")
        await until(lambda: logs.calls == 2)
        logs.refuse = None
        log.warning("good")
        await until(lambda: "good" in logs.messages)
    assert logs.messages[0].startswith("4 log records were lost")


async def test_what_storage_would_refuse_is_cut(logs: FakeLogs, address: str) -> None:
    """Neither a long text nor half a character keeps the others back."""
    async with shipped(logs, address):
        log.warning("x" * 9000, extra={"long": "y" * 9000, "half": "\ud800"})
        log.warning("")
        await until(lambda: len(logs.records) == 2)
    long, empty = logs.records.values()
    assert (len(long.message), len(fact(long, "long")), fact(long, "half")) == (8000, 1000, "?")
    assert empty.message


async def test_every_thread_may_log(logs: FakeLogs, address: str) -> None:
    """CTP calls us on its own."""

    def talk(name: int) -> None:
        for number in range(100):
            log.warning("%d %d", name, number)

    async with shipped(logs, address):
        threads = [threading.Thread(target=talk, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        await until(lambda: len(logs.records) == 400)
    assert [text for text in logs.messages if text[0] == "2"] == [f"2 {number}" for number in range(100)]


async def fail(address: str) -> None:
    async with shipping("market", address):
        log.warning("almost")
        raise KeyError("symbol")


async def test_the_last_words_are_sent(logs: FakeLogs, address: str) -> None:
    async with serve(address, [(NAME, logs)]):
        with pytest.raises(KeyError):
            await fail(address)
        assert logs.messages == ["almost", "the service ended"]
        last = list(logs.records.values())[-1]
    assert last.level == pb.LOG_LEVEL_CRITICAL
    assert "KeyError: 'symbol'" in fact(last, "traceback")


async def test_a_service_ends_in_time_without_storage(address: str) -> None:
    """Also where something accepts connections and says nothing."""
    for listener in (None, await asyncio.start_server(lambda *_: None, *address.split(":"))):
        began = time.monotonic()
        async with shipping("market", address):
            log.warning("nobody hears this")
        assert time.monotonic() - began < 2
        if listener:
            listener.close()


async def test_nothing_is_left_behind(address: str) -> None:
    before = list(logging.getLogger().handlers)
    async with shipping("market", address):
        pass
    assert logging.getLogger().handlers == before


def test_a_record_that_cannot_be_said_harms_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Logging's own way: it is printed."""
    buffer = module.Buffer("market")
    buffer.handle(logging.makeLogRecord({"msg": "%d lots", "args": ("three",), "levelno": logging.WARNING}))
    assert not buffer.waiting
    assert "TypeError" in capsys.readouterr().err
