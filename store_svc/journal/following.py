"""The trade service's journal as one story without holes.

Cursors alone do not tell a journal from an older copy of it that was put back and has grown since:
the same numbers then mean other events. So each connection begins with the last event that we have,
and it must be that event.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

from arbig.follow import Link, follow
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1.trade_pb2 import Event, SubscribeEventsRequest, SubscribeEventsResponse


class WentBack(Exception):
    """The journal is not the one that was followed, though its epoch is the same."""


class Hole(Exception):
    """The journal lacks an event."""


def digest(event: Event) -> str:
    """Tell events apart."""
    return hashlib.blake2b(event.SerializeToString(deterministic=True), digest_size=16).hexdigest()


class Journal:
    """The journal after a place, `last` being the digest of the event there; empty if it is not known."""

    def __init__(self, subscribe: Callable[[SubscribeEventsRequest], Any], after: Cursor, last: str) -> None:
        self._subscribe = subscribe
        self._at = Cursor(epoch=after.epoch, seq=after.seq)
        self._last = last
        self._event: Event | None = None
        # Whether the next reply begins with the event that we have.
        self._again = False

    async def replies(self, link: Link) -> AsyncGenerator[SubscribeEventsResponse, None]:
        """Give the replies with what is new, for ever; raises WentBack, Hole, or grpc.aio.AioRpcError."""
        request = SubscribeEventsRequest(after=self._at)
        async for reply in follow(self._connect, request, SubscribeEventsResponse, link):
            if reply.HasField("gap"):
                self._again = False
                if reply.gap.resume == self._at:
                    continue  # only the event that we have is no longer there
                self._begin_anew(reply)
            elif self._again:
                self._again = False
                self._compare(reply)
            hole = self._cut(reply)
            yield reply
            if hole:
                raise Hole(hole)

    def _connect(self, request: SubscribeEventsRequest) -> Any:
        """Ask from before the last event that was read."""
        if self._event:
            self._last = digest(self._event)
        self._again = bool(self._last and request.after.seq and request.after == self._at)
        asked = SubscribeEventsRequest()
        asked.CopyFrom(request)
        if self._again:
            asked.after.seq -= 1
        return self._subscribe(asked)

    def _begin_anew(self, reply: SubscribeEventsResponse) -> None:
        resume = reply.gap.resume
        if resume.epoch != self._at.epoch:
            self._at, self._event, self._last = Cursor(epoch=resume.epoch), None, ""
        if resume.seq != self._at.seq:
            raise Hole(f"the journal has no event {self._at.seq + 1}: {reply.gap.reason}")

    def _compare(self, reply: SubscribeEventsResponse) -> None:
        if not reply.events:
            raise WentBack(f"it has no event {self._at.seq}")
        if digest(reply.events[0]) != self._last:
            raise WentBack(f"its event {self._at.seq} is another one than was stored")
        del reply.events[0]

    def _cut(self, reply: SubscribeEventsResponse) -> str:
        """Cut off what comes after a hole, and say which event is missing."""
        events, seq = reply.events, self._at.seq
        self._at.epoch = reply.cursor.epoch
        hole = bool(events) and events[-1].seq != seq + len(events)
        if hole:
            whole = next(number for number, event in enumerate(events) if event.seq != seq + 1 + number)
            del events[whole:]
        if events:
            self._event = events[-1]
            self._at.seq = self._event.seq
        return f"the journal has no event {self._at.seq + 1}" if hole else ""
