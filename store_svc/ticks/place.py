"""Where ticks lie: a place in the market service's stream, and the holes that storage has in it."""

from collections.abc import Mapping
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.stream.v1.stream_pb2 import Cursor, Gap


class Place(NamedTuple):
    """A cursor that can be compared: the stream's places are in this order."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        """Give the id of a Redis stream's entry."""
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str | bytes) -> "Place":
        """Read the id of a Redis stream's entry."""
        epoch, _, seq = (text.decode() if isinstance(text, bytes) else text).partition("-")
        return cls(int(epoch), int(seq))

    @classmethod
    def of(cls, cursor: Cursor) -> "Place":
        """Give the place of a cursor."""
        return cls(cursor.epoch, cursor.seq)

    @property
    def cursor(self) -> Cursor:
        """The same for the wire."""
        return Cursor(epoch=self.epoch, seq=self.seq)

    @property
    def next(self) -> "Place":
        """The first place behind this one in the same life of the stream."""
        return Place(self.epoch, self.seq + 1)


def nanoseconds(time: Timestamp) -> int:
    """Give a time in nanoseconds since 1970, also one that is no valid Timestamp."""
    return time.seconds * 1_000_000_000 + time.nanos


BEGIN = Place(0, 0)
# A tick, serialised, and where it lies.
Entry = tuple[Place, bytes]


class Hole(NamedTuple):
    """Ticks behind `after`, up to and with `resume`, that storage does not have."""

    after: Place
    resume: Place
    reason: str

    @property
    def gap(self) -> Gap:
        """The same for the wire."""
        return Gap(after=self.after.cursor, resume=self.resume.cursor, reason=self.reason)


# How holes are noted: "{after} {resume}" -> the reason. A hole that is noted again changes nothing.
Notes = Mapping[str, str]


def note(hole: Hole) -> dict[str, str]:
    """Write a hole down."""
    return {f"{hole.after} {hole.resume}": hole.reason}


def holes(*noted: Notes) -> list[Hole]:
    """Give the holes of some notes in order; those that touch become one."""
    joined: list[Hole] = []
    for hole in sorted(_hole(*one) for notes in noted for one in notes.items()):
        if joined and hole.after <= joined[-1].resume:
            joined[-1] = joined[-1]._replace(resume=max(joined[-1].resume, hole.resume))
        else:
            joined.append(hole)
    return joined


def _hole(places: str, reason: str) -> Hole:
    after, _, resume = places.partition(" ")
    return Hole(Place.parse(after), Place.parse(resume), reason)
