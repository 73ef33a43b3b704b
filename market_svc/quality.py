"""What is to be known about a snapshot before it is used: the flags of the contract's TickFlag.

Nothing is left out of the stream, so nothing is lost to a wrong judgement.
"""

from collections.abc import Callable
from typing import Protocol

from arbig.market.v1.market_pb2 import Tick, TickFlag

DUPLICATE, OUT_OF_ORDER = TickFlag.TICK_FLAG_DUPLICATE, TickFlag.TICK_FLAG_OUT_OF_ORDER
VOLUME_REGRESSION, OFF_SESSION = TickFlag.TICK_FLAG_VOLUME_REGRESSION, TickFlag.TICK_FLAG_OFF_SESSION
FIRST_SNAPSHOT, CROSSED = TickFlag.TICK_FLAG_FIRST_SNAPSHOT, TickFlag.TICK_FLAG_CROSSED
AT_LIMIT, STALE = TickFlag.TICK_FLAG_AT_LIMIT, TickFlag.TICK_FLAG_STALE
GAP, SETTLEMENT = TickFlag.TICK_FLAG_GAP, TickFlag.TICK_FLAG_SETTLEMENT

# Further behind the exchange's clock a snapshot is not the market any more: it was not sent when it
# changed but shown again, on subscribing.
STALE_SECONDS = 60


class Hours(Protocol):
    """When the exchange trades."""

    @property
    def changes(self) -> int:
        """How often the exchange has told another status so far."""

    def is_open(self, symbol: str, trading_day: str, second: int) -> bool:
        """Whether a second since 1970 lies in a session or an auction of a trading day."""


class _Seen:
    """What is known of a symbol from its snapshots so far."""

    __slots__ = ("broken", "changes", "fresh", "is_open", "last", "moment", "second", "trading_day", "volume")

    def __init__(self) -> None:
        self.trading_day = ""
        self.moment = (0, 0)
        self.volume = 0
        # The newest tick by the exchange's time, serialised.
        self.last = b""
        # Whether the next is the first since it was subscribed, and whether others were before that.
        self.fresh, self.broken = True, False
        # Whether the exchange was open at a second, as of so many changes of its status.
        self.second, self.changes, self.is_open = 0, 0, True


class Quality:
    """Flags the ticks of all symbols, in the order in which they come.

    `clock` gives the exchange's second where this machine's clock tells it; otherwise it is the
    newest time that a snapshot had since the login.
    """

    def __init__(self, hours: Hours, clock: Callable[[], float] | None = None) -> None:
        self._hours = hours
        self._clock = clock
        self._newest = 0
        self._seen: dict[str, _Seen] = {}

    def recall(self, tick: Tick) -> None:
        """Take in a tick of this service's life before, in the order of the stream."""
        seen = self._of(tick.symbol)
        seen.broken = True
        if OUT_OF_ORDER not in tick.flags:
            seen.trading_day, seen.volume = tick.trading_day, tick.volume
            seen.moment = tick.time.seconds, tick.time.nanos
            seen.last = tick.SerializeToString()

    def begin_anew(self) -> None:
        """Take the next snapshot of every symbol as its first: the link to the exchange broke."""
        self._newest = 0
        for symbol in self._seen:
            self.forget(symbol)

    def forget(self, symbol: str) -> None:
        """Take the next snapshot of a symbol as its first: it is not subscribed meanwhile."""
        if seen := self._seen.get(symbol):
            seen.fresh = seen.broken = True

    def stale(self) -> list[Tick]:
        """Give the newest tick of each symbol once more, to say that nobody should trade on it."""
        repeated = []
        for seen in self._seen.values():
            tick = Tick.FromString(seen.last)
            if STALE not in tick.flags:
                tick.flags[:] = [STALE]
                seen.last = tick.SerializeToString()
                repeated.append(tick)
        return repeated

    def encode(self, tick: Tick) -> bytes:
        """Set the flags of a tick that came, and serialise it."""
        seen = self._of(tick.symbol)
        flags: list[TickFlag.ValueType] = []
        if seen.fresh:
            seen.fresh = False
            flags += [FIRST_SNAPSHOT, GAP] if seen.broken else [FIRST_SNAPSHOT]
        time = tick.time
        second, moment = time.seconds, (time.seconds, time.nanos)
        if second:
            self._judge_order(seen, tick, moment, flags)
            self._judge_time(seen, tick, second, flags)
        _judge_prices(tick, flags)
        if flags or tick.flags:
            tick.flags[:] = sorted(flags)
        data = tick.SerializeToString()
        if OUT_OF_ORDER not in flags:
            seen.last = data
        return data

    def _of(self, symbol: str) -> _Seen:
        return self._seen.get(symbol) or self._seen.setdefault(symbol, _Seen())

    def _judge_order(self, seen: _Seen, tick: Tick, moment: tuple[int, int], flags: list[TickFlag.ValueType]) -> None:
        volume, trading_day = tick.volume, tick.trading_day
        if trading_day == seen.trading_day:
            if moment < seen.moment:
                flags.append(OUT_OF_ORDER)
                return
            if volume < seen.volume:
                flags.append(VOLUME_REGRESSION)
            elif moment == seen.moment and volume == seen.volume and _says_the_same(tick, seen.last):
                flags.append(DUPLICATE)
        seen.trading_day, seen.moment, seen.volume = trading_day, moment, volume

    def _judge_time(self, seen: _Seen, tick: Tick, second: int, flags: list[TickFlag.ValueType]) -> None:
        if second != seen.second or self._hours.changes != seen.changes:
            seen.second, seen.changes = second, self._hours.changes
            seen.is_open = self._hours.is_open(tick.symbol, tick.trading_day, second)
        if not seen.is_open:
            flags.append(OFF_SESSION)
        self._newest = max(self._newest, second)
        if (self._clock() if self._clock else self._newest) - second > STALE_SECONDS:
            flags.append(STALE)


def _judge_prices(tick: Tick, flags: list[TickFlag.ValueType]) -> None:
    # A price that is absent reads as 0, which no price is.
    last, upper, lower = tick.last_price, tick.upper_limit_price, tick.lower_limit_price
    bids, asks = tick.bid_prices, tick.ask_prices
    if bids and asks:
        if bids[0] >= asks[0]:
            flags.append(CROSSED)
        one_sided = False
    else:
        one_sided = (bool(bids) and bids[0] == upper) or (bool(asks) and asks[0] == lower)
    if one_sided or (last and last in (upper, lower)):
        flags.append(AT_LIMIT)
    if tick.settlement_price:
        flags.append(SETTLEMENT)


def _says_the_same(tick: Tick, before: bytes) -> bool:
    """Whether two ticks of one moment and volume show the same market."""
    other = Tick.FromString(before)
    return all(
        getattr(tick, name) == getattr(other, name)
        for name in ("last_price", "open_interest", "bid_prices", "bid_volumes", "ask_prices", "ask_volumes")
    )
