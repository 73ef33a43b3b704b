"""The market service's story: recall the tape, connect, and give every tick to whoever follows."""

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from itertools import chain

from google.protobuf.timestamp_pb2 import Timestamp

from arbig import holidays
from arbig.calendar import Calendar
from arbig.config import Settings
from arbig.fanout import Feed
from arbig.follow import Link
from arbig.market.v1.market_pb2 import Tick
from arbig.server import serve, watch_health
from market_svc import config_keeper
from market_svc.barfeed import open_bars
from market_svc.config_keeper import ConfigKeeper
from market_svc.depth import TickMaker
from market_svc.gateway import Gateway, open_gateway
from market_svc.history import BarHistory
from market_svc.hours import ExchangeHours
from market_svc.instruments import Instruments
from market_svc.market_config import Known
from market_svc.quality import Quality
from market_svc.recorder import Recorder
from market_svc.reel import payload
from market_svc.rpc import NAME, MarketService
from market_svc.subscriptions import Subscriptions
from market_svc.tape import Tape


def now() -> Timestamp:
    """Give this machine's time."""
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp


def recall(tape: Tape, size: int, note: Callable[[Tick], None] = lambda _: None) -> Feed:
    """Make the feed that the tape was, with its newest `size` ticks at hand and the older ones on the tape.

    `note` hears each tick that is at hand.
    """
    recorded = tape.recall(size)
    oldest = next(recorded, None)
    head = oldest.tick.seq - 1 if oldest else 0
    feed = Feed(tape.epoch, size, head, archive=tape.read, kept_from=lambda: tape.oldest)
    for tick, data in chain([oldest] if oldest else [], recorded):
        note(tick)
        feed.append(tick.symbol, data)
        feed.wake()  # for each: the feed holds what it has not shown, and the tape may be much longer than the ring
    return feed


def newest_day(feed: Feed) -> str:
    """Give the newest trading day that was recalled, empty where there is none: not each symbol has ticks of it."""
    return max((Tick.FromString(payload(one.data)).trading_day for one in feed.newest.values()), default="")


def open_config(settings: Settings, known: Callable[[], Known], last_day: str) -> ConfigKeeper:
    """Read the market configuration; a file with the defaults is made where there is none and none is named."""
    directory = settings.directory("market")
    path = settings.market.config or directory / "market.toml"
    if not path.exists() and not settings.market.config:
        config_keeper.make(path, settings.market.symbols)
    return ConfigKeeper(path, directory / "market-changes.json", known, now, last_day)


def why_not_ready(gateway: Gateway) -> str:
    """Say what keeps the ticks from coming; empty when they can."""
    return gateway.reason or ("" if gateway.subscribed else "nothing is subscribed yet")


def open_recorder(settings: Settings, tape: Tape, ticks: TickMaker, hours: ExchangeHours) -> tuple[Feed, Recorder]:
    """Recall the feed, and make what records its next ticks."""
    # In simulation the exchange has a clock of its own.
    quality = Quality(hours, time.time if settings.mode == "live" else None)
    feed = recall(tape, settings.market.ring, quality.recall)
    recorder = Recorder(feed, tape, ticks, quality)
    recorder.lose()  # nobody knows yet whether what was recalled is still so
    return feed, recorder


async def run(settings: Settings) -> None:
    """Run until cancelled."""
    directory = settings.directory("market")
    known_holidays = holidays.load(settings.market.holidays)
    # Ticks do not stop where the holidays of a year are not known yet.
    calendar = Calendar(holidays.Assumed(known_holidays))
    instruments = Instruments(directory / "instruments.pb")
    hours = ExchangeHours(calendar, instruments.status)
    with closing(Tape(directory / "tape", now_ms=time.time_ns() // 1_000_000)) as tape:
        feed, recorder = open_recorder(settings, tape, TickMaker(instruments.by_symbol, calendar), hours)
        config = open_config(
            settings, lambda: Known(instruments.by_symbol, recorder.trading_day), last_day=newest_day(feed)
        )
        async with (
            open_bars(feed, tape, hours.sessions) as bars,
            open_gateway(settings, recorder.record, recorder.flush, recorder.lose) as gateway,
        ):
            positions = Link("positions of the trade service")
            subscriptions = Subscriptions(gateway, config, instruments, positions)
            service = MarketService(
                feed,
                recorder,
                gateway,
                instruments,
                calendar=Calendar(known_holidays),
                bars=bars,
                history=BarHistory(tape, hours.sessions, settings.address("store")),
                config=config,
                links=[instruments.link, positions],
            )
            trade = settings.address("trade")
            async with serve(settings.address("market"), [(NAME, service)]) as set_health, asyncio.TaskGroup() as tasks:
                tasks.create_task(gateway.run())
                tasks.create_task(instruments.run(trade, lambda _: subscriptions.refresh()))
                tasks.create_task(subscriptions.follow_positions(trade))
                tasks.create_task(subscriptions.follow_config())
                tasks.create_task(config.keep_looking())
                tasks.create_task(watch_health(set_health, lambda: why_not_ready(gateway)))
