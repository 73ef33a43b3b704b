"""Sending this process's warnings and errors to the system log, LogService.

A record waits in a bounded buffer; the oldest goes when it is full, and how many went is said in a
record of its own, until that is taken. How the storage service itself ends is only on its standard
error: there is nobody then who could store it. Logging never waits for the storage service, and
that it is away is no reason to log: it would be shipped too.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import re
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from logging.handlers import QueueHandler
from typing import Any, NamedTuple

import grpc

from arbig.channel import open_channel
from arbig.log import facts
from arbig.store.v1 import log_pb2 as pb
from arbig.store.v1.log_pb2_grpc import LogServiceStub

SIZE = 1_000
# Of the largest records so many are less than a message may hold.
BATCH = 50
PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 5.0
CALL_SECONDS = 5.0
LAST_TRY_SECONDS = 1.0
# What LogService takes of a text, and what we send of a traceback and of a fact.
MESSAGE, MODULE, TRACEBACK, FACT = 8_000, 200, 8_000, 1_000

# Another try would not mend these.
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_TRACEBACKS = logging.Formatter()
_LEVELS = {
    logging.CRITICAL: pb.LOG_LEVEL_CRITICAL,
    logging.ERROR: pb.LOG_LEVEL_ERROR,
    logging.WARNING: pb.LOG_LEVEL_WARNING,
}


class Batch(NamedTuple):
    """What one call sends, and how many records are lost if it is refused: also those it tells of."""

    records: list[pb.LogRecord]
    at_stake: int


class Buffer(QueueHandler):
    """Records that wait to be sent; any thread may log."""

    def __init__(self, service: str) -> None:
        self.waiting: deque[pb.LogRecord] = deque()
        super().__init__(self.waiting)  # type: ignore[arg-type]  # only `enqueue` uses it
        self.setLevel(logging.WARNING)
        self._service = service
        self._dropped = 0
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:20]
        self._process = f"{host}-{os.getpid()}-{time.time_ns() // 1_000_000}"
        self._numbers = itertools.count(1)

    def prepare(self, record: logging.LogRecord) -> pb.LogRecord:
        """Make the record that is sent; the arguments of the message may change afterwards."""
        details: dict[str, Any] = {name: _fact(value) for name, value in facts(record).items()}
        if record.exc_info:
            details["traceback"] = _text(_TRACEBACKS.formatException(record.exc_info), -TRACEBACK)
        level = max((one for one in _LEVELS if one <= record.levelno), default=logging.WARNING)
        made = self._record(_LEVELS[level], record.name, record.getMessage(), details)
        made.time.FromMicroseconds(int(record.created * 1_000_000))
        return made

    def enqueue(self, record: Any) -> None:
        """Let the record wait, and drop the oldest if there are too many; we hold the handler's lock."""
        if len(self.waiting) >= SIZE:
            self.waiting.popleft()
            self._dropped += 1
        self.waiting.append(record)

    def take(self) -> "Batch":
        """Take the oldest records, as many as one call sends, and one about those that were dropped."""
        self.acquire()
        taken = [self.waiting.popleft() for _ in range(min(len(self.waiting), BATCH))]
        dropped, self._dropped = self._dropped, 0
        self.release()
        return Batch([self._lost(dropped), *taken] if dropped else taken, dropped + len(taken))

    def lose(self, records: int) -> None:
        """Count records that can never be sent."""
        self.acquire()
        self._dropped += records
        self.release()

    def _lost(self, dropped: int) -> pb.LogRecord:
        text = f"{dropped} log records were lost: the system log did not take them"
        made = self._record(pb.LOG_LEVEL_WARNING, __name__, text, {"dropped": dropped})
        made.time.GetCurrentTime()
        return made

    def _record(
        self, level: "pb.LogLevel.ValueType", module: str, message: str, details: dict[str, Any]
    ) -> pb.LogRecord:
        made = pb.LogRecord(level=level, service=self._service, module=_text(module, MODULE))
        made.log_id = f"{self._process}-{next(self._numbers)}"
        made.message = _text(message, MESSAGE) or "(nothing)"
        if details:
            made.details.update(details)
        return made


def _fact(value: object) -> bool | float | str | None:
    """Give the value as JSON has it, if it does: a larger number would be rounded."""
    if value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 2**53):
        return value
    return _text(str(value), FACT)


def _text(text: str, most: int) -> str:
    """Cut a text, at its beginning for a negative length, and take out what UTF-8 has not."""
    cut = text[most:] if most < 0 else text[:most]
    return cut.encode("utf-8", "replace").decode()


class _Sender:
    """What was taken of a buffer stays here until it is sent."""

    def __init__(self, buffer: Buffer, write: Any) -> None:
        self._buffer = buffer
        self._write = write
        self._batch = Batch([], 0)

    async def run(self) -> None:
        """Send for ever; a service that is away is asked less and less often."""
        pause = PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = PAUSE_SECONDS if await self._send(CALL_SECONDS) else min(2 * pause, LAST_PAUSE_SECONDS)

    async def finish(self) -> None:
        """Send the rest, as far as that goes at once."""
        clock = asyncio.get_running_loop().time
        until = clock() + LAST_TRY_SECONDS
        while (self._batch.records or self._buffer.waiting) and clock() < until:
            if not await self._send(until - clock()):
                return

    async def _send(self, seconds: float) -> bool:
        if not self._batch.records:
            self._batch = self._buffer.take()
        if not self._batch.records:
            return True
        try:
            await self._write(pb.WriteLogsRequest(records=self._batch.records), timeout=seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSED:
                self._buffer.lose(self._batch.at_stake)
                self._batch = Batch([], 0)
            return False
        self._batch = Batch([], 0)
        return True


@contextlib.asynccontextmanager
async def shipping(service: str, address: str) -> AsyncIterator[None]:
    """Send the warnings and errors of this process to the LogService at the address, and how it ends.

    What is not sent at the end is tried once more, for a second at most.
    """
    buffer = Buffer(service)
    logging.getLogger().addHandler(buffer)
    async with open_channel(address) as channel:
        sender = _Sender(buffer, LogServiceStub(channel).WriteLogs)
        task = asyncio.create_task(sender.run())
        try:
            yield
        except Exception:
            # Python prints it, and the log has not heard of it.
            ended = {
                "name": service,
                "levelno": logging.CRITICAL,
                "msg": "the service ended",
                "exc_info": sys.exc_info(),
            }
            buffer.handle(logging.makeLogRecord(ended))
            raise
        finally:
            logging.getLogger().removeHandler(buffer)
            task.cancel()
            await asyncio.wait({task})
            await sender.finish()
