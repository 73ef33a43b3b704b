"""A topic's items, ready to be written: encoded once, framed once for all who stand at one place."""

from collections.abc import Hashable
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import Message

from web_bridge import protocol
from web_bridge.contract import Pattern, Topic
from web_bridge.encode import encoder
from web_bridge.kept import RING, Latest, Log
from web_bridge.protocol import Place

# At most this many items in one frame.
BATCH = 500


class Chunk(NamedTuple):
    """What follows a position: the frame (None if nothing there is for this pattern), and the place behind it."""

    frame: bytes | None
    position: int


class Channel:
    """One topic template, fed by the one stream that carries it.

    `life` counts how often the channel began anew; whoever stood in an earlier life has a gap.
    """

    def __init__(self, topic: Topic, ring: int = RING) -> None:
        self.topic = topic
        self.life = 0
        self.place: Place | None = None
        self.reason = ""
        self.log = Log(ring)
        self.latest = Latest(topic.most)
        self._encode = encoder(topic.item)
        self._chunks: dict[tuple[str, int], Chunk] = {}

    @property
    def head(self) -> int:
        """The position behind everything there is."""
        if not self.topic.event:
            return self.latest.head
        return self.place.seq if self.place else 0

    def begin(self, place: Place, reason: str) -> None:
        """Start over behind `place`, because of `reason`."""
        another = self.place is None or self.place.epoch != place.epoch
        if self.topic.event or another:
            self.life += 1
            self.reason = reason
            self.log.begin(place.seq)
            self.latest.clear()
        self.move(place)

    def move(self, place: Place) -> None:
        """Note how far the stream is."""
        self.place = place
        self._chunks.clear()

    def put(self, seq: int, item: Any) -> None:
        """Keep an item that the stream brought."""
        topic = self.topic
        values = tuple(str(getattr(item, field)) for field in topic.fields)
        data = orjson.dumps(self._encode(item))
        if topic.event:
            self.log.put(seq, values, data)
        else:
            self.latest.put(tuple(_hashable(getattr(item, field)) for field in topic.key), values, data)

    def after(self, name: str, pattern: Pattern, position: int) -> Chunk:
        """Give the frame that a subscriber of `name` at `position` is due; raises Lost if it fell behind the ring."""
        if (name, position) not in self._chunks:
            self._chunks[name, position] = self._chunk(name, pattern, position)
        return self._chunks[name, position]

    def _chunk(self, name: str, pattern: Pattern, position: int) -> Chunk:
        kept = self.log if self.topic.event else self.latest
        newer = [
            entry
            for entry in kept.since(position)
            if all(want is None or want == value for want, value in zip(pattern, entry.values, strict=True))
        ]
        # A cursor may be ahead of what came here: its owner asked the service itself.
        behind = newer[BATCH - 1].number if len(newer) > BATCH else max(position, self.head)
        if not newer or self.place is None:
            return Chunk(None, behind)
        cursor = Place(self.place.epoch, behind) if self.topic.event else self.place
        return Chunk(protocol.items(name, [entry.data for entry in newer[:BATCH]], cursor), behind)


def _hashable(value: Any) -> Hashable:
    # A time is a message, and messages have no hash.
    return value.SerializeToString(deterministic=True) if isinstance(value, Message) else value
