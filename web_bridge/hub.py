"""Where streams and browsers meet: what came from the mesh goes in, each browser reads at its own pace."""

from typing import Any

from web_bridge import protocol
from web_bridge.channel import Channel
from web_bridge.contract import Contract, Pattern, Source
from web_bridge.kept import RING, Latest
from web_bridge.protocol import Place

# What one watches and trades by: without the others the page lacks its past, not its present.
ESSENTIAL = ("market", "trade")


class Hub:
    """Every topic's channel, and the state of every followed stream."""

    def __init__(self, contract: Contract, ring: int = RING) -> None:
        self.contract = contract
        self.hello = protocol.hello(contract)
        self.links = Latest()
        self.down: dict[str, str] = {}
        self.intakes = [
            Intake(source, [Channel(topic, ring) for topic in source.topics]) for source in contract.sources
        ]
        for source in contract.sources:
            self.note_link(source, f"{source.service}: not connected yet")

    @property
    def ready(self) -> bool:
        """Whether every stream that trading needs is followed."""
        needed = {intake.source.method for intake in self.intakes if intake.source.service in ESSENTIAL}
        return not needed & self.down.keys()

    def find(self, topic: str) -> tuple[Channel, Pattern] | None:
        """Give the channel that serves `topic`, and the placeholders' values."""
        for intake in self.intakes:
            for channel in intake.channels:
                if (pattern := channel.topic.match(topic)) is not None:
                    return channel, pattern
        return None

    def note_link(self, source: Source, reason: str) -> None:
        """Keep how the stream is, for every browser; an empty reason means up."""
        if reason:
            self.down[source.method] = reason
        else:
            self.down.pop(source.method, None)
        self.links.put(source.method, (), protocol.link(source.method, source.service, reason))


class Intake:
    """What a followed stream says, put into the channels of its topics."""

    def __init__(self, source: Source, channels: list[Channel]) -> None:
        self.source = source
        self.channels = channels
        self._anew = "the bridge begins to follow the stream"

    def begin_anew(self, reason: str) -> None:
        """Expect a snapshot next, since the stream cannot be followed from its last cursor."""
        self._anew = reason

    def take(self, message: Any) -> None:
        """Take one Subscribe response."""
        place = Place(message.cursor.epoch, message.cursor.seq)
        # A snapshot carries older numbers: only what lies behind its cursor is complete.
        anew = self._anew or (message.gap.reason if message.HasField("gap") else "")
        self._anew = ""
        for channel in self.channels:
            if anew:
                channel.begin(place, anew)
            self._fill(channel, message, place)
            channel.move(place)

    @staticmethod
    def _fill(channel: Channel, message: Any, place: Place) -> None:
        repeated, *path = channel.topic.path
        for element in getattr(message, repeated):
            item = element
            for part in path:
                if not item.HasField(part):
                    break
                item = getattr(item, part)
            else:
                channel.put(element.seq if channel.topic.event else place.seq, item)
