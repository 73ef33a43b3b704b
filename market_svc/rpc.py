"""MarketService: the contract in protos/arbig/market/v1, answered from the feed and the instruments."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence

from arbig.calendar import Calendar
from arbig.errors import InvalidField, NotFound
from arbig.fanout import Feed, Shown
from arbig.follow import Link
from arbig.instrument import check_symbol
from arbig.market.v1 import bars_pb2, config_pb2
from arbig.market.v1 import market_pb2 as pb
from arbig.server import Context
from arbig.stream.v1.stream_pb2 import Cursor
from market_svc import timetable
from market_svc.barfeed import BarFeeds
from market_svc.bars import check_period
from market_svc.config_keeper import ConfigKeeper
from market_svc.gateway import Gateway
from market_svc.history import BarHistory
from market_svc.instruments import Instruments
from market_svc.recorder import Recorder
from market_svc.reel import payload

NAME = "arbig.market.v1.MarketService"


class MarketService:
    """One method per rpc of the contract."""

    def __init__(
        self,
        feed: Feed,
        recorder: Recorder,
        gateway: Gateway,
        instruments: Instruments,
        *,
        calendar: Calendar,
        bars: BarFeeds,
        history: BarHistory,
        config: ConfigKeeper,
        links: Sequence[Link],
    ) -> None:
        self._feed = feed
        self._recorder = recorder
        self._gateway = gateway
        self._instruments = instruments
        self._calendar = calendar
        self._config = config
        self._links = links
        self._bars = bars
        self._history = history

    async def SubscribeTicks(  # noqa: N802 - the contract's name
        self, request: pb.SubscribeTicksRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """Follow the ticks; every response is bytes that were encoded once for all followers."""
        keys = [check_symbol(symbol, "symbols") for symbol in request.symbols]
        after = request.after if request.HasField("after") else None
        if request.delivery not in pb.Delivery.values():
            raise InvalidField("delivery", f"{request.delivery} is no delivery", "UNKNOWN_DELIVERY")
        latest = request.delivery == pb.DELIVERY_LATEST
        with self._feed.follower(context.peer(), keys, latest=latest) as follower:
            async for batch in follower.batches(after):
                yield batch.response(pb.SubscribeTicksResponse, dropped=follower.dropped)

    async def GetSnapshot(  # noqa: N802
        self, request: pb.GetSnapshotRequest, context: Context
    ) -> pb.GetSnapshotResponse:
        """Give the newest ticks."""
        newest = self._feed.newest
        for symbol in request.symbols:
            if symbol not in newest and symbol not in self._instruments.by_symbol:
                raise NotFound(f"{check_symbol(symbol, 'symbols')} is no instrument", "UNKNOWN_SYMBOL", "symbols")
        wanted = sorted(set(request.symbols) or newest)
        ticks = [pb.Tick.FromString(payload(newest[symbol].data)) for symbol in wanted if symbol in newest]
        return pb.GetSnapshotResponse(ticks=ticks, cursor=self._feed.cursor)

    async def ListInstruments(  # noqa: N802
        self, request: pb.ListInstrumentsRequest, context: Context
    ) -> pb.ListInstrumentsResponse:
        """Give the instruments as the trade service last reported them."""
        return pb.ListInstrumentsResponse(instruments=self._instruments.listed(request.product))

    async def GetInstrument(  # noqa: N802
        self, request: pb.GetInstrumentRequest, context: Context
    ) -> pb.GetInstrumentResponse:
        """Give one of them."""
        instrument = self._instruments.by_symbol.get(check_symbol(request.symbol))
        if instrument is None:
            raise NotFound(f"{request.symbol} is no instrument", "UNKNOWN_SYMBOL", "symbol")
        return pb.GetInstrumentResponse(instrument=instrument)

    async def SubscribeBars(  # noqa: N802
        self, request: bars_pb2.SubscribeBarsRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """Follow the bars of one period; each state of a bar was encoded once for all followers."""
        symbols = [check_symbol(symbol, "symbols") for symbol in request.symbols]
        after = request.after if request.HasField("after") else None
        async with self._bars.follower(context.peer(), check_period(request.period), symbols) as follower:
            async for batch in follower.batches(after):
                yield batch.response(bars_pb2.SubscribeBarsResponse)

    async def ListBars(  # noqa: N802
        self, request: bars_pb2.ListBarsRequest, context: Context
    ) -> bars_pb2.ListBarsResponse:
        """Give the bars of past days."""
        return await self._history.page(request)

    async def GetCalendar(  # noqa: N802
        self, request: pb.GetCalendarRequest, context: Context
    ) -> pb.GetCalendarResponse:
        """Give the sessions of a product, and what the exchange itself says."""
        known = self._instruments
        return timetable.answer(request, self._calendar, known.by_symbol, known.status.newest, time.time())

    async def GetMarketConfig(  # noqa: N802
        self, request: config_pb2.GetMarketConfigRequest, context: Context
    ) -> config_pb2.GetMarketConfigResponse:
        """Give what this mesh trades."""
        return config_pb2.GetMarketConfigResponse(config=self._config.config, cursor=self._config.feed.cursor)

    async def UpdateMarketConfig(  # noqa: N802
        self, request: config_pb2.UpdateMarketConfigRequest, context: Context
    ) -> config_pb2.UpdateMarketConfigResponse:
        """Change it, in the file first."""
        return config_pb2.UpdateMarketConfigResponse(config=self._config.update(request))

    async def WatchMarketConfig(  # noqa: N802
        self, request: config_pb2.WatchMarketConfigRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """Follow its changes."""
        after = request.after if request.HasField("after") else None
        with self._config.feed.follower(context.peer()) as follower:
            async for batch in follower.batches(after):
                yield batch.response(config_pb2.WatchMarketConfigResponse)

    async def GetStatus(  # noqa: N802
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        """Tell how the link, the stream and the followers are."""
        feed, recorder = self._feed, self._recorder
        reason = self._gateway.reason or ("" if self._gateway.subscribed else "no symbol to subscribe is known yet")
        status = pb.GetStatusResponse(
            ready=not reason,
            reason=reason,
            cursor=feed.cursor,
            oldest=Cursor(epoch=feed.epoch, seq=feed.oldest),
            trading_day=recorder.trading_day,
            subscribed=sorted(self._gateway.subscribed),
            rejected=recorder.rejected,
            followers=[
                status
                for name, stream in {"ticks": feed, "config": self._config.feed, **self._bars.streams}.items()
                for status in _followers(stream, name)
            ],
            config_error=self._config.error,
            trade_reason=next(filter(None, (link.reason for link in self._links)), ""),
        )
        if recorder.last_at is not None:
            status.data_age_seconds = time.monotonic() - recorder.last_at
        return status


def _followers(feed: Shown, stream: str) -> Iterator[pb.FollowerStatus]:
    for one in feed.followers.values():
        yield pb.FollowerStatus(
            peer=one.peer, sent=one.sent, dropped=one.dropped, gaps=one.gaps, lag=one.lag, stream=stream
        )
