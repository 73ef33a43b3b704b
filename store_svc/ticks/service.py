"""TickHistoryService: ticks of the past, asked over gRPC."""

import math
import re
from collections.abc import AsyncIterator, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.errors import InvalidField, Refused
from arbig.instrument import check_symbol
from arbig.server import Context
from arbig.store.v1 import history_pb2 as pb
from store_svc.ticks.history import TickHistory
from store_svc.ticks.place import Place, nanoseconds
from store_svc.ticks.replay import Clock, Range, Replay, merged

NAME = "arbig.store.v1.TickHistoryService"
FASTEST = 1e6
_DAY = re.compile(r"\d{8}")


class TickHistoryService:
    """Answers from the archive and from Redis; the contract says what."""

    def __init__(self, history: TickHistory, clock: Clock | None = None) -> None:
        self._history = history
        self._clock = clock or Clock()

    async def ReplayTicks(  # noqa: N802 - the contract's name
        self, request: pb.ReplayTicksRequest, _: Context
    ) -> AsyncIterator[pb.ReplayTicksResponse]:
        """Play the stored ticks again."""
        wanted, symbols = _range(request), _symbols(request.symbols)
        speed = _speed(request.speed)
        self._check_kept()
        after = Place.of(request.after)
        picture = await self._history.picture(after)
        sources = [picture.pages(symbol, after, wanted) for symbol in symbols or await self._history.symbols()]
        replay = Replay(wanted, picture.holes, after, speed, self._clock)
        async for response in replay.responses(merged(sources)):
            yield response

    async def ListTickDays(  # noqa: N802
        self, request: pb.ListTickDaysRequest, _: Context
    ) -> pb.ListTickDaysResponse:
        """List what is stored."""
        wanted = Range(_day(request, "first_trading_day"), _day(request, "last_trading_day"))
        symbols = _symbols([request.symbol] if request.symbol else [], "symbol")
        self._check_kept()
        days = await self._history.days(symbols or await self._history.symbols())
        found = [day for day in days if wanted.has_day(day.trading_day)]
        found.sort(key=lambda day: (day.first.epoch, day.first.seq), reverse=True)
        found.sort(key=lambda day: day.symbol)
        found.sort(key=lambda day: day.trading_day, reverse=True)
        return pb.ListTickDaysResponse(days=found)

    def _check_kept(self) -> None:
        if not self._history.has_ticks:
            raise Refused("no ticks are kept: store.redis is none", "NO_TICKS")


def _symbols(asked: Sequence[str], field: str = "symbols") -> list[str]:
    return sorted({check_symbol(symbol, field) for symbol in asked})


def _range(request: pb.ReplayTicksRequest) -> Range:
    return Range(
        _day(request, "first_trading_day"),
        _day(request, "last_trading_day"),
        _time(request.first_time, "first_time") if request.HasField("first_time") else None,
        _time(request.end_time, "end_time") if request.HasField("end_time") else None,
    )


def _day(request: pb.ReplayTicksRequest | pb.ListTickDaysRequest, field: str) -> str:
    day: str = getattr(request, field)
    if day and not _DAY.fullmatch(day):
        raise InvalidField(field, f"{day[:40]!r} is no trading day like 20260309")
    return day


def _time(time: Timestamp, field: str) -> int:
    if not 0 <= time.nanos < 1_000_000_000:
        raise InvalidField(field, f"{time.nanos} nanos")
    return nanoseconds(time)


def _speed(speed: float) -> float:
    if not (math.isfinite(speed) and 0 <= speed <= FASTEST):
        raise InvalidField("speed", f"{speed:g} is not from 0 to {FASTEST:g}")
    return speed
