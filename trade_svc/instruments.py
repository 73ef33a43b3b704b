"""The instruments as a followed stream: state, not history."""

from collections.abc import Iterable
from typing import NamedTuple

from arbig.fanout import Feed, element
from arbig.market.v1.market_pb2 import Instrument, InstrumentStatus

SIZE = 4_096


class Status(NamedTuple):
    """What the exchange is doing, and since when: its time HH:MM:SS, and the trading day."""

    status: InstrumentStatus.ValueType
    since: str
    trading_day: str


class Instruments:
    """Every instrument by symbol, and the feed of their changes."""

    def __init__(self, epoch: int) -> None:
        self.by_symbol: dict[str, Instrument] = {}
        self.feed = Feed(epoch, SIZE)
        self._status: dict[str, Status] = {}

    def load(self, instruments: Iterable[Instrument]) -> None:
        """Take in the answer of a query."""
        for instrument in instruments:
            heard = self._status.get(instrument.symbol) or self._status.get(instrument.product)
            if heard:
                _set(instrument, heard)
            self._note(instrument)
        self.feed.wake()

    def set_status(self, name: str, status: Status) -> None:
        """Take in a status: the exchanges send it per contract, CTP also per product."""
        self._status[name] = status
        for instrument in list(self.by_symbol.values()):
            if name in (instrument.symbol, instrument.product):
                changed = Instrument()
                changed.CopyFrom(instrument)
                _set(changed, status)
                self._note(changed)
        self.feed.wake()

    def _note(self, instrument: Instrument) -> None:
        if self.by_symbol.get(instrument.symbol) != instrument:
            self.by_symbol[instrument.symbol] = instrument
            self.feed.append(instrument.symbol, element(instrument.SerializeToString()))


def _set(instrument: Instrument, status: Status) -> None:
    instrument.status, instrument.status_since, instrument.status_day = status
