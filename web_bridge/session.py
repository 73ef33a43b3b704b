"""One browser's side of the protocol, without a socket: what it follows and what it is due next."""

from web_bridge import protocol
from web_bridge.channel import Channel
from web_bridge.contract import Pattern
from web_bridge.hub import Hub
from web_bridge.protocol import BadFrame, Call, Ping, Place, Subscribe, Unsubscribe

MAX_TOPICS = 256


class Subscription:
    """A position in a channel."""

    def __init__(self, name: str, channel: Channel, pattern: Pattern, after: Place | None) -> None:
        self.name = name
        self._channel = channel
        self._pattern = pattern
        self._seen = after if channel.topic.event else None
        self._early = channel.place is None
        self._life = 0  # of the channel; 0 is the time before its stream was first heard
        self._position = 0
        self._gap = b""
        self._catch_up()

    @property
    def cursor(self) -> Place | None:
        """Where the subscriber stands; None while its stream has not been heard."""
        if self._seen and self._life and self._channel.topic.event:
            return Place(self._seen.epoch, self._position)
        return self._seen

    def next(self) -> bytes | None:
        """Give the next frame and step behind it; raises Lost for a subscriber that fell behind the ring."""
        if self._life != self._channel.life:
            self._catch_up()
        if self._gap:
            frame, self._gap = self._gap, b""
            return frame
        while self._position < self._channel.head:
            chunk = self._channel.after(self.name, self._pattern, self._position)
            self._position, self._seen = chunk.position, self._channel.place
            if chunk.frame:
                return chunk.frame
        return None

    def _catch_up(self) -> None:
        """Take a position in the channel's present life, and declare what that loses."""
        channel, place = self._channel, self._channel.place
        if place is None:
            return
        known = self.cursor
        moved, self._life = bool(self._life), channel.life
        self._seen, self._position = place, 0
        if channel.topic.event:
            self._position = self._begin(known, channel, place, moved=moved)
        resume = Place(place.epoch, self._position) if channel.topic.event else place
        if moved:
            self._gap = protocol.gap(self.name, known or resume, resume, channel.reason)

    def _begin(self, known: Place | None, channel: Channel, place: Place, *, moved: bool) -> int:
        tail = channel.log.tail
        if known is None:
            # "From now on" of one who came before the stream is all of it.
            return tail if self._early else place.seq
        if moved or known.epoch == 0:
            return tail
        if known.epoch == place.epoch and known.seq >= tail:
            return known.seq
        resume = Place(place.epoch, tail)
        why = "older than what the bridge keeps" if known.epoch == place.epoch else "the stream began anew"
        self._gap = protocol.gap(self.name, known, resume, why)
        return tail


class Session:
    """What one browser follows."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._links = 0
        self._subscriptions: dict[str, Subscription] = {}

    def receive(self, text: str) -> bytes | Call:
        """Take a frame of the browser: give the answer, or the call to be made."""
        try:
            match protocol.parse(text):
                case Subscribe(topic, after):
                    return self._subscribe(topic, after)
                case Unsubscribe(topic):
                    return self._unsubscribe(topic)
                case Ping():
                    return protocol.pong()
                case Call() as call:
                    return call
        except BadFrame as bad:
            return protocol.error(bad)

    def next(self) -> bytes | None:
        """Give the next frame the browser is due; raises Lost if it is too slow for an EVENT topic."""
        for link in self._hub.links.since(self._links):
            self._links = link.number
            return link.data
        for name, subscription in self._subscriptions.items():
            if frame := subscription.next():
                # To the end of the line: no topic may starve another.
                self._subscriptions[name] = self._subscriptions.pop(name)
                return frame
        return None

    def _subscribe(self, topic: str, after: Place | None) -> bytes:
        found = self._hub.find(topic)
        if found is None:
            raise BadFrame("UNKNOWN_TOPIC", f"no stream has the topic {topic!r}")
        if topic not in self._subscriptions and len(self._subscriptions) == MAX_TOPICS:
            raise BadFrame("TOO_MANY_TOPICS", f"{MAX_TOPICS} topics are followed already")
        subscription = self._subscriptions[topic] = Subscription(topic, *found, after)
        return protocol.subscribed(topic, subscription.cursor)

    def _unsubscribe(self, topic: str) -> bytes:
        subscription = self._subscriptions.pop(topic, None)
        if subscription is None:
            raise BadFrame("UNKNOWN_TOPIC", f"{topic!r} is not followed")
        return protocol.unsubscribed(topic, subscription.cursor)
