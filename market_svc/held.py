"""Which contracts are held, by the events of the trade service."""

from arbig.trade.v1.trade_pb2 import SubscribeEventsResponse


class Held:
    """The contracts with an open position; `known` once the trade service has told of all."""

    def __init__(self) -> None:
        self.known = False
        self._lots: dict[tuple[str, str, int], int] = {}
        self._loaded = False

    @property
    def symbols(self) -> set[str]:
        """The contracts of which there are lots, on either side and in any account."""
        return {symbol for (_, symbol, _), lots in self._lots.items() if lots}

    def take(self, reply: SubscribeEventsResponse) -> bool:
        """Take in what the stream says; give whether that may change what must be subscribed."""
        before = self.known, self.symbols
        if reply.HasField("gap"):  # another journal: everything that it has follows
            self._lots.clear()
            self.known = self._loaded = False
        for event in reply.events:
            # The trade service reads positions and money together: one without money has read neither yet.
            self._loaded |= event.HasField("account")
            if event.HasField("position"):
                position = event.position
                key = position.account_id, position.symbol, position.side
                self._lots[key] = position.today + position.yesterday
        # A heartbeat says that nothing is on its way.
        self.known |= self._loaded and reply.HasField("heartbeat")
        return before != (self.known, self.symbols)
