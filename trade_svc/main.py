"""The trade service's story: recall the journal, log in, agree with the broker, then trade."""

import asyncio
import logging
import os
import time
from contextlib import closing
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.channel import open_channel
from arbig.config import Settings
from arbig.ctp.spi import Push
from arbig.errors import ConfigError
from arbig.follow import Link, follow
from arbig.market.v1.market_pb2 import DELIVERY_LATEST, SubscribeTicksRequest, SubscribeTicksResponse
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.server import serve, watch_health
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import limits
from trade_svc.gateway import Gateway, open_gateway
from trade_svc.instruments import Instruments
from trade_svc.journal import Journal
from trade_svc.rpc import NAME, TradeService
from trade_svc.session import Session
from trade_svc.trader import Trader
from trade_svc.trading import Clock, Trading
from trade_svc.tries import LoginTries

log = logging.getLogger(__name__)


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now


def _ms() -> int:
    return time.monotonic_ns() // 1_000_000


async def follow_ticks(trader: Trader, market: str, link: Link) -> None:
    """Keep the newest ticks for the checks; orders that open are refused when they are old."""
    async with open_channel(market) as channel:
        request = SubscribeTicksRequest(delivery=DELIVERY_LATEST)
        async for reply in follow(MarketServiceStub(channel).SubscribeTicks, request, SubscribeTicksResponse, link):
            at = _ms()
            for tick in reply.ticks:
                trader.ticks[tick.symbol] = (tick, at)


def open_limits(settings: Settings) -> tuple[Path, pb.RiskLimits]:
    """Read the limits; in simulation a file with the defaults is made where there is none."""
    account_id = settings.ctp.account_id
    path = settings.trade.limits or settings.directory("trade") / "limits.toml"
    if not path.exists() and not settings.trade.limits:
        limits.save(path, limits.made(limits.DEFAULTS, account_id))
    return path, limits.load(path, account_id)


def login_tries(settings: Settings, gateway: Gateway) -> LoginTries:
    """Give the count of the account's refused logins, from the data directory."""
    path = settings.directory("trade") / f"refused-logins-{settings.ctp.account_id}.json"
    return LoginTries(path, gateway.credentials, settings.trade.login_tries)


def check_live(settings: Settings) -> None:
    """Raise ConfigError for live trading that was not asked for by the account's name too."""
    account_id = settings.ctp.account_id
    if settings.mode == "live" and os.environ.get("ARBIG_LIVE") != account_id:
        raise ConfigError(f"mode: live trading needs ARBIG_LIVE={account_id} in the environment")


def why_not_ready(trader: Trader) -> str:
    """Say how far the link is, and why not further; empty when READY."""
    if trader.readiness == pb.READINESS_READY:
        return ""
    return f"{pb.Readiness.Name(trader.readiness).removeprefix('READINESS_')}: {trader.reason}"


async def run(settings: Settings) -> None:
    """Run until cancelled."""
    check_live(settings)
    limits_path, risk_limits = open_limits(settings)
    path = settings.directory("trade") / "journal.db"
    instruments = Instruments(epoch=time.time_ns() // 1_000_000)
    with closing(Journal(path, asyncio.get_running_loop())) as journal:
        trader = Trader(settings.ctp.account_id, instruments, risk_limits)
        journal.append(trader.recall(journal.recall(trader.account_id), _now()))

        def on_push(push: Push) -> None:
            session.on_push(push)

        async with open_gateway(settings, on_push) as gateway:
            trading = Trading(trader, journal, gateway, Clock(_now, _ms))
            session = Session(trading, gateway, login_tries(settings, gateway))
            ticks = Link("ticks of the market service")
            service = TradeService(session, journal, ticks, mode=settings.mode, limits_path=limits_path)
            async with (
                serve(settings.address("trade"), [(NAME, service)]) as set_health,
                asyncio.TaskGroup() as tasks,
            ):
                tasks.create_task(session.keep())
                tasks.create_task(follow_ticks(trader, settings.address("market"), ticks))
                tasks.create_task(watch_health(set_health, lambda: why_not_ready(trader)))
