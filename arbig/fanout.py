"""One numbered stream in memory, and any number of followers that are positions in it.

An event is encoded once, as an element of the response's `repeated` field, and kept in a ring.
A follower writes everything from its position to the newest as one message and waits for more:
live, resume and gap are one path, events gather by themselves while a write is in flight, and a
slow follower costs no memory.

Every Subscribe response of the contracts has the same four fields: items 1, gap 2, heartbeat 3,
cursor 4.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

from google.protobuf.message import Message

from arbig.errors import OutOfRange
from arbig.stream.v1.stream_pb2 import Cursor, Gap, Heartbeat

HEARTBEAT_SECONDS = 5.0
# At most this many events in one message: well below the size limit of a message.
BATCH = 1_000
_ITEM_TAG = b"\x0a"  # field 1, length-delimited


@lru_cache(maxsize=4_096)
def _head(size: int) -> bytes:
    length = bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return _ITEM_TAG + length


def element(payload: bytes) -> bytes:
    """Encode a serialised message as one element of field 1."""
    return _head(len(payload)) + payload


class Kept(NamedTuple):
    """An event in the ring: its number, what filters look at, and its encoded element."""

    seq: int
    key: str
    data: bytes


Archive = Callable[[int, int], Awaitable[list[Kept]]]
P = TypeVar("P", bound="Position")


class Shown:
    """How far a stream can be seen, the wait for more, and who follows it."""

    def __init__(self, epoch: int, shown: int = 0) -> None:
        self.epoch = epoch
        self.shown = shown
        self.followers: dict[int, Position] = {}
        self._changed = asyncio.Event()

    @property
    def cursor(self) -> Cursor:
        """The place of the newest event that followers may see."""
        return Cursor(epoch=self.epoch, seq=self.shown)

    @property
    def oldest(self) -> int:
        """The place behind which nothing is lost to a follower."""
        return 0

    def show(self, seq: int) -> None:
        """Let the followers see what there is up to `seq`."""
        self.shown = seq
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seq: int, seconds: float) -> bool:
        """Wait until there is something after `seq`; False if nothing came within `seconds`."""
        changed = self._changed
        if self.shown > seq:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await changed.wait()
        return self.shown > seq

    @contextlib.contextmanager
    def registered(self, follower: P) -> Iterator[P]:
        """Know a follower for as long as it follows."""
        self.followers[id(follower)] = follower
        try:
            yield follower
        finally:
            del self.followers[id(follower)]


class Feed(Shown):
    """The newest `size` events of a stream, and the newest of each key.

    `head` is the number of the newest event, `shown` of the newest one that followers may see.

    `archive(seq, limit)` gives the oldest events after `seq` that are kept elsewhere, for streams
    that keep more than the ring; `kept_from` says after which place it has them: the first one,
    unless told otherwise.
    """

    def __init__(
        self,
        epoch: int,
        size: int,
        head: int = 0,
        archive: Archive | None = None,
        kept_from: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(epoch, head)
        self.head = head
        self.newest: dict[str, Kept] = {}
        self.counts: dict[str, int] = {}
        self._archive = archive
        self._kept_from = kept_from
        self._first = head
        self._hidden: list[Kept] = []
        self._ring: list[Kept | None] = [None] * size

    @property
    def tail(self) -> int:
        """The place before the oldest event in the ring."""
        return max(self._first, self.shown - len(self._ring))

    def append(self, key: str, data: bytes) -> None:
        """Give the next event its number; followers see nothing of it before `wake`."""
        self.head += 1
        self._hidden.append(Kept(self.head, key, data))

    def wake(self) -> None:
        """Let the followers see what was appended."""
        for kept in self._hidden:
            self._ring[kept.seq % len(self._ring)] = kept
            self.newest[kept.key] = kept
            self.counts[kept.key] = self.counts.get(kept.key, 0) + 1
        self._hidden.clear()
        self.show(self.head)

    def between(self, seq: int, limit: int) -> list[Kept]:
        """At most `limit` events after `seq`, which must not lie before the tail."""
        size = len(self._ring)
        stop = min(self.shown, seq + limit)
        first, last = (seq + 1) % size, (stop + 1) % size
        if stop == seq:
            return []
        parts = self._ring[first:last] if first < last else self._ring[first:] + self._ring[:last]
        return cast("list[Kept]", parts)  # every place between tail and `shown` is filled

    async def after(self, seq: int, limit: int) -> list[Kept]:
        """At most `limit` events after `seq`, from the archive or the ring: the oldest that are left."""
        if seq < self.tail and self._archive and (kept := await self._archive(seq, limit)):
            return kept
        return self.between(max(seq, self.tail), limit)

    @property
    def oldest(self) -> int:
        """The place before the oldest event that a follower can have."""
        return min(self._kept_from(), self.tail) if self._archive else self.tail

    @contextlib.contextmanager
    def follower(self, peer: str, keys: Iterable[str] = (), *, latest: bool = False) -> Iterator["Follower"]:
        """Register a follower of `keys` (none means all) for as long as it follows."""
        with self.registered(Follower(self, peer, frozenset(keys), latest=latest)) as follower:
            yield follower


class Batch(NamedTuple):
    """What a follower is sent next: encoded items, or a gap, or (neither) a heartbeat."""

    items: list[bytes]
    gap: Gap | None
    cursor: Cursor

    def response(self, kind: Callable[..., Message], **more: Any) -> bytes:
        """Encode the batch as the Subscribe response `kind`."""
        rest = kind(cursor=self.cursor, **more)
        if self.gap:
            rest.gap.CopyFrom(self.gap)  # type: ignore[attr-defined]
        elif not self.items:
            rest.heartbeat.CopyFrom(_now())  # type: ignore[attr-defined]
        self.items.append(rest.SerializeToString())
        return b"".join(self.items)


def _now() -> Heartbeat:
    beat = Heartbeat()
    beat.time.GetCurrentTime()
    return beat


class Position(ABC):
    """A place in a stream, what was sent from there, and what is sent next."""

    def __init__(self, feed: Shown, peer: str) -> None:
        self.peer = peer
        self.position = feed.shown
        self.sent = self.dropped = self.gaps = 0
        self._feed = feed

    @property
    def lag(self) -> int:
        """How many events the follower is behind what it may see."""
        return self._feed.shown - self.position

    async def batches(
        self,
        after: Cursor | None,
        snapshot: Callable[[], list[bytes]] | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> AsyncIterator[Batch]:
        """Give everything after the cursor, for ever.

        Without a cursor the snapshot comes first (the newest event of each key, unless another is
        given) and a heartbeat behind it. Raises OutOfRange for a cursor ahead of the stream.
        """
        if after is None:
            for batch in self._begin(snapshot):
                yield batch
        elif gap := self._resume(after):
            yield self._declare(gap)
        clock = asyncio.get_running_loop().time
        quiet_until = clock() + heartbeat
        while True:
            more = await self._feed.changed(self.position, quiet_until - clock())
            following = await self._next() if more else None
            if following is None and clock() < quiet_until:
                continue  # what came was for other followers
            yield following or Batch([], None, self._cursor())
            quiet_until = clock() + heartbeat

    @abstractmethod
    def _begin(self, snapshot: Callable[[], list[bytes]] | None) -> Iterator[Batch]:
        """Give what there is, and take the place behind it."""

    @abstractmethod
    async def _next(self) -> Batch | None:
        """Give what follows the position, and step behind it; None if there is nothing for this follower."""

    def _reach(self) -> tuple[int, int]:
        """Give the place behind which all begins that there is, and the one behind which nothing is lost."""
        return self._feed.oldest, self._feed.oldest

    def _why_lost(self) -> str:
        return f"older than the {self._feed.shown - self._feed.oldest} events kept"

    def _resume(self, after: Cursor) -> Gap | None:
        """Take the position of `after`, or the oldest place there is, and say if that leaves a hole."""
        feed = self._feed
        self.position, oldest = self._reach()
        if after.epoch == 0:
            return None
        if after.epoch != feed.epoch:
            return self._gap(after, f"the stream began anew: epoch {feed.epoch}, not {after.epoch}")
        if after.seq > feed.shown:
            raise OutOfRange(f"cursor {after.seq} lies ahead of the stream, which is at {feed.shown}", "CURSOR_AHEAD")
        if after.seq < oldest:
            return self._gap(after, self._why_lost())
        self.position = after.seq
        return None

    def _cursor(self) -> Cursor:
        return Cursor(epoch=self._feed.epoch, seq=self.position)

    def _gap(self, after: Cursor, reason: str) -> Gap:
        return Gap(after=after, resume=self._cursor(), reason=reason)

    def _declare(self, gap: Gap) -> Batch:
        self.gaps += 1
        return Batch([], gap, gap.resume)


class Follower(Position):
    """A position in a feed."""

    _feed: Feed

    def __init__(self, feed: Feed, peer: str, keys: frozenset[str], *, latest: bool) -> None:
        super().__init__(feed, peer)
        self._keys = keys
        self._latest = latest
        self._counted = self._total()

    def _begin(self, snapshot: Callable[[], list[bytes]] | None) -> Iterator[Batch]:
        self.position = self._feed.shown
        items = snapshot() if snapshot else [kept.data for kept in sorted(self._newest(0))]
        cursor = self._cursor()
        self._counted = self._total()
        self.sent += len(items)
        for start in range(0, len(items), BATCH):
            yield Batch(items[start : start + BATCH], None, cursor)
        yield Batch([], None, cursor)

    def _resume(self, after: Cursor) -> Gap | None:
        self._counted = self._total()
        return super()._resume(after)

    def _reach(self) -> tuple[int, int]:
        # The newest of a key may be older than the ring.
        return (0, 0) if self._latest else super()._reach()

    async def _next(self) -> Batch | None:
        return self._conflated() if self._latest else await self._every()

    async def _every(self) -> Batch | None:
        kept = await self._feed.after(self.position, BATCH)
        if kept[0].seq > self.position + 1:
            lost = self._cursor()
            self.position = kept[0].seq - 1
            return self._declare(self._gap(lost, f"fell behind the {self._feed.shown - self.position} events kept"))
        self.position = kept[-1].seq
        items = [one.data for one in kept if not self._keys or one.key in self._keys]
        self.sent += len(items)
        return Batch(items, None, self._cursor()) if items else None

    def _conflated(self) -> Batch | None:
        items = [kept.data for kept in sorted(self._newest(self.position))]
        total = self._total()
        # A follower that resumed is sent symbols that were counted before it came.
        self.dropped += max(0, total - self._counted - len(items))
        self._counted = total
        self.sent += len(items)
        self.position = self._feed.shown
        return Batch(items, None, self._cursor()) if items else None

    def _newest(self, seq: int) -> list[Kept]:
        newest = self._feed.newest
        keys = self._keys or newest.keys()
        return [newest[key] for key in keys if key in newest and newest[key].seq > seq]

    def _total(self) -> int:
        counts = self._feed.counts
        return sum(counts.get(key, 0) for key in self._keys) if self._keys else sum(counts.values())
