"""The story of the front: open the books where they were left, open the doors, play the prices."""

import asyncio
import contextlib
import logging

from arbig.config import Front, Settings
from arbig.server import serve
from ctp_front import instrument
from ctp_front.connection import listen
from ctp_front.exchange import Exchange
from ctp_front.faults import Faults
from ctp_front.floor import Floor
from ctp_front.flow_control import FlowControl, Limits
from ctp_front.ledger import Ledger, Prices
from ctp_front.market_front import MarketFront
from ctp_front.player import Player
from ctp_front.prices import Source, open_source
from ctp_front.rpc import SERVICE, FrontService
from ctp_front.trade_front import TradeFront

log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Be the exchange until cancelled."""
    ledger = Ledger(settings.directory("front") / "exchange.sqlite")
    with contextlib.closing(ledger):
        saved = ledger.prices()
        source = open_source(settings.front, saved)
        exchange = reopen(settings, ledger, source, saved)
        source.open_day(exchange.trading_day)  # it may have been killed between the two
        faults = Faults()
        floor = Floor(exchange, ledger, settings.ctp.broker_id, faults, keeps_hours=settings.front.keeps_hours)
        market = MarketFront(lambda: exchange.trading_day)
        trade = TradeFront(floor, source.now, FlowControl(_limits(settings.front)), faults)
        player = Player(source, floor, market, 0 if saved is None else saved.published)
        # From now on a restart knows whose books these are.
        player.save()
        player.show([book.depth for book in exchange.books.values() if book.depth is not None])
        service = FrontService(floor, player, market, trade, settings.ctp.account_id)
        async with (
            listen(settings.address("front_market"), "market", market.handle),
            listen(settings.address("front_trade"), "trade", trade.handle),
            serve(settings.address("front"), [(SERVICE, service)]) as set_health,
        ):
            floor.open_market(source.now())
            await set_health("")
            log.info("open", extra={"source": source.name, "trading_day": exchange.trading_day})
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(floor.keep_flushing())
                    await player.play()
                    log.info("the recording has ended", extra={"published": player.published})
                    if settings.front.hours == "auto":  # its clock stands still: who holds lots may still close
                        floor.open_all(source.now())
            finally:
                player.save()


def reopen(settings: Settings, ledger: Ledger, source: Source, saved: Prices | None) -> Exchange:
    """Open the exchange with its books as they were left; other prices than before begin a day of their own."""
    goes_on = saved is not None and saved.source == source.name
    front = settings.front
    exchange = Exchange(ledger.trading_day() or source.trading_day, front.initial_balance, front.position_limit)
    _list_instruments(exchange, ledger, source)
    for account in ledger.accounts():
        exchange.accounts[account.account_id] = account
    if goes_on and saved is not None:
        for depth in saved.depths:
            exchange.books[depth.symbol].show(depth)
    exchange.restore(ledger.orders(), ledger.trades())
    if ledger.trading_day() is None or not goes_on:
        exchange.account(settings.ctp.account_id)
        _begin_day(exchange, ledger, source)
    return exchange


def _limits(front: Front) -> Limits:
    return Limits(front.orders_per_second, front.cancels_per_second, front.queries_per_second, front.max_sessions)


def _list_instruments(exchange: Exchange, ledger: Ledger, source: Source) -> None:
    for symbol, trading_day in source.symbols.items():
        exchange.list_instrument(instrument.from_symbol(symbol, trading_day))
    held = {key.symbol for account in ledger.accounts() for key in account.holdings}
    known = {order.symbol for order in ledger.orders()}
    saved = ledger.prices()
    quoted = {depth.symbol for depth in saved.depths} if saved is not None else set()
    for symbol in held | known | quoted:
        exchange.list_instrument(instrument.from_symbol(symbol, exchange.trading_day))


def _begin_day(exchange: Exchange, ledger: Ledger, source: Source) -> None:
    exchange.expire(source.now())
    exchange.settle(source.trading_day, {})
    ledger.begin_day(source.trading_day, exchange.accounts.values())
    ledger.commit()
