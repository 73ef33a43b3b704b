"""Bars of past trading days: from the tape, or from the stored history where the tape does not reach.

One day is read at a time, and none that the page does not need. Of a past day in which the tape began
storage may have more; the one that has is read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import grpc

from arbig.calendar import is_day
from arbig.channel import open_channel
from arbig.errors import InvalidField, Unavailable
from arbig.instrument import check_symbol
from arbig.market.v1 import bars_pb2 as pb
from arbig.market.v1.market_pb2 import TICK_FLAG_GAP, Tick
from arbig.pages import from_token, page_size, to_token
from arbig.store.v1 import history_pb2
from arbig.store.v1.history_pb2_grpc import TickHistoryServiceStub
from market_svc.bars import Bars, Hours, check_period
from market_svc.reel import payload
from market_svc.tape import Tape

log = logging.getLogger(__name__)

DEFAULT_SIZE, MOST = 1_000, 10_000
# A day of a busy contract takes storage about two seconds.
DEADLINE_SECONDS = 30.0
# Of one page, where they give any bars: a year of days is many such pages.
MOST_DAYS = 10
# Later than every trading day.
_NO_MORE = "99999999"


class Range(NamedTuple):
    """From one trading day to another, both included."""

    first: str
    last: str

    def __contains__(self, day: object) -> bool:
        """Whether it is one of them."""
        return isinstance(day, str) and self.first <= day <= self.last


class BarHistory:
    """Answers ListBars."""

    def __init__(self, tape: Tape, hours: Hours, store: str) -> None:
        """Read from the tape, and from the storage service at the address `store`."""
        self._tape = tape
        self._hours = hours
        self._store = store

    async def page(self, request: pb.ListBarsRequest) -> pb.ListBarsResponse:
        """Give a page of bars; raises InvalidField, or Unavailable where the stored history is needed and away."""
        check_symbol(request.symbol)
        period, most = check_period(request.period), page_size(request.page_size, DEFAULT_SIZE, MOST)
        place = from_token(request.page_token, request)
        wanted = self._range(request)
        if place:
            wanted = wanted._replace(first=str(place[0]))
        found: list[pb.Bar] = []
        days = 0
        async for day in self._days(request.symbol, wanted):
            if found and (len(found) > most or days >= MOST_DAYS):
                break
            bars = await self._bars(request.symbol, day, period)
            found += [bar for bar in bars if not place or (day, bar.begin_time.seconds) > place]
            days += 1
        else:
            if len(found) <= most:
                return pb.ListBarsResponse(bars=found)
        found = found[:most]
        token = to_token((found[-1].trading_day, found[-1].begin_time.seconds), request)
        return pb.ListBarsResponse(bars=found, next_page_token=token)

    def _range(self, request: pb.ListBarsRequest) -> Range:
        for field, day in (("first_day", request.first_day), ("last_day", request.last_day)):
            if day and not is_day(day):
                raise InvalidField(field, f"{day[:40]!r} is no trading day like 20260309")
        newest = (self._tape.trading_days or [""])[-1]
        wanted = Range(request.first_day or newest or request.last_day, request.last_day or newest or request.first_day)
        if wanted.first > wanted.last:
            raise InvalidField("first_day", f"{wanted.first} lies after the last day, {wanted.last}")
        return wanted

    async def _days(self, symbol: str, wanted: Range) -> AsyncIterator[str]:
        """Give the trading days that may have bars, the oldest first."""
        taped = sorted(self._tape.trading_days)
        if wanted.first and (not taped or wanted.first < taped[0]):
            for day in await self._stored_days(symbol, wanted):
                if day not in taped:
                    yield day
        for day in taped:
            if day in wanted:
                yield day

    async def _bars(self, symbol: str, day: str, period: pb.BarPeriod.ValueType) -> list[pb.Bar]:
        taped = self._tape.trading_days
        if day not in taped:
            return await self._built(self._stored(symbol, day), symbol, day, period)
        bars = await self._built(self._taped(symbol, day), symbol, day, period)
        if day != self._tape.begun_on or day == taped[-1]:
            return bars
        # The tape may have begun in the middle of it, as after a power cut.
        try:
            stored = await self._built(self._stored(symbol, day), symbol, day, period)
        except Unavailable as error:
            log.warning("a day is given as the tape has it", extra={"day": day, "why": str(error)})
            return bars
        return max(bars, stored, key=lambda found: sum(bar.ticks for bar in found))

    async def _built(
        self, source: AsyncIterator[list[Tick]], symbol: str, day: str, period: pb.BarPeriod.ValueType
    ) -> list[pb.Bar]:
        bars = Bars(period, self._hours)
        async for ticks in source:
            await asyncio.to_thread(_add, bars, ticks)
        if day != (self._tape.trading_days or [""])[-1]:
            bars.finish(before=_NO_MORE)
        return [bars.bar(name) for name in bars.names(day, symbol)]

    async def _taped(self, symbol: str, day: str) -> AsyncIterator[list[Tick]]:
        async for elements in self._tape.of_day(day):
            yield await asyncio.to_thread(_of_symbol, elements, symbol)

    async def _stored_days(self, symbol: str, wanted: Range) -> list[str]:
        request = history_pb2.ListTickDaysRequest(
            symbol=symbol, first_trading_day=wanted.first, last_trading_day=wanted.last
        )
        async with open_channel(self._store) as channel:
            try:
                reply = await TickHistoryServiceStub(channel).ListTickDays(request, timeout=DEADLINE_SECONDS)
            except grpc.aio.AioRpcError as error:
                raise self._away(error, wanted) from error
        return sorted({day.trading_day for day in reply.days})

    async def _stored(self, symbol: str, day: str) -> AsyncIterator[list[Tick]]:
        request = history_pb2.ReplayTicksRequest(symbols=[symbol], first_trading_day=day, last_trading_day=day)
        missing = False
        async with open_channel(self._store) as channel:
            try:
                async for reply in TickHistoryServiceStub(channel).ReplayTicks(request, timeout=DEADLINE_SECONDS):
                    if missing and reply.ticks:
                        reply.ticks[0].flags.append(TICK_FLAG_GAP)
                    missing = reply.HasField("gap") or (missing and not reply.ticks)
                    yield list(reply.ticks)
            except grpc.aio.AioRpcError as error:
                raise self._away(error, Range(day, day)) from error

    def _away(self, error: grpc.aio.AioRpcError, wanted: Range) -> Unavailable:
        oldest = min(self._tape.trading_days, default="none")
        text = (
            f"bars from {wanted.first} on need the stored ticks (the oldest day here: {oldest}), "
            f"but the storage service at {self._store} answers {error.code().name}: {error.details()}"
        )
        return Unavailable(text, "HISTORY_AWAY")


def _of_symbol(elements: list[bytes], symbol: str) -> list[Tick]:
    # Nine of ten may be of other symbols: to look for its name is cheaper than to decode them.
    name = symbol.encode()
    ticks = (Tick.FromString(payload(one)) for one in elements if name in one)
    return [tick for tick in ticks if tick.symbol == symbol]


def _add(bars: Bars, ticks: Iterable[Tick]) -> None:
    for tick in ticks:
        bars.add(tick)
