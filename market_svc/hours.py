"""Whether the exchange trades at a second: by the timetable, and by what the exchange itself says."""

from functools import lru_cache
from typing import NamedTuple

from arbig.calendar import Calendar, Session, clock_second
from arbig.instrument import product_of
from arbig.sessions import place
from market_svc.status import ExchangeStatus

# Before a session an auction's last minute, in which it is matched.
_MATCH = 60


class Span(NamedTuple):
    """Seconds since 1970 in which an exchange is open all the time, or never: from `begin` to before `end`."""

    begin: int
    end: int
    is_open: bool


class ExchangeHours:
    """The sessions of all symbols.

    A status comes another way than the ticks, and may come a little later than they do. So one that
    begins where the timetable says so, as the timetable says, only confirms it; whoever keeps other
    hours says so at other times, and that holds until the next word. Where that would not be heard, a
    halt holds until the timetable's next change: it must not take the rest of the day's ticks.
    """

    def __init__(self, calendar: Calendar, status: ExchangeStatus) -> None:
        self._calendar = calendar
        self._status = status

    @property
    def changes(self) -> int:
        """How often the exchange has told another status so far."""
        return self._status.changes

    def sessions(self, symbol: str, trading_day: str) -> tuple[Session, ...]:
        """Give the sessions of a symbol by the timetable."""
        return self._calendar.sessions(product_of(symbol), trading_day)

    def is_open(self, symbol: str, trading_day: str, second: int) -> bool:
        """Whether a second since 1970 lies in a session or an auction of a trading day, its last second included."""
        sessions = self.sessions(symbol, trading_day)
        clock = clock_second(second)
        told = self._status.told_at(symbol, trading_day, clock)
        if told is not None and _changes(sessions).get(told.place) is not told.trades:
            lasts = told.trades or self._status.is_live
            if lasts or not _changed(sessions, told.place, place(clock)):
                return told.trades
        return any(_begin(one) <= second <= one.end for one in sessions)

    def span(self, symbol: str, trading_day: str, second: int) -> Span:
        """Give the seconds around one in which it is as open as in that one, at most those of one day's clock."""
        clock_begins = second - place(clock_second(second))
        edges = {clock_begins, clock_begins + 86_400}
        for told in self._status.told(symbol, trading_day):
            edges.add(clock_begins + told.place + (not told.trades))
        sessions = self.sessions(symbol, trading_day)
        for one in sessions:
            edges |= {_begin(one), one.end + 1}
        edges |= {clock_begins + at + (not begins) for at, begins in _changes(sessions).items()}
        begin = max(edge for edge in edges if edge <= second)
        end = min(edge for edge in edges if edge > second)
        return Span(begin, end, self.is_open(symbol, trading_day, second))


def _begin(session: Session) -> int:
    return session.begin if session.auction is None else session.auction


def _changed(sessions: tuple[Session, ...], since: int, now: int) -> bool:
    """Whether trading began or ended by the timetable between two places; its last second is part of it."""
    return any(since < at <= now - (not begins) for at, begins in _changes(sessions).items())


@lru_cache(maxsize=1_024)
def _changes(sessions: tuple[Session, ...]) -> dict[int, bool]:
    """Give the places in the day's clock at which trading begins or ends by the timetable."""
    changes: dict[int, bool] = {}
    for one in sessions:
        begins = [one.begin] if one.auction is None else [one.auction, one.begin - _MATCH, one.begin]
        changes |= {place(clock_second(begin)): True for begin in begins}
        changes[place(clock_second(one.end))] = False
    return changes
