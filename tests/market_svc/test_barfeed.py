"""The streams of bars: what a follower gets after any cursor, in any life of the service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.calendar import Calendar, NoHolidays, Session
from arbig.errors import OutOfRange
from arbig.fanout import Batch, Feed, element
from arbig.market.v1 import bars_pb2 as pb
from arbig.market.v1.market_pb2 import Tick
from arbig.stream.v1.stream_pb2 import Cursor
from market_svc import barfeed
from market_svc.barfeed import BarFeeds, Build, open_bars
from market_svc.bars import Bars
from market_svc.main import recall
from market_svc.reel import payload
from market_svc.tape import Tape

DAYS = ("20260309", "20260310", "20260311")
MINUTE = pb.BAR_PERIOD_1M
CALENDAR = Calendar(NoHolidays())
# Which bar: symbol and begin.
States = dict[tuple[str, int], pb.Bar]


def gold(_symbol: str, day: str) -> Sequence[Session]:
    return CALENDAR.sessions("au", day)


def day_of(day: str, count: int = 40, first: int = 1) -> list[Tick]:
    """Make ticks of two symbols, seven seconds apart; a third of them is late."""
    begin = gold("au", day)[0].begin
    made = []
    for number in range(count):
        late = 65 if number % 3 == 2 else 0
        second = begin + 7 * number - late
        made.append(
            Tick(
                seq=first + number,
                symbol="au2606" if number % 4 == 3 else "au2604",
                trading_day=day,
                time=Timestamp(seconds=max(second, begin)),
                last_price=800.0 + number % 5,
                volume=10 * number - late // 7,
            )
        )
    return made


class Market(NamedTuple):
    """A tape, its feed, and the bars made of them."""

    tape: Tape
    feed: Feed
    bars: BarFeeds

    def publish(self, ticks: Sequence[Tick]) -> None:
        """Let the followers see some ticks."""
        for tick in ticks:
            data = element(tick.SerializeToString())
            self.tape.append(tick.seq, tick.trading_day, data)
            self.feed.append(tick.symbol, data)
        self.tape.flush()
        self.feed.wake()


@contextlib.asynccontextmanager
async def open_market(directory: Path, ring: int = 64) -> AsyncIterator[Market]:
    """Open what is on the tape, as the service does when it starts."""
    tape = Tape(directory, 1000)
    feed = recall(tape, ring)
    async with open_bars(feed, tape, gold) as bars:
        yield Market(tape, feed, bars)


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    """Give a market that has seen two trading days and half of a third."""
    async with open_market(tmp_path) as made:
        made.publish(THREE_DAYS)
        yield made


THREE_DAYS = [*day_of(DAYS[0]), *day_of(DAYS[1], first=41), *day_of(DAYS[2], 20, first=81)]


def bars_in(batch: Batch) -> list[pb.Bar]:
    return [pb.Bar.FromString(payload(one)) for one in batch.items]


def states(bars: Sequence[pb.Bar]) -> States:
    return {(bar.symbol, bar.begin_time.seconds): bar for bar in bars}


def known_at(ticks: Sequence[Tick]) -> States:
    """Build what a follower knows that has seen everything so far."""
    built = Bars(MINUTE, gold)
    names = {name for tick in ticks for name in built.add(tick)}
    return states([built.bar(name) for name in names])


async def built(market: Market) -> None:
    """Wait until the bars are where the ticks are."""
    async with market.bars.follower("waiting", MINUTE, []):
        """It begins there."""


async def read(batches: AsyncIterator[Batch], seq: int) -> list[Batch]:
    """Read until the cursor is there."""
    found: list[Batch] = []
    async with asyncio.timeout(10):
        async for batch in batches:
            found.append(batch)
            if batch.cursor.seq >= seq:
                return found
    raise AssertionError("it never ends")


async def followed(market: Market, after: Cursor | None, symbols: Sequence[str] = ()) -> list[Batch]:
    """Follow from a place to the present."""
    async with market.bars.follower("peer", MINUTE, symbols) as follower:
        return await read(follower.batches(after, heartbeat=0.01), market.feed.shown)


def received(batches: Sequence[Batch]) -> States:
    return states([bar for batch in batches for bar in bars_in(batch)])


async def test_without_a_cursor_it_begins_with_the_trading_day_so_far(market: Market) -> None:
    """And a heartbeat says that this was all."""
    async with market.bars.follower("peer", MINUTE, []) as follower:
        batches = follower.batches(None)
        first, beat = await anext(batches), await anext(batches)
    assert states(bars_in(first)) == known_at(THREE_DAYS[80:])
    assert (beat.items, beat.gap, beat.cursor.seq) == ([], None, 100)


async def test_any_cursor_is_followed_by_every_bar_that_changed_since(market: Market) -> None:
    """Each once, as it is now, and no other."""
    now = known_at(THREE_DAYS[40:])
    for after in range(40, 100):
        batches = await followed(market, Cursor(epoch=1000, seq=after))
        assert not any(batch.gap for batch in batches)
        news = received(batches)
        before = known_at(THREE_DAYS[40:after])
        assert news.keys() >= {key for key in now if now[key] != before.get(key)}
        assert before | news == now
        assert sum(len(batch.items) for batch in batches) == len(news)


async def test_a_restart_changes_nothing_for_a_follower(tmp_path: Path, market: Market) -> None:
    """The tape tells the next life what the last one knew."""
    cursor = Cursor(epoch=1000, seq=70)
    before = received(await followed(market, cursor))
    async with open_market(tmp_path, ring=8) as again:
        assert received(await followed(again, cursor)) == before


async def test_a_cursor_before_what_is_held_is_a_gap_that_names_the_way_out(market: Market) -> None:
    """Then comes all that is held."""
    gap, *rest = await followed(market, Cursor(epoch=1000, seq=39))
    assert gap.gap is not None
    assert "ListBars" in gap.gap.reason
    assert gap.gap.after.seq == 39
    assert received(rest) == known_at(THREE_DAYS[40:])


async def test_another_life_of_the_stream_is_a_gap(market: Market) -> None:
    """The numbers of that life mean nothing here."""
    gap, *rest = await followed(market, Cursor(epoch=999, seq=70))
    assert gap.gap is not None
    assert gap.gap.reason == "the stream began anew: epoch 1000, not 999"
    assert received(rest) == known_at(THREE_DAYS[40:])


async def test_from_the_oldest_there_is_no_gap(market: Market) -> None:
    """Epoch 0 asks for it."""
    batches = await followed(market, Cursor())
    assert not any(batch.gap for batch in batches)
    assert received(batches) == known_at(THREE_DAYS[40:])


async def test_a_cursor_ahead_of_the_stream_is_refused(market: Market) -> None:
    """Nobody can have been there."""
    with pytest.raises(OutOfRange, match="cursor 101 lies ahead of the stream, which is at 100"):
        await followed(market, Cursor(epoch=1000, seq=101))


async def test_a_follower_gets_its_symbols(market: Market) -> None:
    """And steps behind what is for others."""
    batches = await followed(market, Cursor(), ["au2606"])
    assert {symbol for symbol, _ in received(batches)} == {"au2606"}
    assert batches[-1].cursor.seq == 100


async def test_a_slow_follower_gets_the_newest_state_only(market: Market) -> None:
    """However long it looks away, nothing is kept for it."""
    async with market.bars.follower("peer", MINUTE, []) as follower:
        batches = follower.batches(None)
        await anext(batches), await anext(batches)
        for number in range(20):
            market.publish(day_of(DAYS[2], 21 + number, first=81)[-1:])
        await built(market)
        (batch,) = await read(batches, 120)
        assert len(batch.items) == len(received([batch]))
        assert (follower.sent, follower.lag) == (len(batch.items) + len(known_at(THREE_DAYS[80:])), 0)


async def test_whoever_slept_over_a_rollover_is_told(market: Market) -> None:
    """The older day's bars are dropped, also those that had changed unseen."""
    async with market.bars.follower("peer", MINUTE, []) as follower:
        batches = follower.batches(Cursor(epoch=1000, seq=50))
        await anext(batches)
        follower.position = 60
        market.publish(day_of("20260312", first=101))
        await built(market)
        (gap, *rest) = await read(batches, 140)
    assert gap.gap is not None
    assert gap.gap.after.seq == 60
    assert received(rest) == known_at([*THREE_DAYS[80:], *day_of("20260312", first=101)])
    assert follower.gaps == 1


async def test_a_late_tick_of_a_day_that_was_dropped_brings_no_bar_of_it(market: Market) -> None:
    """It is in the history."""
    await followed(market, None)
    market.publish(day_of("20260312", first=101))
    await built(market)
    market.publish(day_of(DAYS[1], 3, first=141))
    batches = await followed(market, Cursor(epoch=1000, seq=130))
    assert {bar.trading_day for bar in received(batches).values()} == {"20260312"}


async def test_a_cursor_never_stands_between_two_changes_of_one_tick(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever resumes there would lose the second."""
    monkeypatch.setattr(barfeed, "BATCH", 1)
    batches = await followed(market, Cursor())
    assert max(len(batch.items) for batch in batches) > 1
    for number, batch in enumerate(batches):
        news = received(await followed(market, batch.cursor)) if batch.cursor.seq < 100 else {}
        assert received(batches[: number + 1]) | news == known_at(THREE_DAYS[40:])


async def test_a_build_is_shared_and_outlives_a_reconnect(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for ever: after a while without a follower it is dropped."""
    async with market.bars.follower("one", MINUTE, []) as one, market.bars.follower("two", MINUTE, []) as two:
        assert one._feed is two._feed
        assert [follower.peer for follower in market.bars.streams["bars 1M"].followers.values()] == ["one", "two"]
    async with market.bars.follower("three", MINUTE, []) as three:
        assert three._feed is one._feed
        monkeypatch.setattr(barfeed, "LINGER_SECONDS", 0)
    async with asyncio.timeout(10):
        while market.bars.streams or market.feed.followers:
            await asyncio.sleep(0)


async def follow_one_tick(directory: Path) -> None:
    """Open a market and follow it."""
    async with open_market(directory) as market:
        market.publish(THREE_DAYS[:1])
        await followed(market, None)


async def test_a_build_that_fails_ends_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which starts again; its followers do not wait for ever."""

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Build, "take", broken)
    with pytest.raises(ExceptionGroup) as caught:
        await follow_one_tick(tmp_path)
    assert caught.group_contains(ZeroDivisionError)


async def test_a_build_that_lost_ticks_begins_behind_them() -> None:
    """Its followers are told as any others; the bars of before may lack what nobody has."""
    feed = Feed(1000, 8)
    for tick in THREE_DAYS:
        feed.append(tick.symbol, element(tick.SerializeToString()))
    feed.wake()
    build = Build(MINUTE, gold, 1000, 40)
    task = asyncio.create_task(build.follow(feed))
    async with asyncio.timeout(10):
        while build.shown < 100:
            await build.changed(build.shown, 1)
    task.cancel()
    assert build.oldest == 92
    assert {one.seq for one in build.since(0)} <= set(range(93, 101))


async def test_days_in_turns_are_held_whole_after_a_gap(tmp_path: Path) -> None:
    """A late tick of a day that is dropped lies behind bars that are held."""
    turns = [*day_of(DAYS[0], 8), *day_of(DAYS[1], 8, first=9)]
    turns += [*day_of(DAYS[0], 9, first=9)[-1:], *day_of(DAYS[1], 10, first=9)[-1:]]
    for seq, tick in enumerate(turns, 1):
        tick.seq = seq
    async with open_market(tmp_path) as market:
        market.publish(turns)
        await built(market)
        market.publish(day_of(DAYS[2], 6, first=19))
        gap, *rest = await followed(market, Cursor(epoch=1000, seq=10))
    assert gap.gap is not None
    assert received(rest) == known_at([*turns[8:16], turns[17], *day_of(DAYS[2], 6, first=19)])
    assert not any(batch.gap for batch in rest)
