"""When the exchange said that an instrument trades, which wins over the timetable.

It says each status as it begins, by its own clock, and it holds until the next one. A trading day's
clock runs from 20:30 over the night to 20:29.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from arbig.market.v1 import market_pb2 as pb
from arbig.sessions import place, second_of_day

_TRADING = frozenset(
    {
        pb.INSTRUMENT_STATUS_CONTINUOUS,
        pb.INSTRUMENT_STATUS_AUCTION_ORDERING,
        pb.INSTRUMENT_STATUS_AUCTION_BALANCE,
        pb.INSTRUMENT_STATUS_AUCTION_MATCH,
    }
)


_KEPT_DAYS = 2


class Told(NamedTuple):
    """What the exchange said: from a place in the trading day's clock on, whether it trades."""

    place: int
    trades: bool


class ExchangeStatus:
    """What was heard from the exchange; `newest` has the status of each symbol and of each product.

    `changes` counts what was heard, and how often `is_live` changed: whether the next word would be
    heard. It may be asked on another thread than it is told on.
    """

    def __init__(self) -> None:
        self.newest: dict[str, pb.InstrumentStatus.ValueType] = {}
        self.changes = 0
        self.is_live = True
        # By symbol and trading day: ticks of a day may come when the exchange speaks of the next one.
        self._heard: dict[str, dict[str, tuple[Told, ...]]] = {}

    def note(self, instruments: Iterable[pb.Instrument]) -> None:
        """Take in what instruments are doing now."""
        for one in instruments:
            if one.status_since:
                self.newest[one.symbol] = self.newest[one.product] = one.status
                self._note(one)

    def _note(self, one: pb.Instrument) -> None:
        days = self._heard.setdefault(one.symbol, {})
        since = place(second_of_day(one.status_since))
        # The day is told again from its beginning, as at each login; of one second the later word counts.
        before = (told for told in days.get(one.status_day, ()) if told.place < since)
        days[one.status_day] = (*before, Told(since, one.status in _TRADING))
        if len(days) > _KEPT_DAYS:
            del days[min(days)]
        self.changes += 1  # last: who asks meanwhile asks again

    def set_live(self, *, is_live: bool) -> None:
        """Note whether the next word would be heard."""
        if is_live is not self.is_live:
            self.is_live = is_live
            self.changes += 1

    def told(self, symbol: str, trading_day: str) -> Sequence[Told]:
        """Give what the exchange said of a symbol on a trading day, in the order of its clock."""
        return self._heard.get(symbol, {}).get(trading_day, ())

    def told_at(self, symbol: str, trading_day: str, clock_seconds: int) -> Told | None:
        """Give what the exchange said that holds at a second of a trading day; None where it has not said.

        The second in which trading ends is part of it: that snapshot shows the last trades.
        """
        asked = place(clock_seconds)
        told = None
        for since in self.told(symbol, trading_day):
            if asked < since.place or (asked == since.place and not since.trades):
                break
            told = since
        return told
