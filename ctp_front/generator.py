"""Prices out of nothing: three gold contracts that move together, with a believable book.

A common walk moves all contracts, a smaller one of its own moves each; depth thickens away from the
best price; volume, turnover and open interest add up. The randomness comes in as an argument: the
same seed gives the same prices.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

from ctp_front.depth import ABSENT, Depth
from ctp_front.instrument import PRODUCTS
from ctp_front.orders import Moment

_TICK = PRODUCTS["au"].price_tick
_MULTIPLIER = PRODUCTS["au"].multiplier

_START = 800.0  # yuan a gram
_CARRY = 1.6  # yuan a gram for two months
_LIMIT = 0.08
_COMMON, _OWN = 0.00006, 0.00001  # standard deviation of a step
_LEVELS = 5


def symbols(trading_day: str) -> list[str]:
    """Give gold's next three even delivery months; a contract leaves on the 15th of its own."""
    year, month, day = int(trading_day[:4]), int(trading_day[4:6]), int(trading_day[6:])
    first = month + (1 if day >= 15 else 0)
    first += first % 2
    months = [first + step for step in (0, 2, 4)]
    return [f"au{(year + (m - 1) // 12) % 100:02}{(m - 1) % 12 + 1:02}" for m in months]


class Randomness(Protocol):
    """What the generator wants of random.Random."""

    def random(self) -> float: ...  # noqa: D102
    def gauss(self, mu: float, sigma: float, /) -> float: ...  # noqa: D102
    def uniform(self, a: float, b: float, /) -> float: ...  # noqa: D102
    def expovariate(self, lambd: float, /) -> float: ...  # noqa: D102
    def randint(self, a: int, b: int, /) -> int: ...  # noqa: D102


class Generator:
    """Makes the next snapshot of each contract from the last one."""

    def __init__(self, names: Sequence[str], trading_day: str, random: Randomness, before: dict[str, Depth]) -> None:
        """Go on from the snapshots `before`; a contract that has none starts at its carry."""
        self._random = random
        self._trading_day = trading_day
        self._last: dict[str, Depth] = {}
        for step, name in enumerate(names):
            known = before.get(name)
            start = _round(_START + _CARRY * step)
            self._last[name] = known if known is not None else _first(name, trading_day, start)

    def open_day(self, trading_day: str) -> dict[str, float]:
        """Begin the next trading day, and give the settlement prices of the one that ends."""
        self._trading_day = trading_day
        settlements = {name: _round(depth.average / _MULTIPLIER) for name, depth in self._last.items() if depth.volume}
        for name, depth in self._last.items():
            settlement = settlements.get(name, depth.last)
            opened = _first(name, trading_day, settlement)
            self._last[name] = opened._replace(
                last=depth.last, pre_close=depth.last, pre_open_interest=depth.open_interest,
                open_interest=depth.open_interest, open=ABSENT, high=ABSENT, low=ABSENT,
            )  # fmt: skip
        return settlements

    def step(self, now: Moment) -> list[Depth]:
        """Give the next snapshots, all at one time."""
        common = self._random.gauss(0, _COMMON)
        return [self._next(name, common, now) for name in self._last]

    def _next(self, name: str, common: float, now: Moment) -> Depth:
        before = self._last[name]
        move = common + self._random.gauss(0, _OWN)
        # Half the tick is drawn, so that a small move is not always rounded to none.
        price = before.last * math.exp(move) + self._random.uniform(-0.5, 0.5) * _TICK
        price = min(max(_round(price), before.lower_limit), before.upper_limit)
        volume = int(self._random.expovariate(1 / 6))
        opened = self._random.randint(-volume, volume) // 2
        total, turnover = before.volume + volume, before.turnover + volume * price * _MULTIPLIER
        first = before.volume == 0 and before.high == ABSENT
        after = before._replace(
            trading_day=self._trading_day, action_day=now.day, update_time=now.time, update_millisec=now.millisec,
            last=price,
            open=price if first else before.open,
            high=price if first else max(before.high, price),
            low=price if first else min(before.low, price),
            volume=total, turnover=turnover, open_interest=max(before.open_interest + opened, 0.0),
            average=turnover / total if total else before.average,
            **self._levels(price, before.lower_limit, before.upper_limit),
        )  # fmt: skip
        self._last[name] = after
        return after

    def _levels(self, last: float, lower: float, upper: float) -> dict[str, Any]:
        # The last trade was at the best bid or at the best ask; the spread is one to three ticks.
        spread = (1, 1, 2, 2, 3)[self._random.randint(0, 4)] * _TICK
        bid = last if self._random.random() < 0.5 else last - spread
        levels: dict[str, Any] = {}
        for level in range(1, _LEVELS + 1):
            away = (level - 1) * _TICK
            for side, price in (("bid", _round(bid - away)), ("ask", _round(bid + spread + away))):
                inside = lower <= price <= upper
                levels[f"{side}_price{level}"] = price if inside else ABSENT
                levels[f"{side}_volume{level}"] = self._random.randint(1, 12 + 8 * level) if inside else 0
        return levels


def _round(price: float) -> float:
    return round(round(price / _TICK) * _TICK, 2)


def _first(name: str, trading_day: str, price: float) -> Depth:
    values: dict[str, Any] = {field: 0 if "volume" in field else ABSENT for field in Depth._fields}
    values |= {
        "symbol": name,
        "trading_day": trading_day,
        "action_day": trading_day,
        "update_time": "00:00:00",
        "update_millisec": 0,
        "pre_settlement": price,
        "pre_close": price,
        "pre_open_interest": 100_000.0,
        "upper_limit": _round(price * (1 + _LIMIT)),
        "lower_limit": _round(price * (1 - _LIMIT)),
        "last": price,
        "average": price * _MULTIPLIER,
        "turnover": 0.0,
        "open_interest": 100_000.0,
    }
    return Depth(**values)
