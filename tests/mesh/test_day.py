"""Over the end of a trading day: orders end, lots become yesterday's, and everybody agrees."""

import asyncio
from pathlib import Path

import grpc
import pytest

from arbig.front.v1 import front_pb2
from arbig.trade.v1 import trade_pb2 as pb
from tests.mesh.harness import Clients, clients, recorded_day, running, until
from tests.mesh.test_kill9 import all_agree


async def test_lots_become_yesterdays_and_resting_orders_end(tmp_path: Path) -> None:
    """The recorded day's night session belongs to the next trading day."""
    day = recorded_day(tmp_path)
    options = ["--replay", str(day), "--speed", "max", "--hold", "--redis", "none", "--no-edge"]
    with running(tmp_path / "mesh", *options) as mesh:
        async with clients(mesh) as services:
            # There is no price before the start, and none new after the end.
            await services.limit(max_tick_age_ms=0, price_band=0.0)
            await services.submit("fills", "ru1901", 12_900.0, 2)
            await services.submit("rests", "ru1901", 11_500.0)
            statuses = asyncio.create_task(_statuses(services, "20181010"))
            await services.front.Start(front_pb2.StartRequest())

            async def next_day() -> bool:
                status = await services.trade.GetStatus(pb.GetStatusRequest())
                return bool(status.trading_day == "20181010" and status.readiness == pb.READINESS_READY)

            await until("the next trading day", next_day)
            (position,) = (await services.trade.ListPositions(pb.ListPositionsRequest())).positions
            assert (position.yesterday, position.today, position.trading_day) == (2, 0, "20181010")
            assert (await services.order("fills")).state == pb.ORDER_STATE_FILLED
            assert (await services.order("rests")).state == pb.ORDER_STATE_CANCELLED
            # At SHFE closing them takes CLOSE_YESTERDAY now: CLOSE_TODAY has none.
            sell = {"direction": pb.DIRECTION_SELL}
            with pytest.raises(grpc.aio.AioRpcError, match="close 2 lots of today, 0 free"):
                await services.submit("wrong", "ru1901", 12_500.0, 2, offset=pb.OFFSET_CLOSE_TODAY, **sell)
            await services.submit("right", "ru1901", 11_800.0, 2, offset=pb.OFFSET_CLOSE_YESTERDAY, **sell)

            async def flat() -> bool:
                (held,) = (await services.trade.ListPositions(pb.ListPositionsRequest())).positions
                return bool(held.yesterday == 0)

            await until("flat", flat)
            await all_agree(services)
            # The evening's status is the next day's; that of the end is the old one's, at its last time.
            *_, (old, closed), (_, evening) = await asyncio.wait_for(statuses, 10)
            assert old == "20181009"
            assert closed < "20:00:00" < evening


async def _statuses(services: Clients, until_day: str) -> list[tuple[str, str]]:
    """Give the statuses of the contract as they come, to the first of a day: their days and times."""
    told: list[tuple[str, str]] = []
    async for reply in services.trade.SubscribeInstruments(pb.SubscribeInstrumentsRequest()):
        told += [(one.status_day, one.status_since) for one in reply.instruments if one.status_since]
        if told and told[-1][0] == until_day:
            break
    return told
