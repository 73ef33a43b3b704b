"""Bars of past days: which days are read, from where, and how they are paged."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from arbig.calendar import Calendar, NoHolidays, Session
from arbig.errors import InvalidField, Refused, Unavailable
from arbig.fanout import element
from arbig.market.v1 import bars_pb2 as pb
from arbig.market.v1.market_pb2 import Tick
from arbig.server import serve
from arbig.store.v1 import history_pb2
from arbig.stream.v1.stream_pb2 import Cursor, Gap
from market_svc import history as history_module
from market_svc import tape as tape_module
from market_svc.bars import Bars
from market_svc.history import BarHistory
from market_svc.tape import Tape
from tests.market_svc.test_barfeed import DAYS, day_of
from tests.servers import free_base

STORED, TAPED = DAYS[:1], DAYS[1:]
SYMBOL = "au2604"
CALENDAR = Calendar(NoHolidays())


def gold(_symbol: str, day: str) -> Sequence[Session]:
    return CALENDAR.sessions("au", day)


class FakeStore:
    """Stored ticks, and which days were asked for."""

    def __init__(self, *days: str) -> None:
        self.days = {day: day_of(day) for day in days}
        self.asked: list[str] = []
        self.holes = False

    async def ListTickDays(self, request: Any, _: Any) -> history_pb2.ListTickDaysResponse:  # noqa: N802
        """Give the days."""
        if not self.days:
            raise Refused("no ticks are kept: store.redis is none", "NO_TICKS")
        days = [day for day in self.days if request.first_trading_day <= day <= request.last_trading_day]
        return history_pb2.ListTickDaysResponse(
            days=[history_pb2.TickDay(symbol=request.symbol, trading_day=day) for day in days]
        )

    async def ReplayTicks(self, request: Any, _: Any) -> AsyncIterator[history_pb2.ReplayTicksResponse]:  # noqa: N802
        """Play a day, with a hole in the middle if there is to be one."""
        assert request.first_trading_day == request.last_trading_day
        self.asked.append(request.first_trading_day)
        ticks = [tick for tick in self.days[request.first_trading_day] if tick.symbol in request.symbols]
        middle = len(ticks) // 2
        yield history_pb2.ReplayTicksResponse(ticks=ticks[:middle])
        if self.holes:
            yield history_pb2.ReplayTicksResponse(gap=Gap(), cursor=Cursor())
            yield history_pb2.ReplayTicksResponse()
        yield history_pb2.ReplayTicksResponse(ticks=ticks[middle:])


@contextlib.asynccontextmanager
async def history_of(directory: Path, store: FakeStore | None, taped: Sequence[str] = TAPED) -> AsyncIterator[Any]:
    """Give what answers ListBars, with a storage service or none."""
    tape = Tape(directory, 1000)
    for number, day in enumerate(taped):
        for tick in day_of(day, first=1 + 40 * number):
            tape.append(tick.seq, day, element(tick.SerializeToString()))
    tape.flush()
    address = f"127.0.0.1:{free_base()}"
    async with contextlib.AsyncExitStack() as stack:
        if store:
            await stack.enter_async_context(serve(address, [("arbig.store.v1.TickHistoryService", store)]))
        yield BarHistory(tape, gold, address)


async def pages(history: BarHistory, **asked: Any) -> list[list[pb.Bar]]:
    """Ask until there is no further page."""
    found: list[list[pb.Bar]] = []
    token = ""
    while token or not found:
        reply = await history.page(pb.ListBarsRequest(symbol=SYMBOL, page_token=token, **asked))
        found.append(list(reply.bars))
        token = reply.next_page_token
    return found


def expected(*days: str, period: pb.BarPeriod.ValueType = pb.BAR_PERIOD_1M) -> list[pb.Bar]:
    built = Bars(period, gold)
    for tick in (tick for day in days for tick in day_of(day)):
        built.add(tick)
    if days[-1] != DAYS[-1]:
        built.finish("99999999")
    return [built.bar(name) for day in days for name in built.names(day, SYMBOL)]


async def test_nothing_named_means_the_newest_trading_day(tmp_path: Path) -> None:
    """Its last bar may still grow; nobody asks storage."""
    async with history_of(tmp_path, None) as history:
        (bars,) = await pages(history)
    assert bars == expected(DAYS[2])
    assert bars[-1].unfinished


@pytest.mark.parametrize("kept", [0, 20, 40])
async def test_a_past_day_in_which_the_tape_began_is_read_where_there_is_more_of_it(tmp_path: Path, kept: int) -> None:
    """After a power cut the tape has the rest of the day, storage all of it, or nothing, or is away."""
    tape = Tape(tmp_path, 1000)
    for seq, tick in enumerate([*day_of(DAYS[0])[20:], *day_of(DAYS[1])], 1):
        tape.append(seq, tick.trading_day, element(tick.SerializeToString()))
    tape.flush()
    store = FakeStore(DAYS[0])
    store.days[DAYS[0]] = day_of(DAYS[0])[:kept]
    address = f"127.0.0.1:{free_base()}"
    history = BarHistory(tape, gold, address)
    alone = await pages(history, first_day=DAYS[0], last_day=DAYS[0])
    assert sum(bar.ticks for bar in alone[0]) < sum(bar.ticks for bar in expected(DAYS[0]))
    async with serve(address, [("arbig.store.v1.TickHistoryService", store)]):
        together = await pages(history, first_day=DAYS[0], last_day=DAYS[0])
        await pages(history)
    assert store.asked == [DAYS[0]]
    assert together == ([expected(DAYS[0])] if kept == 40 else alone)


async def test_tape_and_storage_give_one_list(tmp_path: Path) -> None:
    """The days that are over are finished, wherever they are read."""
    store = FakeStore(*STORED)
    async with history_of(tmp_path, store) as history:
        (bars,) = await pages(history, first_day=DAYS[0])
    assert bars == expected(*DAYS)
    assert [bar.unfinished for bar in bars] == [False] * (len(bars) - 1) + [True]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_pages_put_together_are_the_list(tmp_path: Path, size: int) -> None:
    """Of any size; the last one has no token."""
    async with history_of(tmp_path, FakeStore(*STORED)) as history:
        found = await pages(history, first_day=DAYS[0], page_size=size)
    assert [bar for page in found for bar in page] == expected(*DAYS)
    assert all(len(page) == size for page in found[:-1])


async def test_days_that_the_page_does_not_need_are_not_read(tmp_path: Path) -> None:
    """Each costs storage a second or two."""
    store = FakeStore("20260304", "20260305", "20260306")
    async with history_of(tmp_path, store) as history:
        request = pb.ListBarsRequest(symbol=SYMBOL, first_day="20260304", page_size=7)
        request.page_token = (await history.page(request)).next_page_token
        assert store.asked == ["20260304", "20260305"]
        await history.page(request)
    assert store.asked[2:] == ["20260305", "20260306"]


async def test_days_without_a_bar_are_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many."""
    monkeypatch.setattr(history_module, "MOST_DAYS", 1)
    store = FakeStore("20260304", "20260305", "20260306")
    store.days["20260304"] = store.days["20260305"] = []
    async with history_of(tmp_path, store) as history:
        found = await pages(history, first_day="20260304", last_day="20260306")
    assert found[0] == expected("20260306")


async def test_a_long_day_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Followers that catch up have their turn between them."""
    monkeypatch.setattr(tape_module, "READ_AT_ONCE", 7)
    async with history_of(tmp_path, None) as history:
        assert await pages(history) == [expected(DAYS[2])]


async def test_a_page_has_a_bound_of_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are few bars and much work; the token goes on."""
    monkeypatch.setattr(history_module, "MOST_DAYS", 2)
    async with history_of(tmp_path, FakeStore(*STORED)) as history:
        found = await pages(history, first_day=DAYS[0], period=pb.BAR_PERIOD_1D)
    assert [bar for page in found for bar in page] == expected(*DAYS, period=pb.BAR_PERIOD_1D)
    assert len(found) > 1


async def test_days_on_the_tape_are_not_asked_of_storage(tmp_path: Path) -> None:
    """Also where it has them: but for the one in which the tape began."""
    store = FakeStore(*DAYS)
    async with history_of(tmp_path, store) as history:
        assert (await pages(history, first_day=DAYS[0]))[0] == expected(*DAYS)
    assert store.asked == list(DAYS[:2])


async def test_an_empty_tape_leaves_all_to_storage(tmp_path: Path) -> None:
    """A machine that is new, or lost its disk."""
    async with history_of(tmp_path, FakeStore(*DAYS[:2]), taped=[]) as history:
        assert (await pages(history, first_day=DAYS[0], last_day=DAYS[1]))[0] == expected(*DAYS[:2])
        assert await pages(history) == [[]]


async def test_ticks_that_storage_lost_mark_the_bar_behind_them(tmp_path: Path) -> None:
    """The volume is in it, as with any hole."""
    store = FakeStore(*STORED)
    store.holes = True
    async with history_of(tmp_path, store) as history:
        (bars,) = await pages(history, first_day=DAYS[0], last_day=DAYS[0])
    assert [bar.volume for bar in bars] == [bar.volume for bar in expected(DAYS[0])]
    assert sum(bar.gap for bar in bars) == 1


@pytest.mark.parametrize(("store", "why"), [(None, "UNAVAILABLE"), (FakeStore(), "no ticks are kept")])
async def test_history_that_cannot_be_read_is_unavailable(tmp_path: Path, store: FakeStore | None, why: str) -> None:
    """The message says what is here, and why the rest is not."""
    async with history_of(tmp_path, store) as history:
        with pytest.raises(Unavailable, match=rf"bars from {DAYS[0]} on .* oldest day here: {DAYS[1]}.*{why}"):
            await pages(history, first_day=DAYS[0])


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"symbol": ""}, "symbol: is required"),
        ({"symbol": "2604"}, "symbol: '2604' cannot be an instrument"),
        ({"first_day": "20260231"}, "first_day: '20260231' is no trading day"),
        ({"last_day": "yesterday"}, "last_day: 'yesterday' is no trading day"),
        ({"first_day": "20260311", "last_day": "20260310"}, "first_day: 20260311 lies after the last day, 20260310"),
        ({"first_day": "20270101"}, "first_day: 20270101 lies after the last day, 20260311"),
        ({"period": 77}, "period: 77 is no period"),
        ({"page_size": -1}, "page_size: -1 is below 0"),
        ({"page_token": "abc"}, "page_token: not given out for this list"),
    ],
)
async def test_what_cannot_be_asked_is_named(tmp_path: Path, asked: dict[str, Any], why: str) -> None:
    """With the field."""
    async with history_of(tmp_path, None) as history:
        with pytest.raises(InvalidField, match=why):
            await history.page(pb.ListBarsRequest(**{"symbol": SYMBOL, **asked}))


async def test_a_symbol_that_begins_like_another_is_another(tmp_path: Path) -> None:
    """Its name is looked for in the bytes first, and then compared."""
    async with history_of(tmp_path, None) as history:
        assert not (await history.page(pb.ListBarsRequest(symbol="au260"))).bars


def test_a_tick_is_known_by_its_symbol() -> None:
    """Whatever else its bytes look like."""
    data = element(Tick(symbol="au2606", exchange="au2604").SerializeToString())
    assert history_module._of_symbol([data], "au2604") == []
