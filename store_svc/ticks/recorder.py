"""Remembering ticks: the market service's stream, in a Redis or Valkey stream for each symbol.

`ticks:{au2604}` has an entry for each tick: its id is `epoch-seq`, its one field the tick's
protobuf bytes. Redis refuses an id that is not above the last, so an entry that is sent again, by
us or by another process, changes nothing.

Redis also has the cursor to follow on from. It is moved after the entries were acknowledged, and
read again after every fault: a Redis that came back with less is given again what it lost, as far
as the market service still has it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable
from typing import TypeVar

import grpc
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from arbig.config import Settings
from arbig.errors import ConfigError
from arbig.follow import Link, follow
from arbig.market.v1.market_pb2 import DELIVERY_EVERY, SubscribeTicksRequest, SubscribeTicksResponse, Tick
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.ticks.valkey import EmbeddedValkey

log = logging.getLogger(__name__)

T = TypeVar("T")

CURSOR = "cursor:ticks"
FIELD = "tick"
# The newest ticks kept of a symbol, about: a busy contract has 40,000 to 80,000 a trading day.
KEPT = 1_000_000
FIRST_BACKOFF, LAST_BACKOFF = 0.1, 2.0
REPEATED = "equal or smaller than the target stream top item"


def stream_of(symbol: str) -> str:
    """Name the stream of a symbol; the braces put it on one node of a cluster."""
    return f"ticks:{{{symbol}}}"


class StaleEpoch(Exception):
    """The market service's stream is older than what is stored: its entries would be refused."""


class NoTicks:
    """Stores no ticks, as the settings want it."""

    stored: Cursor | None = None
    reason = ""

    async def run(self) -> None:
        """Do nothing."""


class TickRecorder:
    """The follower of SubscribeTicks, `subscribe` being the stub's method."""

    def __init__(self, redis: Redis, subscribe: object, server: EmbeddedValkey | None = None) -> None:
        self.stored: Cursor | None = Cursor()
        self.link = Link("market service")
        self._redis = redis
        self._subscribe = subscribe
        self._server = server
        self._trouble = "redis: not asked yet"

    @property
    def reason(self) -> str:
        """What keeps ticks from being stored; empty while they are."""
        return (self._server.reason if self._server else "") or self._trouble or self.link.reason

    async def run(self) -> None:
        """Record for ever."""
        async with asyncio.TaskGroup() as group:
            if self._server:
                group.create_task(self._server.run())
            group.create_task(self._record_for_ever())

    async def _record_for_ever(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            before = self.stored
            try:
                await self._record()
            except (RedisError, OSError, TimeoutError) as error:
                self._is_down(f"redis: {error}")
            except StaleEpoch as error:
                self._is_down(str(error))
            except grpc.aio.AioRpcError as error:
                # The market service lost its newest ticks, and numbers new ones like them: those
                # that repeat a number are not stored. It is waited for until it is past them.
                if error.code() is not grpc.StatusCode.OUT_OF_RANGE:
                    raise
                self._is_down(f"market service: {error.details()}")
            backoff = FIRST_BACKOFF if self.stored != before else min(2 * backoff, LAST_BACKOFF)
            await asyncio.sleep(backoff)

    def _is_down(self, why: str) -> None:
        if why != self._trouble:
            log.warning("cannot store ticks, trying again", extra={"why": why})
        self._trouble = why

    async def _record(self) -> None:
        """Follow on from what Redis has, until something breaks."""
        stored = self.stored = await self._read_cursor()
        self._trouble = ""
        log.info("recording ticks", extra={"epoch": stored.epoch, "seq": stored.seq})
        request = SubscribeTicksRequest(after=stored, delivery=DELIVERY_EVERY)
        replies = follow(self._subscribe, request, SubscribeTicksResponse, self.link)
        async with contextlib.aclosing(replies):
            async for reply in replies:
                await self._store(reply)

    async def _store(self, reply: SubscribeTicksResponse) -> None:
        stored = self.stored or Cursor()
        if reply.cursor.epoch < stored.epoch:
            raise StaleEpoch(
                f"market service: its stream (epoch {reply.cursor.epoch}) is older than the stored one"
                f" (epoch {stored.epoch}); to store it, delete {CURSOR} and the ticks:* streams"
            )
        if reply.HasField("gap"):
            log.error("ticks were lost to storage", extra={"why": reply.gap.reason, "after": stored.seq})
        if reply.ticks:
            await self._append(reply.cursor.epoch, reply.ticks)
        if reply.HasField("heartbeat"):
            await _answer(self._redis.ping())  # so that a Redis that is down shows while the market is quiet
        elif reply.cursor != stored:
            await _answer(self._redis.set(CURSOR, f"{reply.cursor.epoch}-{reply.cursor.seq}"))
            self.stored = reply.cursor

    async def _append(self, epoch: int, ticks: Iterable[Tick]) -> None:
        """Append the ticks; those that are there already stay as they are."""
        pipeline = self._redis.pipeline(transaction=False)
        for tick in ticks:
            bound = ("MAXLEN", "~", KEPT)
            place = f"{epoch}-{tick.seq}"
            pipeline.execute_command("XADD", stream_of(tick.symbol), *bound, place, FIELD, tick.SerializeToString())
        for answer in await _answer(pipeline.execute(raise_on_error=False)):
            if isinstance(answer, Exception) and not (isinstance(answer, ResponseError) and REPEATED in str(answer)):
                raise answer

    async def _read_cursor(self) -> Cursor:
        found = await _answer(self._redis.get(CURSOR))
        if found is None:
            return Cursor()
        epoch, _, seq = str(found).partition("-")
        return Cursor(epoch=int(epoch), seq=int(seq))


async def _answer(call: Awaitable[T]) -> T:
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


def open_ticks(settings: Settings, subscribe: object) -> TickRecorder | NoTicks:
    """Make what stores ticks as the settings want it; raises ConfigError for a URL that cannot work."""
    if settings.store.redis == "none":
        return NoTicks()
    server = None if settings.store.redis else EmbeddedValkey(settings.directory("store"))
    url = server.url if server else settings.store.redis
    return TickRecorder(open_redis(url, settings.store.timeout_seconds), subscribe, server)


def open_redis(url: str, seconds: float) -> Redis:
    """Make a client that gives up after `seconds` and tries nothing twice: we do, and say so."""
    try:
        return Redis.from_url(
            url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
    except ValueError as error:
        raise ConfigError(f'store.redis: {error}; or "none", or nothing for the embedded Valkey') from None
