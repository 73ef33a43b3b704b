"""The storage service: what the trade and market services say is kept, and can be asked for."""

import asyncio
import contextlib

from arbig.channel import open_channel
from arbig.config import Settings
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.server import serve, watch_health
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from store_svc import admin_service
from store_svc.backups.schedule import Backups
from store_svc.database import open_database
from store_svc.journal.recorder import Recorder
from store_svc.logs import service as logs
from store_svc.records.service import NAME, RecordService
from store_svc.strategies import service as strategies
from store_svc.ticks import service as tick_history
from store_svc.ticks.wiring import open_ticks


async def run(settings: Settings) -> None:
    """Remember and answer until cancelled; raises ConfigError where the settings cannot work."""
    async with (
        open_channel(settings.address("trade")) as trade,
        open_channel(settings.address("market")) as market,
        contextlib.aclosing(open_database(settings)) as database,
    ):
        events = Recorder(database, TradeServiceStub(trade).SubscribeEvents, settings.store.batch)
        ticks = open_ticks(settings, MarketServiceStub(market).SubscribeTicks)
        backups = Backups(settings)
        service = RecordService(database, events, ticks, backups)
        system_logs = logs.LogService(database, settings.store.log_days)
        services = [
            (NAME, service),
            (strategies.NAME, strategies.StrategyService(database)),
            (logs.NAME, system_logs),
            (tick_history.NAME, ticks.service),
            (admin_service.NAME, admin_service.AdminService(database, events, backups)),
        ]
        async with serve(settings.address("store"), services) as set_health, asyncio.TaskGroup() as group:
            group.create_task(events.run())
            group.create_task(ticks.run())
            group.create_task(system_logs.run())
            group.create_task(backups.run())
            group.create_task(watch_health(set_health, lambda: events.reason))
