"""The position sides as callers see them, and which of them a change moved."""

from collections.abc import Iterable, Mapping

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.money import margin_of
from trade_svc.positions import Holding, PositionError, Positions, SideKey, average, count, frozen
from trade_svc.reports import DetailRow, OpeningRow
from trade_svc.terms import Terms


class Portfolio:
    """The lots of one account."""

    def __init__(self, account_id: str) -> None:
        self.positions = Positions()
        # Whether they are what the day began with and all of its trades.
        self.loaded = False
        self._account_id = account_id
        self._shown: dict[SideKey, pb.Position] = {}

    def load(
        self,
        details: Iterable[DetailRow],
        openings: Iterable[OpeningRow],
        trades: Iterable[pb.Trade],
        trading_day: str,
    ) -> list[pb.Difference]:
        """Reckon the lots from the day's opening and its trades; give what disagrees with the broker's."""
        details = list(details)
        self.positions.begin(details, openings, trading_day)
        # The journal may have heard of them in another order.
        for trade in sorted(trades, key=lambda one: (one.time.ToNanoseconds(), len(one.trade_id), one.trade_id)):
            try:
                self.positions.apply(trade)
            except PositionError as error:
                self.loaded = False
                return [pb.Difference(what=f"trade {trade.trade_id}", ours=str(error), broker="booked")]
        differences = self.positions.differences(details, trading_day)
        self.loaded = not differences
        return differences

    def messages(self, working: Iterable[pb.Order], terms: Mapping[str, Terms], trading_day: str) -> list[pb.Position]:
        """Give every side as a message; working close orders freeze lots."""
        waiting = frozen(working)
        found = []
        for key, holding in sorted(self.positions.holdings.items()):
            position = pb.Position(account_id=self._account_id, trading_day=trading_day, **key._asdict())
            position.yesterday_frozen, position.today_frozen = waiting[key]
            _fill(position, holding, terms.get(key.symbol))
            found.append(position)
        return found

    def moved(self, working: Iterable[pb.Order], terms: Mapping[str, Terms], trading_day: str) -> list[pb.Position]:
        """Give the sides that are not what they were when this was last asked."""
        found = []
        for position in self.messages(working, terms, trading_day):
            key = SideKey(position.symbol, position.exchange, position.side)
            if self._shown.get(key) != position:
                self._shown[key] = position
                found.append(position)
        return found


def _fill(position: pb.Position, holding: Holding, terms: Terms | None) -> None:
    """Say of a side what its lots are, and with the broker's terms what they cost and won."""
    position.yesterday, position.today = count(holding.yesterday), count(holding.today)
    if holding.lots:
        position.open_price = average(holding.lots, "open_price")
        position.cost_price = average(holding.lots, "cost_price")
    if terms:
        position.margin = round(margin_of(position.side, holding, terms), 4)
        position.close_profit = round(holding.won * terms.multiplier, 4)
