"""What is to be known about a snapshot before it is used: the flags of the contract's TickFlag.

Nothing is left out of the stream, so nothing is lost to a wrong judgement.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

from arbig.market.v1.market_pb2 import Tick, TickFlag
from market_svc.depth import Snapshot
from market_svc.hours import Span

DUPLICATE, OUT_OF_ORDER = TickFlag.TICK_FLAG_DUPLICATE, TickFlag.TICK_FLAG_OUT_OF_ORDER
VOLUME_REGRESSION, OFF_SESSION = TickFlag.TICK_FLAG_VOLUME_REGRESSION, TickFlag.TICK_FLAG_OFF_SESSION
FIRST_SNAPSHOT, CROSSED = TickFlag.TICK_FLAG_FIRST_SNAPSHOT, TickFlag.TICK_FLAG_CROSSED
AT_LIMIT, STALE = TickFlag.TICK_FLAG_AT_LIMIT, TickFlag.TICK_FLAG_STALE
GAP, SETTLEMENT = TickFlag.TICK_FLAG_GAP, TickFlag.TICK_FLAG_SETTLEMENT

# Further behind the exchange's clock a snapshot is not the market any more: it was not sent when it
# changed but shown again, on subscribing. Further ahead of it, its time is wrong: exchanges send the
# afternoon's snapshot before the night with the next trading day's date.
STALE_SECONDS = 60


class Hours(Protocol):
    """When the exchange trades."""

    @property
    def changes(self) -> int:
        """How often the exchange has told another status so far."""

    def span(self, symbol: str, trading_day: str, second: int) -> Span:
        """Give the seconds around one, since 1970, in which a symbol is as open as in that one."""


class _Seen:
    """What is known of a symbol from its snapshots so far."""

    __slots__ = ("broken", "changes", "flags", "fresh", "last", "moment", "snapshot", "span", "trading_day", "volume")

    def __init__(self) -> None:
        self.trading_day = ""
        self.moment = (0, 0)
        self.volume = 0
        # The newest to come, and the flags in its message.
        self.snapshot: Snapshot | None = None
        self.flags: list[TickFlag.ValueType] = []
        # The newest tick by the exchange's time, serialised.
        self.last = b""
        # Whether the next is the first since it was subscribed, and whether others were before that.
        self.fresh, self.broken = True, False
        # Until when the exchange is open or closed, as of so many changes of its status.
        self.span, self.changes = Span(0, 0, is_open=True), 0


class Quality:
    """Flags the ticks of all symbols, in the order in which they come.

    `clock` gives the exchange's second where this machine's clock tells it; otherwise it is the
    newest time that a snapshot had since the login, and none is ahead of it.
    """

    def __init__(self, hours: Hours, clock: Callable[[], float] | None = None) -> None:
        self._hours = hours
        self._clock = clock
        self._newest = 0
        self._seen: defaultdict[str, _Seen] = defaultdict(_Seen)

    def recall(self, tick: Tick) -> None:
        """Take in a tick of this service's life before, in the order of the stream."""
        seen = self._seen[tick.symbol]
        seen.broken = True
        if OUT_OF_ORDER not in tick.flags and not self._is_ahead(tick.time.seconds):
            seen.trading_day, seen.volume = tick.trading_day, tick.volume
            seen.moment = tick.time.seconds, tick.time.nanos
            seen.last = tick.SerializeToString()

    def lose(self, symbols: Iterable[str] | None = None) -> list[Tick]:
        """Give the newest tick of each symbol, or of some, once more as STALE: its snapshots come no longer.

        The next one of it is a first one again. What says so already is not repeated.
        """
        if symbols is None:
            self._newest = 0
        repeated = []
        for seen in self._seen.values() if symbols is None else filter(None, map(self._seen.get, symbols)):
            seen.fresh = seen.broken = True
            tick = Tick.FromString(seen.last)
            if seen.last and STALE not in tick.flags:
                tick.flags[:] = [STALE]
                seen.last = tick.SerializeToString()
                repeated.append(tick)
        return repeated

    def encode(self, snapshot: Snapshot) -> bytes:
        """Set the flags of a tick that came, and serialise it."""
        seen = self._seen[snapshot.symbol]
        flags: list[TickFlag.ValueType] = []
        if seen.fresh:
            seen.fresh = False
            flags += [FIRST_SNAPSHOT, GAP] if seen.broken else [FIRST_SNAPSHOT]
        moment, counts = snapshot.moment, True
        if moment is not None:
            counts = self._judge_time(seen, snapshot, moment[0], flags) and _judge_order(seen, snapshot, moment, flags)
        _judge_prices(snapshot, flags)
        if flags != seen.flags or snapshot is not seen.snapshot:  # a message that is filled anew may have them already
            snapshot.tick.flags[:] = sorted(flags)
            seen.snapshot, seen.flags = snapshot, flags
        data = snapshot.tick.SerializeToString()
        if counts:
            seen.last = data
        return data

    def _is_ahead(self, second: int) -> bool:
        return self._clock is not None and second - self._clock() > STALE_SECONDS

    def _judge_time(self, seen: _Seen, snapshot: Snapshot, second: int, flags: list[TickFlag.ValueType]) -> bool:
        """Give whether what comes after it is held against it."""
        begin, end, is_open = seen.span
        trading_day = snapshot.trading_day
        changes = self._hours.changes
        if not begin <= second < end or changes != seen.changes or trading_day != seen.trading_day:
            seen.span, seen.changes = self._hours.span(snapshot.symbol, trading_day, second), changes
            is_open = seen.span.is_open
        if not is_open:
            flags.append(OFF_SESSION)
        newest = self._clock() if self._clock else self._newest
        ahead = second > newest and self._is_ahead(second)
        if ahead or newest - second > STALE_SECONDS:
            flags.append(STALE)
        elif second > newest:
            self._newest = second
        return not ahead


def _judge_order(seen: _Seen, snapshot: Snapshot, moment: tuple[int, int], flags: list[TickFlag.ValueType]) -> bool:
    """Give whether what comes after it is held against it."""
    trading_day, volume = snapshot.trading_day, snapshot.volume
    if trading_day == seen.trading_day:
        if moment < seen.moment:
            flags.append(OUT_OF_ORDER)
            return False
        if volume < seen.volume:
            flags.append(VOLUME_REGRESSION)
        elif moment == seen.moment and volume == seen.volume and _says_the_same(snapshot.tick, seen.last):
            flags.append(DUPLICATE)
    seen.trading_day, seen.moment, seen.volume = trading_day, moment, volume
    return True


def _judge_prices(of: Snapshot, flags: list[TickFlag.ValueType]) -> None:
    last, bid, ask, upper, lower = of.last_price, of.best_bid, of.best_ask, of.upper_limit_price, of.lower_limit_price
    at_limit = last != 0.0 and last in (upper, lower)
    if bid and ask:
        if bid >= ask:
            flags.append(CROSSED)
    else:  # one side has gone
        at_limit = at_limit or (bid != 0.0 and bid == upper) or (ask != 0.0 and ask == lower)
    if at_limit:
        flags.append(AT_LIMIT)
    if of.settlement_price:
        flags.append(SETTLEMENT)


def _says_the_same(tick: Tick, before: bytes) -> bool:
    """Whether two ticks of one moment and volume show the same market."""
    other = Tick.FromString(before)
    return all(
        getattr(tick, name) == getattr(other, name)
        for name in ("last_price", "open_interest", "bid_prices", "bid_volumes", "ask_prices", "ask_volumes")
    )
