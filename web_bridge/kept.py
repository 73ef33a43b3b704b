"""What the bridge keeps of a topic, so that any number of browsers can be positions in it."""

from collections import deque
from collections.abc import Hashable, Iterable
from itertools import takewhile
from typing import NamedTuple

# Events of one topic that a browser may be behind.
RING = 10_000


class Entry(NamedTuple):
    """An item: its number, the values of the topic's placeholders, its JSON."""

    number: int
    values: tuple[str, ...]
    data: bytes


class Lost(Exception):
    """The position lies before the oldest event that is kept."""


def _newer(newest_first: Iterable[Entry], position: int) -> list[Entry]:
    # Walked from the newest: whoever keeps up pays only for what is new, however much is kept.
    found = list(takewhile(lambda entry: entry.number > position, newest_first))
    found.reverse()
    return found


class Latest:
    """STATE: the newest item of each key, numbered by our own count of changes.

    Of items with the same placeholders' values at most `most` are kept, the last to change; 0 means all.
    """

    def __init__(self, most: int = 0) -> None:
        self.head = 0
        self._most = most
        self._newest: dict[Hashable, Entry] = {}
        # The keys of each topic, the last to change at the end.
        self._keys: dict[tuple[str, ...], dict[Hashable, None]] = {}

    def put(self, key: Hashable, values: tuple[str, ...], data: bytes) -> None:
        """Let the item replace the older one of its key."""
        self.head += 1
        self._newest.pop(key, None)
        self._newest[key] = Entry(self.head, values, data)
        if self._most:
            keys = self._keys.setdefault(values, {})
            keys.pop(key, None)
            keys[key] = None
            if len(keys) > self._most:
                oldest = next(iter(keys))
                del keys[oldest], self._newest[oldest]

    def clear(self) -> None:
        """Forget all items: they belong to a stream that is gone."""
        self._newest.clear()
        self._keys.clear()

    def since(self, position: int) -> list[Entry]:
        """Give what changed after `position`, the oldest change first."""
        return _newer(reversed(self._newest.values()), position)


class Log:
    """EVENT: the last `size` items, under the numbers that their stream gave them."""

    def __init__(self, size: int = RING) -> None:
        self.tail = self._last = 0
        self._size = size
        self._entries: deque[Entry] = deque()

    def begin(self, seq: int) -> None:
        """Start over behind `seq`: what comes is complete from there."""
        self._entries.clear()
        self.tail = self._last = seq

    def put(self, seq: int, values: tuple[str, ...], data: bytes) -> None:
        """Keep the event, unless it is part of a snapshot (its number is not above the beginning) or a repetition."""
        if seq <= self._last:
            return
        self._last = seq
        self._entries.append(Entry(seq, values, data))
        if len(self._entries) > self._size:
            self.tail = self._entries.popleft().number

    def since(self, position: int) -> list[Entry]:
        """Give every event after `position`; raises Lost if some of them are gone."""
        if position < self.tail:
            raise Lost(f"at {position}, the oldest event kept follows {self.tail}")
        return _newer(reversed(self._entries), position)
