"""Bars on a running mesh: live and past are one list, also over a market service that is killed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from arbig.front.v1 import front_pb2
from arbig.market.v1 import bars_pb2 as pb
from arbig.market.v1 import market_pb2
from arbig.store.v1 import store_pb2
from arbig.stream.v1.stream_pb2 import Cursor
from tests.mesh.harness import Clients, clients, recorded_day, running, until
from tests.mesh.test_ticks import expected
from tests.servers import start_redis

PERIODS = (pb.BAR_PERIOD_1M, pb.BAR_PERIOD_1H, pb.BAR_PERIOD_1D)
States = dict[tuple[str, int], pb.Bar]


def key(bar: pb.Bar) -> tuple[str, int]:
    """Say which bar of its symbol it is."""
    return bar.trading_day, bar.begin_time.seconds


def said(bar: pb.Bar) -> pb.Bar:
    """Leave out how many snapshots it has: with each subscription, so with each kill, the last one comes again."""
    bar.ClearField("ticks")
    return bar


async def follow_bars(
    services: Clients, period: pb.BarPeriod.ValueType, after: Cursor, stop_at: int
) -> tuple[States, Cursor]:
    """Follow from a cursor to a tick; give the newest state of each bar that came."""
    found: States = {}
    call = services.market.SubscribeBars(pb.SubscribeBarsRequest(period=period, after=after))
    async with asyncio.timeout(120):
        async for reply in call:
            assert not reply.HasField("gap"), reply.gap
            found |= {key(bar): said(bar) for bar in reply.bars}
            if reply.cursor.seq >= stop_at:
                break
    call.cancel()
    return found, reply.cursor


async def list_bars(
    services: Clients, symbol: str, period: pb.BarPeriod.ValueType, days: Sequence[str]
) -> list[pb.Bar]:
    """List the bars of some days, page by page."""
    found: list[pb.Bar] = []
    request = pb.ListBarsRequest(symbol=symbol, period=period, first_day=days[0], last_day=days[-1], page_size=400)
    while True:
        reply = await services.market.ListBars(request, timeout=60)
        found += map(said, reply.bars)
        request.page_token = reply.next_page_token
        if not request.page_token:
            return found


async def test_bars_are_one_list_live_and_past_and_over_a_kill(tmp_path: Path) -> None:
    """Whoever resumes after a kill has, with what it knew, every bar as ListBars gives it; storage tells the same."""
    day = recorded_day(tmp_path)
    rows = expected(day)
    days = sorted({row[0] for row in rows})
    with start_redis(tmp_path) as server:
        options = ["--replay", str(day), "--speed", "max", "--hold", "--redis", server.url, "--no-edge"]
        with running(tmp_path / "mesh", *options) as mesh:
            async with clients(mesh) as services:
                early = [asyncio.create_task(follow_bars(services, period, Cursor(), 2_000)) for period in PERIODS]
                await services.front.Start(front_pb2.StartRequest())
                known = [await one for one in early]
                head = await until("the end of the recording", lambda: all_ticks(services, len(rows)))
                mesh.kill("market")
                await until("the market service again", lambda: all_ticks(services, len(rows)))
                newest = await services.market.GetSnapshot(market_pb2.GetSnapshotRequest(), timeout=5)
                (symbol,) = {tick.symbol for tick in newest.ticks}
                for period, (before, cursor) in zip(PERIODS, known, strict=True):
                    news, _ = await follow_bars(services, period, cursor, head)
                    listed = await list_bars(services, symbol, period, days)
                    assert [bar for _, bar in sorted((before | news).items())] == listed
                    assert sum(bar.volume for bar in listed) > 0
                await until("every tick in storage", lambda: stored(services, len(rows)))
                minutes = await list_bars(services, symbol, pb.BAR_PERIOD_1M, days)
                for tape in (mesh.data / "market" / "tape").glob(f"*/*-{days[0]}.ticks"):
                    tape.unlink()
                mesh.kill("market")
                await until("the market service again", lambda: all_ticks(services, len(rows)))
                assert await list_bars(services, symbol, pb.BAR_PERIOD_1M, days) == minutes


async def all_ticks(services: Clients, count: int) -> int | None:
    """Give where the market service is, once it has so many ticks."""
    status = await services.market.GetStatus(market_pb2.GetStatusRequest(), timeout=5)
    return status.cursor.seq if status.ready and status.cursor.seq >= count else None


async def stored(services: Clients, count: int) -> bool:
    """Whether storage has so many ticks."""
    status = await services.store.GetStatus(store_pb2.GetStatusRequest(), timeout=5)
    return bool(status.ticks.seq >= count and not status.ticks_reason)
