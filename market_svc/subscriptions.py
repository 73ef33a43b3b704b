"""What is subscribed at the exchange: what the configuration wants, and whatever is held."""

import asyncio

import grpc

from arbig.channel import open_channel
from arbig.fanout import HEARTBEAT_SECONDS
from arbig.follow import LAST_BACKOFF, Link, follow
from arbig.trade.v1.trade_pb2 import SubscribeEventsRequest, SubscribeEventsResponse
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from market_svc.config_keeper import ConfigKeeper
from market_svc.gateway import Gateway
from market_svc.held import Held
from market_svc.instruments import Instruments
from market_svc.market_config import wanted


class Subscriptions:
    """Keeps the gateway's subscriptions what they must be; `link` is the one to the trade service's events."""

    def __init__(self, gateway: Gateway, keeper: ConfigKeeper, instruments: Instruments, link: Link) -> None:
        self._gateway = gateway
        self._keeper = keeper
        self._instruments = instruments
        self._link = link
        self._held = Held(link)

    def refresh(self) -> None:
        """Subscribe what is wanted; end what is not, once it is known what is held."""
        symbols = wanted(self._keeper.config, self._instruments.by_symbol, self._held.symbols)
        self._gateway.subscribe(symbols)
        if self._held.known:
            self._gateway.unsubscribe(self._gateway.subscribed - symbols)

    async def follow_config(self) -> None:
        """Refresh after each change of the configuration, for ever."""
        feed = self._keeper.feed
        while True:
            seen = feed.shown
            self.refresh()
            await feed.changed(seen, HEARTBEAT_SECONDS)

    async def follow_positions(self, trade: str) -> None:
        """Follow the trade service's events at `trade`, for ever; while it is away nothing is ended."""
        async with open_channel(trade) as channel:
            method = TradeServiceStub(channel).SubscribeEvents
            while True:
                try:
                    async for reply in follow(method, SubscribeEventsRequest(), SubscribeEventsResponse, self._link):
                        if self._held.take(reply):
                            self.refresh()
                except grpc.aio.AioRpcError as error:
                    # The journal became shorter than our cursor: it was put back from an older copy.
                    self._link.is_down(error.details() or error.code().name)
                    self._held = Held(self._link)
                await asyncio.sleep(LAST_BACKOFF)
