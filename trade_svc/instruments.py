"""The instruments as a followed stream: state, not history."""

from collections.abc import Iterable

from arbig.fanout import Feed, element
from arbig.market.v1.market_pb2 import Instrument, InstrumentStatus

SIZE = 4_096


class Instruments:
    """Every instrument by symbol, and the feed of their changes."""

    def __init__(self, epoch: int) -> None:
        self.by_symbol: dict[str, Instrument] = {}
        self.feed = Feed(epoch, SIZE)
        # With the exchange's time since when.
        self._status: dict[str, tuple[InstrumentStatus.ValueType, str]] = {}

    def load(self, instruments: Iterable[Instrument]) -> None:
        """Take in the answer of a query."""
        for instrument in instruments:
            heard = self._status.get(instrument.symbol) or self._status.get(instrument.product)
            if heard:
                instrument.status, instrument.status_since = heard
            self._note(instrument)
        self.feed.wake()

    def set_status(self, name: str, status: InstrumentStatus.ValueType, since: str) -> None:
        """Take in a status and its time: the exchanges send it per contract, CTP also per product."""
        self._status[name] = status, since
        for instrument in list(self.by_symbol.values()):
            if name in (instrument.symbol, instrument.product):
                changed = Instrument()
                changed.CopyFrom(instrument)
                changed.status, changed.status_since = status, since
                self._note(changed)
        self.feed.wake()

    def _note(self, instrument: Instrument) -> None:
        if self.by_symbol.get(instrument.symbol) != instrument:
            self.by_symbol[instrument.symbol] = instrument
            self.feed.append(instrument.symbol, element(instrument.SerializeToString()))
