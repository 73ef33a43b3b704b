"""Which contracts are held, by the events of the trade service."""

from arbig.follow import Link
from arbig.trade.v1.trade_pb2 import SubscribeEventsResponse


class Held:
    """The contracts with an open position, as the stream of `link` tells."""

    def __init__(self, link: Link) -> None:
        self._link = link
        # After how many breaks of the link it had told of all.
        self._known_after = -1
        self._lots: dict[tuple[str, str, int], int] = {}
        self._loaded = False

    @property
    def known(self) -> bool:
        """Whether the trade service has told of all, and the link has not broken since."""
        return self._known_after == self._link.breaks

    @property
    def symbols(self) -> set[str]:
        """The contracts of which there are lots, on either side and in any account."""
        return {symbol for (_, symbol, _), lots in self._lots.items() if lots}

    def take(self, reply: SubscribeEventsResponse) -> bool:
        """Take in what the stream says; give whether that may change what must be subscribed."""
        before = self.known, self.symbols
        if reply.HasField("gap"):  # another journal: everything that it has follows
            self._lots.clear()
            self._known_after, self._loaded = -1, False
        for event in reply.events:
            # The trade service reads positions and money together: one without money has read neither yet.
            self._loaded |= event.HasField("account")
            if event.HasField("position"):
                position = event.position
                key = position.account_id, position.symbol, position.side
                self._lots[key] = position.today + position.yesterday
        # A heartbeat says that nothing is on its way.
        if self._loaded and reply.HasField("heartbeat"):
            self._known_after = self._link.breaks
        return before != (self.known, self.symbols)
