"""One TCP connection of CTP's library to a front, and the listener that accepts them.

A client that sends garbage, or falls silent, or does not read what it is sent, is disconnected with
a line in the log; the others do not notice.
"""

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from arbig.errors import ConfigError
from ctp_front import tids, wire
from ctp_front.layout import record
from ctp_front.wire import Message, WireError

log = logging.getLogger(__name__)

# The library gives up after 120 s without a byte; it sends a heartbeat every 15 s itself.
_HEARTBEAT_SECONDS = 10.0
_SILENT_SECONDS = 120.0
# What may wait for a client that reads slowly.
_BACKLOG = 64 * 1024 * 1024
# Where `drain` begins to wait.
_HIGH_WATER = 1024 * 1024

_numbers = itertools.count(1)

Handler = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One client; it knows packets and messages, not what they mean."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, front: str) -> None:
        self._reader = reader
        self._writer = writer
        self._sent = self._heard = True
        self._silent = 0.0
        self.facts = {"front": front, "connection": next(_numbers)}
        writer.transport.set_write_buffer_limits(high=_HIGH_WATER)

    def send(self, data: bytes) -> None:
        """Send packets; a client that lets too many wait is dropped."""
        if self._writer.transport.is_closing():
            return
        self._sent = True
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > _BACKLOG:
            self.drop("too slow a reader")

    async def drain(self, seconds: float) -> None:
        """Wait until most of what was sent is on its way; a client that takes longer is dropped."""
        if self._writer.transport.get_write_buffer_size() <= _HIGH_WATER or self._writer.transport.is_closing():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._writer.drain()
        except TimeoutError:
            self.drop("does not read")
        except ConnectionError:
            self._writer.transport.abort()  # it is gone; its reader notices

    def drop(self, reason: str) -> None:
        """Disconnect at once."""
        log.warning("client dropped", extra={**self.facts, "reason": reason})
        self._writer.transport.abort()

    def close(self) -> None:
        """Disconnect when everything is sent."""
        self._writer.close()

    def beat(self) -> None:
        """Keep an idle client from giving up, and give up on one that is silent itself."""
        if not self._sent:
            self.send(wire.HEARTBEAT)
        self._silent = 0.0 if self._heard else self._silent + _HEARTBEAT_SECONDS
        if self._silent > _SILENT_SECONDS:
            self.drop("silent")
        self._sent = self._heard = False

    async def messages(self) -> AsyncIterator[Message]:
        """Give what the client asks for, until it is gone; the handshake is answered here."""
        decoder = wire.Decoder()
        try:
            while data := await self._reader.read(65536):
                self._heard = True
                for message in decoder.feed(data):
                    if message.tid == tids.HANDSHAKE:
                        self.send(_handshake())
                    else:
                        yield message
        except ConnectionError:
            return
        except WireError as error:
            self.drop(f"not FTD: {error}")


def _handshake() -> bytes:
    # Only the vendor can make one that the library can decipher. It reports this one as error 4040,
    # and works from then on.
    answer = record("RspApiHandshake").make(FrontHandshakeDataLen=16)
    return wire.encode(tids.HANDSHAKE_REPLY, [record("RspInfo").make(), answer])


@contextlib.asynccontextmanager
async def listen(address: str, front: str, handle: Handler) -> AsyncIterator[None]:
    """Accept clients on "host:port"; raises ConfigError where that is not possible."""
    live: dict[Connection, asyncio.Task[None]] = {}

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, front)
        live[connection] = _current_task()
        log.info("client connected", extra=connection.facts)
        try:
            await handle(connection)
        except WireError as error:
            connection.drop(f"not FTD: {error}")
        finally:
            del live[connection]
            connection.close()
            log.info("client gone", extra=connection.facts)

    host, _, port = address.rpartition(":")
    try:
        server = await asyncio.start_server(accept, host, int(port))
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {os.strerror(error.errno or 0)}") from error
    log.info("listening", extra={"front": front, "address": address})
    beats = asyncio.create_task(_beat(live))
    try:
        yield
    finally:
        server.close()
        await _cancel([beats, *live.values()])


async def _beat(live: dict[Connection, asyncio.Task[None]]) -> None:
    while True:
        await asyncio.sleep(_HEARTBEAT_SECONDS)
        for connection in list(live):
            connection.beat()


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a stream's handler runs as a task
    return task
