"""Following a stream of another service for ever, from the cursor one has.

The connection may break, the service may restart: the follower names its last cursor and goes on.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from arbig.fanout import HEARTBEAT_SECONDS
from arbig.stream.v1.stream_pb2 import Cursor

log = logging.getLogger(__name__)

# A stream that is silent for longer than three heartbeats is broken, whatever TCP says.
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
SILENT, ENDED = f"silent for {SILENCE_SECONDS:g} s", "the service ended the stream"
FIRST_BACKOFF, LAST_BACKOFF = 0.1, 2.0

# What another try can mend; everything else is the follower's own mistake.
_TRANSIENT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class _Response(Protocol):
    @property
    def cursor(self) -> Cursor: ...


R = TypeVar("R", bound=_Response)


class Link:
    """How a stream that is followed is, for GetStatus: `reason` is empty while it is up; `breaks` counts its losses."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reason = f"{name}: not connected yet"
        self.breaks = 0

    def is_up(self) -> None:
        """Note that a message came."""
        if self.reason:
            log.info("following", extra={"stream": self.name})
        self.reason = ""

    def is_down(self, why: str) -> None:
        """Note that the stream broke."""
        if not self.reason:
            log.warning("stream lost, trying again", extra={"stream": self.name, "why": why})
        self.reason = f"{self.name}: {why}"
        self.breaks += 1


class Journey:
    """Where a follower stands, and how it goes on: the same with asyncio and without."""

    def __init__(self, request: Message, link: Link) -> None:
        self.request: Any = type(request)()
        self.request.CopyFrom(request)
        self._link = link
        self._backoff = FIRST_BACKOFF

    def heard(self, reply: _Response) -> None:
        """Stand behind a response that came."""
        self._link.is_up()
        self._backoff = FIRST_BACKOFF
        self.request.after.CopyFrom(reply.cursor)

    def broke(self, why: str) -> float:
        """Note that the stream broke; give the seconds until the next try."""
        self._link.is_down(why)
        backoff, self._backoff = self._backoff, min(2 * self._backoff, LAST_BACKOFF)
        return backoff

    def failed(self, error: grpc.RpcError) -> float:
        """Give the seconds until the next try; raises the error if another try cannot mend it."""
        if error.code() not in _TRANSIENT:
            raise error
        return self.broke(error.details() or error.code().name)


async def follow(method: Any, request: Message, response: type[R], link: Link) -> AsyncGenerator[R, None]:
    """Yield each `response` of the Subscribe `method`, reconnecting with the last cursor.

    `request.after` says where to begin, as in the contract. Raises grpc.aio.AioRpcError for what
    another try cannot mend, such as a cursor ahead of the stream.
    """
    journey = Journey(request, link)
    while True:
        try:
            async for reply in _messages(method(journey.request), response):
                journey.heard(reply)
                yield reply
            backoff = journey.broke(ENDED)
        except TimeoutError:
            backoff = journey.broke(SILENT)
        except grpc.aio.AioRpcError as error:
            backoff = journey.failed(error)
        await asyncio.sleep(backoff)


async def _messages(call: Any, _: type[R]) -> AsyncIterator[R]:
    try:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                reply = await call.read()
            if reply is grpc.aio.EOF:
                # Ended by the service; a bad status is raised here.
                if (code := await call.code()) is not grpc.StatusCode.OK:
                    raise grpc.aio.AioRpcError(
                        code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
                    )
                return
            yield reply
    finally:
        call.cancel()
