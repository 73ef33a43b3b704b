"""The trade service's story: recall the journal, log in, agree with the broker, then trade."""

import asyncio
import time
from contextlib import closing

from arbig.channel import open_channel
from arbig.config import Settings
from arbig.errors import ConfigError
from arbig.follow import Link, follow
from arbig.market.v1.market_pb2 import DELIVERY_LATEST, SubscribeTicksRequest, SubscribeTicksResponse
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.server import serve, watch_health
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.gateway import open_gateway
from trade_svc.instruments import Instruments
from trade_svc.journal import Journal
from trade_svc.rpc import NAME, TradeService
from trade_svc.session import keep_session
from trade_svc.trader import Trader


async def follow_ticks(trader: Trader, market: str) -> None:
    """Keep the newest ticks for the price checks; without them the exchange alone checks."""
    async with open_channel(market) as channel:
        request = SubscribeTicksRequest(delivery=DELIVERY_LATEST)
        link = Link("ticks of the market service")
        async for reply in follow(MarketServiceStub(channel).SubscribeTicks, request, SubscribeTicksResponse, link):
            for tick in reply.ticks:
                trader.ticks[tick.symbol] = tick


async def run(settings: Settings) -> None:
    """Run until cancelled."""
    if settings.mode == "live":
        raise ConfigError("mode: live trading waits for the risk checks of a later release; use simulation")
    path = settings.directory("trade") / "journal.db"
    instruments = Instruments(epoch=time.time_ns() // 1_000_000)
    with closing(Journal(path, asyncio.get_running_loop())) as journal:
        trader = Trader(settings.ctp.account_id, journal, instruments)
        service = TradeService(trader, journal, instruments, settings.mode)
        async with (
            open_gateway(settings, trader.on_push) as gateway,
            serve(settings.address("trade"), [(NAME, service)]) as set_health,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(keep_session(trader, gateway, instruments))
            tasks.create_task(follow_ticks(trader, settings.address("market")))
            tasks.create_task(watch_health(set_health, lambda: trader.readiness == pb.READINESS_READY))
