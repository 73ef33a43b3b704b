"""The ticks in Redis or Valkey: which keys there are, and what is in them.

`ticks:{au2604}` has an entry for each tick: its id is `epoch-seq`, its one field the tick's
protobuf bytes. `days:{au2604}` has an entry where a trading day of the symbol begins, with the id
of its first tick. `symbols:ticks` is the set of symbols, `cursor:ticks` the place up to which all
this is complete, and `gaps:ticks` the holes in it.

Redis refuses an id that is not above the last, so an entry that is sent again changes nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from arbig.market.v1.market_pb2 import Tick
from store_svc.ticks.place import BEGIN, Entry, Hole, Notes, Place, note

T = TypeVar("T")

CURSOR, SYMBOLS, GAPS = "cursor:ticks", "symbols:ticks", "gaps:ticks"
TICK, TRADING_DAY = "tick", "trading_day"

# One step for Redis: the entries and the cursor behind them, if the cursor is where we left it. A
# Redis that lost its data must not get new ticks: no older one could be put in front of them.
APPEND = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
    return redis.error_reply('ELSEWHERE the cursor is not where it was left')
end
for at = 3, #ARGV, 4 do
    local reply = redis.pcall('XADD', ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    if type(reply) == 'table' and reply.err and not reply.err:find('equal or smaller', 1, true) then
        return reply
    end
end
return redis.call('SET', KEYS[1], ARGV[2])
"""


def stream_of(symbol: str) -> str:
    """Name the stream of a symbol."""
    return f"ticks:{{{symbol}}}"


def days_of(symbol: str) -> str:
    """Name the stream of a symbol's trading days."""
    return f"days:{{{symbol}}}"


class CursorMoved(Exception):
    """The cursor is not where we left it: see what Redis has."""

    def __init__(self) -> None:
        super().__init__("redis: it lost its data, or another process stores ticks too")


class Segment(NamedTuple):
    """The ticks of a symbol on a trading day, in one life of the market service's stream."""

    symbol: str
    trading_day: str
    first: Place
    last: Place
    # Another one follows it.
    closed: bool


class TickStreams:
    """What is asked of Redis. Every call may raise RedisError, OSError or TimeoutError."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its own types differ from version to version

    async def eviction(self) -> str:
        """Give the policy by which Redis throws data away; empty where it does not, or does not say."""
        try:
            policy: Mapping[Any, Any] = await answer(self._redis.config_get("maxmemory-policy"))
        except ResponseError:
            return ""
        found = _text(next(iter(policy.values()), b"noeviction"))
        return "" if found == "noeviction" else found

    async def read_cursor(self) -> Place:
        """Give the place up to which Redis is complete, but for its holes; BEGIN where it has nothing."""
        return _cursor(await answer(self._redis.get(CURSOR)))

    async def append(self, left: Place, ticks: Iterable[Tick], days: Mapping[Place, str], to: Place) -> None:
        """Append the ticks, and the days that begin at some of them; move the cursor from `left` to `to`.

        Nobody sees a part of it, unless Redis refuses the rest, as one without room does: then the
        cursor stays, and what is there already changes nothing when it is sent again. Raises
        CursorMoved where the cursor is not at `left`.
        """
        arguments: list[str | bytes] = ["" if left == BEGIN else str(left), str(to)]
        for tick in ticks:
            place = Place(to.epoch, tick.seq)
            if place in days:
                arguments += days_of(tick.symbol), str(place), TRADING_DAY, days[place]
            arguments += stream_of(tick.symbol), str(place), TICK, tick.SerializeToString(deterministic=True)
        try:
            await answer(self._redis.eval(APPEND, 1, CURSOR, *arguments))
        except ResponseError as error:
            if "ELSEWHERE" in str(error):
                raise CursorMoved from error
            raise

    async def add_symbols(self, symbols: Iterable[str]) -> None:
        """Note symbols that are about to get their first ticks."""
        await answer(self._redis.sadd(SYMBOLS, *symbols))

    async def symbols(self) -> list[str]:
        """Give the symbols that have or had ticks here."""
        found: set[bytes] = await answer(self._redis.smembers(SYMBOLS))
        return sorted(map(_text, found))

    async def strangers(self) -> list[str]:
        """Give the symbols whose ticks were stored by a version that noted no symbols; none where some are."""
        if await answer(self._redis.exists(SYMBOLS)):
            return []
        found: list[bytes] = await answer(self._scan())
        return sorted(_text(key).removeprefix("ticks:{").removesuffix("}") for key in found)

    async def _scan(self) -> list[bytes]:
        return [key async for key in self._redis.scan_iter(match=stream_of("*"), count=1_000)]

    async def add_days(self, symbol: str, days: Mapping[Place, str]) -> None:
        """Note where trading days of a symbol begin."""
        for place, day in days.items():
            try:
                await answer(self._redis.xadd(days_of(symbol), {TRADING_DAY: day}, str(place)))
            except ResponseError as error:
                if "equal or smaller" not in str(error):
                    raise

    async def newest_days(self, symbols: Sequence[str]) -> list[tuple[Place, str]]:
        """Give where the newest trading day of each symbol begins; BEGIN for one without ticks."""
        pipeline = self._redis.pipeline(transaction=False)
        for symbol in symbols:
            pipeline.xrevrange(days_of(symbol), count=1)
        return [_day(found[0]) if found else (BEGIN, "") for found in await answer(pipeline.execute())]

    async def segments(self, symbol: str) -> list[Segment]:
        """Give what Redis has of a symbol, in the order of the stream."""
        # At one moment: a day that begins between the two would lend its ticks to the one before.
        both = self._redis.pipeline(transaction=True).xrange(days_of(symbol)).xrevrange(stream_of(symbol), count=1)
        days, top = await answer(both.execute())
        begun = [_day(one) for one in days]
        pipeline = self._redis.pipeline(transaction=False)
        for following, _ in begun[1:]:
            pipeline.xrevrange(stream_of(symbol), f"({following}", count=1)
        lasts = [_place(found[0]) if found else BEGIN for found in [*await answer(pipeline.execute()), top]]
        ends = enumerate(zip(begun, lasts, strict=False), 1)
        return [
            Segment(symbol, day, first, last, closed=number < len(begun))
            for number, ((first, day), last) in ends
            if last >= first
        ]

    async def pages(self, symbol: str, after: Place, last: Place, size: int) -> AsyncIterator[list[Entry]]:
        """Give the ticks of a symbol after a place, up to and with `last`."""
        while page := await self.page(symbol, after, last, size):
            yield page
            after = page[-1][0]

    async def page(self, symbol: str, after: Place, last: Place, size: int) -> list[Entry]:
        """Give the next ticks of a symbol."""
        found = await answer(self._redis.xrange(stream_of(symbol), f"({after}", str(last), size))
        return list(map(_entry, found))

    async def state(self) -> tuple[Place, Notes]:
        """Give the cursor and the holes of one moment."""
        cursor, notes = await answer(self._redis.pipeline(transaction=True).get(CURSOR).hgetall(GAPS).execute())
        return _cursor(cursor), _notes(notes)

    async def page_and_state(
        self, symbol: str, after: Place, last: Place, size: int
    ) -> tuple[Place, Notes, list[Entry]]:
        """Give the next ticks of a symbol, with the cursor and the holes of the same moment."""
        pipeline = self._redis.pipeline(transaction=True).get(CURSOR).hgetall(GAPS)
        pipeline.xrange(stream_of(symbol), f"({after}", str(last), size)
        cursor, notes, page = await answer(pipeline.execute())
        return _cursor(cursor), _notes(notes), list(map(_entry, page))

    async def trim(self, symbol: str, before: Place, *, approximate: bool = True) -> None:
        """Remove the ticks before a place; approximately: not those that share a node with later ones."""
        # Redis removes so many in one call, and then leaves off.
        while await answer(self._redis.xtrim(stream_of(symbol), minid=str(before), approximate=approximate)):
            pass

    async def trim_days(self, symbol: str, before: Place) -> None:
        """Forget the trading days that began before a place."""
        await answer(self._redis.xtrim(days_of(symbol), minid=str(before), approximate=False))

    async def note(self, found: Iterable[Hole]) -> None:
        """Note some holes."""
        for hole in found:
            await answer(self._redis.hset(GAPS, mapping=note(hole)))


def _text(found: str | bytes) -> str:
    return found.decode() if isinstance(found, bytes) else found


def _place(entry: tuple[bytes, Any]) -> Place:
    return Place.parse(entry[0])


def _cursor(found: bytes | None) -> Place:
    return Place.parse(found) if found else BEGIN


def _notes(found: dict[bytes, bytes]) -> Notes:
    return {_text(places): _text(reason) for places, reason in found.items()}


def _entry(entry: tuple[bytes, dict[bytes, bytes]]) -> Entry:
    return _place(entry), entry[1][TICK.encode()]


def _day(entry: tuple[bytes, dict[bytes, bytes]]) -> tuple[Place, str]:
    return _place(entry), entry[1][TRADING_DAY.encode()].decode()


async def answer(call: Awaitable[T]) -> T:
    """Give what Redis answers, unless we were told to stop meanwhile.

    redis-py waits with asyncio.wait_for, and that of Python 3.11 forgets a cancellation that comes
    just as the wait ends.
    """
    try:
        return await call
    finally:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise asyncio.CancelledError
