"""A recorded file played by the front, and what a follower of the market service then has of it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.front.v1 import front_pb2
from arbig.market.v1 import bars_pb2
from arbig.market.v1.market_pb2 import Tick, TickFlag
from arbig.stream.v1.stream_pb2 import Cursor
from tests.mesh.harness import Clients, clients, follow_ticks, running
from tests.recorded.reckoning import PERIODS, Row, bars, rows

QUIET_SECONDS = 120


class Heard(NamedTuple):
    """The ticks, and the bars of each period as they were followed and as they are listed."""

    ticks: list[Tick]
    followed: dict[str, list[bars_pb2.Bar]]
    listed: dict[str, list[bars_pb2.Bar]]

    @property
    def flags(self) -> Counter[str]:
        """Count the flags."""
        return Counter(name for tick in self.ticks for name in _row(tick).flags)


async def heard(path: Path, directory: Path) -> Heard:
    """Play a file from its beginning to its end."""
    options = ["--replay", str(path), "--speed", "max", "--hold", "--redis", "none", "--no-edge"]
    with running(directory, *options) as mesh:
        async with clients(mesh) as services:
            ticks = asyncio.create_task(_ticks(services, len(rows(path))))
            followed = {name: asyncio.create_task(_followed(services, name, ticks)) for name in PERIODS}
            await services.front.Start(front_pb2.StartRequest())
            return Heard(
                await ticks,
                {name: await task for name, task in followed.items()},
                {name: [bar async for bar in _listed(services, name, await ticks)] for name in PERIODS},
            )


async def _ticks(services: Clients, count: int) -> list[Tick]:
    ticks, _ = await follow_ticks(services, Cursor(), count)
    return ticks


async def _followed(services: Clients, name: str, ticks: asyncio.Task[list[Tick]]) -> list[bars_pb2.Bar]:
    """Follow the bars of a period up to the last tick; give the newest state of each."""
    newest: dict[tuple[str, int], bars_pb2.Bar] = {}
    call = services.market.SubscribeBars(bars_pb2.SubscribeBarsRequest(after=Cursor(), period=_period(name)))
    async with asyncio.timeout(QUIET_SECONDS):
        async for reply in call:
            assert not reply.HasField("gap"), reply.gap
            newest |= {(bar.trading_day, bar.begin_time.seconds): bar for bar in reply.bars}
            if ticks.done() and reply.cursor.seq >= ticks.result()[-1].seq:
                break
    call.cancel()
    return [bar for _, bar in sorted(newest.items())]


async def _listed(services: Clients, name: str, ticks: list[Tick]) -> Any:
    """List the bars of a period, page by page."""
    days = [tick.trading_day for tick in ticks]
    request = bars_pb2.ListBarsRequest(
        symbol=ticks[0].symbol, period=_period(name), first_day=min(days), last_day=max(days), page_size=5_000
    )
    while True:
        reply = await services.market.ListBars(request, timeout=60)
        for bar in reply.bars:
            yield bar
        if not reply.next_page_token:
            return
        request.page_token = reply.next_page_token


def _period(name: str) -> bars_pb2.BarPeriod.ValueType:
    return bars_pb2.BarPeriod.Value(f"BAR_PERIOD_{name}")


def disagreements(path: Path, heard: Heard) -> Iterator[str]:
    """Say where what was heard is not what the file says; nothing where it is."""
    yield from _first_difference("ticks and flags", rows(path), [_row(tick) for tick in heard.ticks])
    for name in PERIODS:
        reckoned = bars(path, name)
        for how, found in (("followed", heard.followed[name]), ("listed", heard.listed[name])):
            yield from _first_difference(f"bars {name} {how}", reckoned, [_columns(bar, name) for bar in found])


def _first_difference(what: str, expected: list[Any], found: list[Any]) -> Iterator[str]:
    if len(expected) != len(found):
        yield f"{what}: {len(found)}, not {len(expected)}"
    for number, (right, ours) in enumerate(zip(expected, found, strict=False)):
        if right != ours:
            yield f"{what}: row {number} is {ours}, not {right}"
            return


def _row(tick: Tick) -> Row:
    time = f"{_shanghai(tick.time):%Y%m%d %H:%M:%S}.{tick.time.nanos // 1_000_000:03d}"
    flags = tuple(TickFlag.Name(flag).removeprefix("TICK_FLAG_") for flag in tick.flags)
    return Row(tick.trading_day, time, tick.volume, tick.last_price, flags)


def _columns(bar: bars_pb2.Bar, name: str) -> tuple[Any, ...]:
    times = (_shanghai(bar.begin_time), _shanghai(bar.end_time)) if PERIODS[name] else ()
    prices = bar.open, bar.high, bar.low, bar.close
    interest = bar.open_interest if bar.HasField("open_interest") else None
    return (bar.trading_day, *times, *prices, bar.volume, bar.turnover, interest, bar.ticks, bar.gap)


def _shanghai(time: Timestamp) -> datetime:
    return (datetime.fromtimestamp(time.seconds, UTC) + timedelta(hours=8)).replace(tzinfo=None)
