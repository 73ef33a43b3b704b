"""Remembering ticks: the market service's stream, followed from the cursor that Redis has.

The cursor moves with the entries and is read again after every fault. A Redis that came back with
less is given again what it lost, but for what is archived; what the market service no longer has
either is noted as a hole before anything behind it is stored.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc
from redis.exceptions import RedisError

from arbig.follow import Link, follow
from arbig.market.v1.market_pb2 import DELIVERY_EVERY, SubscribeTicksRequest, SubscribeTicksResponse, Tick
from store_svc.ticks.adopt import adopt
from store_svc.ticks.place import BEGIN, Hole, Place
from store_svc.ticks.streams import CURSOR, CursorMoved, TickStreams

if TYPE_CHECKING:
    from store_svc.ticks.archive import Archive

log = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 0.1, 2.0


class StaleEpoch(Exception):
    """The market service's stream is older than what is stored: its entries would be refused."""


class ArchiveAway(Exception):
    """The archive does not say what it has, or cannot note what is lost."""


class TickRecorder:
    """The follower of SubscribeTicks, `subscribe` being the stub's method.

    `day_began` hears when a trading day of a symbol begins, and when there may have been one.
    """

    def __init__(
        self,
        streams: TickStreams,
        subscribe: object,
        archive: "Archive | None",
        day_began: Callable[[], None] = lambda: None,
    ) -> None:
        self.stored = BEGIN
        # The newest place that was ever stored, as far as we saw.
        self.newest = BEGIN
        self.link = Link("market service")
        self._streams = streams
        self._subscribe = subscribe
        self._archive = archive
        self._day_began = day_began
        self._days: dict[str, tuple[int, str]] = {}
        # What is wrong, and what the log said of it: a try that begins well may end as the one before.
        self._trouble = self._reported = "redis: not asked yet"
        self._warning = ""

    @property
    def reason(self) -> str:
        """What keeps ticks from being stored, or may lose them; empty while all is well."""
        return self._trouble or self.link.reason or self._warning

    async def run(self) -> None:
        """Record for ever."""
        backoff = FIRST_BACKOFF
        while True:
            before = self.stored
            try:
                await self._record()
            except (RedisError, OSError, TimeoutError) as error:
                self._is_down(f"redis: {error}")
            except (StaleEpoch, CursorMoved, ArchiveAway) as error:
                self._is_down(str(error))
            except grpc.aio.AioRpcError as error:
                # Out of range: the market service lost its newest ticks, and numbers new ones like
                # them: those that repeat a number are not stored. It is waited for until it is past
                # them. Whatever else it is, orders are stored meanwhile.
                level = logging.ERROR if error.code() is grpc.StatusCode.OUT_OF_RANGE else logging.WARNING
                self._is_down(f"market service: {error.details() or error.code().name}", error.code().name, level)
            backoff = FIRST_BACKOFF if self.stored != before else min(2 * backoff, LAST_BACKOFF)
            await asyncio.sleep(backoff)

    def _reached(self, place: Place) -> None:
        self.stored = place
        self.newest = max(self.newest, place)

    def _is_down(self, why: str, fault: str = "", level: int = logging.WARNING) -> None:
        self._trouble = why
        if (fault or why) != self._reported:
            log.log(level, "cannot store ticks, trying again", extra={"why": why, "stored": self.stored})
        self._reported = fault or why

    def _is_well(self) -> None:
        if self._reported:
            log.info("recording ticks", extra={"epoch": self.stored.epoch, "seq": self.stored.seq})
        self._reported = ""

    async def _record(self) -> None:
        """Follow on from what Redis has, until something breaks."""
        self._reached(await self._streams.read_cursor())
        self._days = {}
        await adopt(self._streams)
        self._day_began()
        policy = await self._streams.eviction()
        self._warning = policy and f"redis: maxmemory-policy {policy} throws ticks away: set it to noeviction"
        self._trouble = ""
        request = SubscribeTicksRequest(after=self.stored.cursor, delivery=DELIVERY_EVERY)
        replies = follow(self._subscribe, request, SubscribeTicksResponse, self.link)
        async with contextlib.aclosing(replies):
            async for reply in replies:
                await self._store(reply)

    async def _store(self, reply: SubscribeTicksResponse) -> None:
        to = Place.of(reply.cursor)
        self._check_epoch(to.epoch)
        if reply.HasField("gap"):
            await self._declare(to, reply.gap.reason)
        elif self.stored == BEGIN:
            oldest = reply.ticks[0].seq - 1 if reply.ticks else to.seq
            await self._declare(Place(to.epoch, oldest), "neither Redis nor the market service has them any more")
        if to != self.stored:
            await self._append(reply.ticks, to)
        elif await self._streams.read_cursor() != self.stored:
            # A Redis that is down, or was emptied, shows while the market is quiet too.
            raise CursorMoved
        self._is_well()

    def _check_epoch(self, epoch: int) -> None:
        newest = self._known.epoch
        if epoch < newest:
            raise StaleEpoch(
                f"market service: its stream (epoch {epoch}) is older than the stored one (epoch {newest});"
                f" to store it, delete {CURSOR}, the ticks:* and days:* streams, and the archive of that epoch"
            )

    async def _declare(self, resume: Place, why: str) -> None:
        """Note the holes up to a place: what is not archived either."""
        try:
            found = await self._lost(resume, why)
            if found and self._archive:
                await asyncio.to_thread(self._archive.note, found)
        except OSError as error:
            raise ArchiveAway(f"archive: {error}") from error
        for hole in found:
            log.error("ticks were lost to storage", extra={"why": why, "after": hole.after, "resume": hole.resume})
        await self._streams.note(found)

    async def _lost(self, resume: Place, why: str) -> list[Hole]:
        after = self._known_before(resume.epoch)
        same = after.epoch == resume.epoch
        return await (self._missing(after, resume.seq, why) if same else self._between(after, resume, why))

    @property
    def _known(self) -> Place:
        return max(self.stored, self._archive.newest if self._archive else BEGIN)

    def _known_before(self, epoch: int) -> Place:
        """Give the place up to which ticks were stored when the stream came to where this life of it goes on."""
        known = self._known
        if known.epoch == epoch:
            known = self.stored  # what is archived of this life is taken out of the hole
        return known if known != BEGIN else Place(epoch, 0)

    async def _between(self, after: Place, resume: Place, why: str) -> list[Hole]:
        """Give the holes where one life of the stream follows another."""
        begin = self.stored.seq if self.stored.epoch == after.epoch else 0
        lost = await self._missing(Place(after.epoch, begin), after.seq, why)
        lacking = await self._missing(Place(resume.epoch, 0), resume.seq, why)
        joins = bool(lacking) and lacking[0].after.seq == 0
        # The old life went on for nobody knows how long.
        joint = Hole(after, lacking[0].resume if joins else Place(resume.epoch, 0), why)
        return [*lost, joint, *lacking[joins:]]

    async def _missing(self, after: Place, through: int, why: str) -> list[Hole]:
        epoch, pairs = after.epoch, [(after.seq, through)] if after.seq < through else []
        if self._archive:
            pairs = await self._archive.missing(epoch, after.seq, through)
        return [Hole(Place(epoch, left), Place(epoch, right), why) for left, right in pairs]

    async def _append(self, ticks: Sequence[Tick], to: Place) -> None:
        new = [tick for tick in ticks if not self._is_archived(tick, to.epoch)]
        days = await self._begun(new, to.epoch)
        await self._streams.append(self.stored, new, days, to)
        self._reached(to)
        if days:
            self._day_began()

    def _is_archived(self, tick: Tick, epoch: int) -> bool:
        mark = self._archive.mark(tick.symbol) if self._archive else None
        return mark is not None and Place(epoch, tick.seq) <= mark

    async def _begun(self, ticks: Sequence[Tick], epoch: int) -> dict[Place, str]:
        """Give the trading days that begin at some of the ticks."""
        if new := sorted({tick.symbol for tick in ticks} - self._days.keys()):
            await self._streams.add_symbols(new)
            for symbol, (first, day) in zip(new, await self._streams.newest_days(new), strict=True):
                self._days[symbol] = first.epoch, day
        begun = {}
        for tick in ticks:
            if self._days[tick.symbol] != (epoch, tick.trading_day):
                self._days[tick.symbol] = epoch, tick.trading_day
                begun[Place(epoch, tick.seq)] = tick.trading_day
        return begun
