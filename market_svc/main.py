"""The market service's story: recall the tape, connect, and give every tick to whoever follows."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import chain

from arbig import holidays
from arbig.calendar import Calendar, Session
from arbig.config import Settings
from arbig.fanout import Feed
from arbig.follow import Link
from arbig.instrument import product_of
from arbig.server import serve, watch_health
from market_svc.barfeed import open_bars
from market_svc.gateway import Gateway, open_gateway
from market_svc.history import BarHistory
from market_svc.instruments import Instruments
from market_svc.recorder import Recorder
from market_svc.rpc import NAME, MarketService
from market_svc.tape import Tape


def recall(tape: Tape, size: int) -> Feed:
    """Make the feed that the tape was, with its newest `size` ticks at hand and the older ones on the tape."""
    recorded = tape.recall(size)
    oldest = next(recorded, None)
    head = oldest.tick.seq - 1 if oldest else 0
    feed = Feed(tape.epoch, size, head, archive=tape.read, kept_from=lambda: tape.oldest)
    for tick, data in chain([oldest] if oldest else [], recorded):
        feed.append(tick.symbol, data)
        feed.wake()  # for each: the feed holds what it has not shown, and the tape may be much longer than the ring
    return feed


def why_not_ready(gateway: Gateway) -> str:
    """Say what keeps the ticks from coming; empty when they can."""
    return gateway.reason or ("" if gateway.subscribed else "nothing is subscribed yet")


async def run(settings: Settings) -> None:
    """Run until cancelled."""
    directory = settings.directory("market")
    known = holidays.load(settings.market.holidays)
    calendar, assumed = Calendar(known), Calendar(holidays.Assumed(known))
    instruments = Instruments(directory / "instruments.pb")

    def hours(symbol: str, trading_day: str) -> Sequence[Session]:
        return assumed.sessions(product_of(symbol), trading_day)

    with closing(Tape(directory / "tape", now_ms=time.time_ns() // 1_000_000)) as tape:
        feed = recall(tape, settings.market.ring)
        recorder = Recorder(feed, tape, instruments.exchanges)
        history = BarHistory(tape, hours, settings.address("store"))
        async with (
            open_bars(feed, tape, hours) as bars,
            open_gateway(settings, recorder.record, recorder.flush) as gateway,
        ):
            service = MarketService(feed, recorder, gateway, instruments, calendar, bars=bars, history=history)
            async with serve(settings.address("market"), [(NAME, service)]) as set_health, asyncio.TaskGroup() as tasks:
                link = Link("instruments of the trade service")
                chosen = set(settings.market.symbols)
                tasks.create_task(
                    instruments.run(
                        settings.address("trade"), link, lambda symbols: gateway.subscribe(chosen or symbols)
                    )
                )
                tasks.create_task(watch_health(set_health, lambda: why_not_ready(gateway)))
