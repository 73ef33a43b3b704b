"""What the exchanges' conduct rules count, and how near to their limits an account is.

Self-trades, frequent cancels and large cancels of an instrument in a trading day (SHFE's rules on
abnormal trading), and orders a second (the rule on programme trading). Cancels and self-trades of FAK
and FOK orders do not count at SHFE. All of it follows from the day's orders and trades, which the
journal keeps: a restart forgets nothing, and what is seen twice counts once.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.orders import AT_ONCE

SECOND = 1_000_000_000
# The count, its limit, and the reason of a refusal.
RULES = (
    ("cancels", "max_cancels", "CONDUCT_CANCELS"),
    ("large_cancels", "max_large_cancels", "CONDUCT_LARGE_CANCELS"),
    ("self_trades", "max_self_trades", "CONDUCT_SELF_TRADES"),
    ("orders_per_second", "max_orders_per_second", "CONDUCT_ORDER_RATE"),
)


class _Instrument:
    """What was seen of one instrument."""

    def __init__(self) -> None:
        self.orders: set[str] = set()
        self.at_once: set[str] = set()
        self.cancelled: dict[str, int] = {}  # how many lots of each order somebody cancelled
        self.trades: defaultdict[str, dict[int, str]] = defaultdict(dict)  # trade id -> direction -> order
        self.times: list[tuple[int, str]] = []  # when what was sent
        self.busiest = 0

    def sent(self, at: int, what: str) -> None:
        """Count an order or a cancel that was sent at a time."""
        place = bisect.bisect_left(self.times, (at, what))
        if self.times[place : place + 1] == [(at, what)]:
            return
        self.times.insert(place, (at, what))
        for last in range(place, bisect.bisect_left(self.times, at + SECOND, key=itemgetter(0))):
            first = bisect.bisect_right(self.times, self.times[last][0] - SECOND, key=itemgetter(0))
            self.busiest = max(self.busiest, last - first + 1)


class ConductCounter:
    """The counts of one account in one trading day."""

    def __init__(self, trading_day: str = "") -> None:
        self.trading_day = trading_day
        self._seen: defaultdict[str, _Instrument] = defaultdict(_Instrument)

    def see(self, things: Iterable[object]) -> None:
        """Count orders and trades as they are now; anything else counts nothing."""
        for one in things:
            if isinstance(one, pb.Order) and one.trading_day == self.trading_day:
                self._order(one, self._seen[one.symbol])
            elif isinstance(one, pb.Trade) and one.trading_day == self.trading_day:
                self._seen[one.symbol].trades[one.trade_id][one.direction] = one.client_order_id

    def _order(self, order: pb.Order, seen: _Instrument) -> None:
        name = order.client_order_id
        seen.orders.add(name)
        if order.type in AT_ONCE:
            seen.at_once.add(name)
        elif order.state == pb.ORDER_STATE_CANCELLED and order.cancelled_by:
            seen.cancelled[name] = order.volume - order.filled_volume
        if not order.external:
            seen.sent(order.create_time.ToNanoseconds(), name)
            if order.HasField("cancel_time"):
                seen.sent(order.cancel_time.ToNanoseconds(), f"cancel of {name}")

    def of(self, symbol: str, limits: pb.RiskLimits) -> pb.Conduct:
        """Give the counts of an instrument, and which limits are near or reached."""
        seen = self._seen.get(symbol)
        if seen is None:
            return pb.Conduct(symbol=symbol)
        large = limits.large_cancel_volume
        one = pb.Conduct(
            symbol=symbol,
            orders=len(seen.orders),
            cancels=len(seen.cancelled),
            large_cancels=sum(volume >= large for volume in seen.cancelled.values()) if large else 0,
            self_trades=sum(_is_self_trade(sides, seen.at_once) for sides in seen.trades.values()),
            orders_per_second=seen.busiest,
        )
        _judge(one, limits)
        return one

    def all(self, limits: pb.RiskLimits) -> list[pb.Conduct]:
        """Give the counts of every instrument that had orders or trades."""
        return [self.of(symbol, limits) for symbol in sorted(self._seen)]


def _is_self_trade(sides: dict[int, str], at_once: set[str]) -> bool:
    """Tell whether both sides of a trade are the account's: they share the trade's number."""
    return len(sides) == 2 and not at_once & set(sides.values())


def _judge(one: pb.Conduct, limits: pb.RiskLimits) -> None:
    for count, limit, _ in RULES:
        number, most = getattr(one, count), getattr(limits, limit)
        if not most:
            continue
        if number >= most:
            one.reached.append(limit)
        elif limits.conduct_warning and number >= limits.conduct_warning * most:
            one.warnings.append(limit)
