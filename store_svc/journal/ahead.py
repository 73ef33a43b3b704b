"""What was read of the journal and is not written yet."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable

from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1.trade_pb2 import Event
from store_svc.journal.batch import Batch


class Ahead:
    """Events that were read after a place and are not written yet: at most `size`, and one message more."""

    def __init__(self, size: int, place: Cursor) -> None:
        self._size = size
        # Where what was taken ends.
        self._place = place
        self._epoch = place.epoch
        self._events: deque[Event] = deque()
        self._changed = asyncio.Condition()

    async def put(self, epoch: int, events: Iterable[Event]) -> None:
        """Add events, once there is room; those of another life of the journal once it is empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(epoch))
            self._epoch = epoch
            self._events.extend(events)
            self._changed.notify_all()

    def _has_room(self, epoch: int) -> bool:
        return not self._events or (epoch == self._epoch and len(self._events) < self._size)

    async def take(self, limit: int, seconds: float) -> Batch:
        """Take the oldest events, `limit` at most; none if none came within `seconds`."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: bool(self._events))
            batch = self._oldest(limit)
            self._changed.notify_all()
            return batch

    def _oldest(self, limit: int) -> Batch:
        if not self._events:
            return Batch(self._place.epoch, [], self._place.seq)
        events = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
        self._place = Cursor(epoch=self._epoch, seq=events[-1].seq)
        return Batch(self._epoch, events)
