"""From a CTP thread to the event loop: the thread only appends, the loop takes all there is.

The trade library calls back on the thread that also sends: what stays there longer than an append delays orders.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# So many at once, then the loop's other work has its turn: what came first is sent on first.
BATCH = 100


class Inbox(Generic[T]):
    """Hands what any thread puts into it to `handle` on the loop, in order, in batches."""

    def __init__(self, handle: Callable[[list[T]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle = handle
        self._items: deque[T] = deque()
        self._scheduled = False

    def put(self, item: T) -> None:
        """Append an item, on any thread."""
        self._items.append(item)
        if not self._scheduled:
            self._scheduled = True
            # The loop may be closed while the library still talks.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._drain)

    def close(self) -> None:
        """Leave what is in it: the front tells it again at the next login. Nobody may put in more."""
        self._items.clear()

    def _drain(self) -> None:
        items = self._items
        batch = [items.popleft() for _ in range(min(len(items), BATCH))]
        try:
            if batch:
                self._handle(batch)
        finally:
            # Cleared before it is asked what is left: what is put from here on schedules again.
            self._scheduled = False
            if items:  # behind what the batch woke
                self._scheduled = True
                self._loop.call_soon(self._drain)
