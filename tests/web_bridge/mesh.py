"""A small mesh of fake services on real gRPC, a bridge before it, and a browser's WebSocket."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from arbig.errors import InvalidField, NotFound, Refused
from arbig.fanout import Feed, element
from arbig.market.v1 import bars_pb2
from arbig.market.v1 import config_pb2 as config
from arbig.market.v1 import market_pb2 as market
from arbig.server import Context
from arbig.store.v1 import log_pb2, strategy_pb2
from arbig.store.v1 import store_pb2 as store
from arbig.trade.v1 import trade_pb2 as trade

EPOCH = 1_700_000_000_000
DEADLINE_SECONDS = 10.0
ACCOUNT = "sim001"


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` gives something true, and give that."""
    limit = time.monotonic() + DEADLINE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < limit, f"not within {DEADLINE_SECONDS:g} s: {what}"
        await asyncio.sleep(0.01)
    return found


class FakeMarket:
    """Ticks of the test's making."""

    def __init__(self, ring: int = 100_000) -> None:
        self.feed = Feed(EPOCH, ring)
        self.bars = Feed(EPOCH, ring)
        self.config = Feed(EPOCH, 100)

    def main_contract(self, symbol: str) -> None:
        """Make a contract the main one."""
        one = config.MarketConfigChange(
            seq=self.config.head + 1, config=config.MarketConfig(main_contract=symbol), changed=["main_contract"]
        )
        self.config.append("", element(one.SerializeToString()))
        self.config.wake()

    def bar(self, symbol: str, begin: datetime, close: float, volume: int = 1) -> None:
        """Publish the newest state of a bar of a minute."""
        one = bars_pb2.Bar(symbol=symbol, trading_day="20251124", open=close - 0.04, close=close, volume=volume)
        one.high, one.low = close + 0.06, close - 0.1
        one.begin_time.FromDatetime(begin)
        self.bars.append(f"{symbol} {begin}", element(one.SerializeToString()))
        self.bars.wake()

    def tick(self, symbol: str, last: float, **more: Any) -> None:
        """Publish a tick with five levels around `last`."""
        step = [round(0.02 * level, 2) for level in range(1, 6)]
        tick = market.Tick(
            seq=self.feed.head + 1,
            symbol=symbol,
            exchange="SHFE",
            trading_day="20251124",
            last_price=last,
            pre_settlement_price=950.0,
            open_interest=182_344,
            upper_limit_price=1045.0,
            lower_limit_price=855.0,
            bid_prices=[round(last - one, 2) for one in step],
            bid_volumes=[3, 8, 12, 5, 21],
            ask_prices=[round(last + one, 2) for one in step],
            ask_volumes=[2, 9, 4, 16, 7],
            **more,
        )
        tick.receive_time.GetCurrentTime()
        if not tick.HasField("time"):
            tick.time.GetCurrentTime()
        self.feed.append(symbol, element(tick.SerializeToString()))
        self.feed.wake()

    async def SubscribeTicks(self, request: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Serve the feed, as the market service does."""
        after = request.after if request.HasField("after") else None
        with self.feed.follower(context.peer(), request.symbols) as follower:
            async for batch in follower.batches(after):
                yield batch.response(market.SubscribeTicksResponse)

    async def WatchMarketConfig(self, request: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Serve the configuration."""
        after = request.after if request.HasField("after") else None
        with self.config.follower(context.peer()) as follower:
            async for batch in follower.batches(after):
                yield batch.response(config.WatchMarketConfigResponse)

    async def SubscribeBars(self, request: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Serve the bars."""
        after = request.after if request.HasField("after") else None
        with self.bars.follower(context.peer()) as follower:
            async for batch in follower.batches(after):
                yield batch.response(bars_pb2.SubscribeBarsResponse)

    def __getattr__(self, name: str) -> Any:
        """Have no other method."""
        if name[0].isupper():
            return _not_here
        raise AttributeError(name)

    async def GetSnapshot(self, _: Any, __: Context) -> market.GetSnapshotResponse:  # noqa: N802
        """Have none."""
        return market.GetSnapshotResponse(cursor=self.feed.cursor)

    async def ListInstruments(self, _: Any, __: Context) -> market.ListInstrumentsResponse:  # noqa: N802
        """Have none."""
        return market.ListInstrumentsResponse()

    async def GetStatus(self, _: Any, __: Context) -> market.GetStatusResponse:  # noqa: N802
        """Be ready."""
        return market.GetStatusResponse(ready=True)


class FakeTrade:
    """An exchange that accepts everything, and fills what the test says."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self.feed = Feed(epoch, 100_000)
        self.instruments = Feed(epoch, 1_000)
        self.orders: dict[str, trade.Order] = {}
        self.submitted: list[trade.SubmitOrderRequest] = []
        self.sent = 0
        # Cleared by a test: calls stand still before, or after, the order is written down.
        self.doors = asyncio.Event()
        self.doors.set()
        self.replies = asyncio.Event()
        self.replies.set()
        self.trading_day = "20251124"

    def __getattr__(self, name: str) -> Any:
        return _not_here

    def publish(self, key: str, **item: Any) -> None:
        """Write an event."""
        event = trade.Event(seq=self.feed.head + 1, **item)
        self.feed.append(key, element(event.SerializeToString()))
        self.feed.wake()

    def order(self, client_order_id: str, state: "trade.OrderState.ValueType", **changes: Any) -> trade.Order:
        """Change an order and tell of it."""
        order = self.orders.setdefault(
            client_order_id, trade.Order(client_order_id=client_order_id, account_id=ACCOUNT, trading_day="20251124")
        )
        order.MergeFrom(trade.Order(state=state, **changes))
        order.update_time.GetCurrentTime()
        self.publish(f"order/{client_order_id}", order=order)
        return order

    def position(self, symbol: str, today: int, open_price: float, yesterday: int = 0) -> None:
        """Have a long position."""
        position = trade.Position(
            account_id=ACCOUNT,
            symbol=symbol,
            exchange="SHFE",
            side=trade.POSITION_SIDE_LONG,
            today=today,
            yesterday=yesterday,
            open_price=open_price,
        )
        self.publish(f"position/{symbol}", position=position)

    def money(self, balance: float) -> None:
        """Have money."""
        account = trade.Account(account_id=ACCOUNT, balance=balance, available=balance * 0.8, margin=balance * 0.2)
        account.close_profit, account.position_profit = 1_240.0, -380.0
        self.publish("account", account=account)

    def instrument(self, symbol: str) -> None:
        """List an au contract."""
        one = market.Instrument(
            symbol=symbol,
            exchange="SHFE",
            product="au",
            multiplier=1_000,
            price_tick=0.02,
            max_limit_order_volume=500,
            trading=True,
            status=market.INSTRUMENT_STATUS_CONTINUOUS,
        )
        self.instruments.append(symbol, element(one.SerializeToString()))
        self.instruments.wake()

    async def SubmitOrder(self, request: Any, _: Context) -> trade.SubmitOrderResponse:  # noqa: N802
        """Send it once, however often it is asked for."""
        self.submitted.append(request)
        await self.doors.wait()
        if request.price < 855:
            raise InvalidField("price", f"{request.price:g} is below the day's limit 855", "PRICE_LIMIT")
        if request.client_order_id not in self.orders:
            self.sent += 1
            fields = ("symbol", "direction", "offset", "price", "volume")
            content = {name: getattr(request, name) for name in fields}
            self.order(request.client_order_id, trade.ORDER_STATE_PENDING_NEW, exchange="SHFE", **content)
            self.order(request.client_order_id, trade.ORDER_STATE_ACCEPTED)
        await self.replies.wait()
        return trade.SubmitOrderResponse(order=self.orders[request.client_order_id])

    async def CancelOrder(self, request: Any, _: Context) -> trade.CancelOrderResponse:  # noqa: N802
        """Cancel what is not final."""
        order = self.orders.get(request.client_order_id)
        if order is None:
            raise NotFound(f"no order {request.client_order_id}", "NO_SUCH_ORDER", "client_order_id")
        if order.state == trade.ORDER_STATE_CANCELLED:
            raise Refused("it is cancelled already", "ORDER_FINAL")
        return trade.CancelOrderResponse(order=self.order(request.client_order_id, trade.ORDER_STATE_CANCELLED))

    async def GetOrder(self, request: Any, _: Context) -> trade.GetOrderResponse:  # noqa: N802
        """Give it."""
        return trade.GetOrderResponse(order=self.orders[request.client_order_id])

    async def ListOrders(self, _: Any, __: Context) -> trade.ListOrdersResponse:  # noqa: N802
        """Give them, and where the journal is."""
        return trade.ListOrdersResponse(orders=self.orders.values(), cursor=self.feed.cursor)

    async def ListPositions(self, _: Any, __: Context) -> trade.ListPositionsResponse:  # noqa: N802
        """Have none."""
        return trade.ListPositionsResponse(cursor=self.feed.cursor)

    async def GetAccount(self, _: Any, __: Context) -> trade.GetAccountResponse:  # noqa: N802
        """Be poor."""
        return trade.GetAccountResponse()

    async def GetStatus(self, _: Any, __: Context) -> trade.GetStatusResponse:  # noqa: N802
        """Say the readiness."""
        return trade.GetStatusResponse(
            readiness=trade.READINESS_READY, account_id=ACCOUNT, trading_day=self.trading_day, mode="simulation"
        )

    async def SubscribeEvents(self, request: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Serve the journal."""
        after = request.after if request.HasField("after") else None
        with self.feed.follower(context.peer()) as follower:
            async for batch in follower.batches(after):
                yield batch.response(trade.SubscribeEventsResponse)

    async def SubscribeInstruments(self, request: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Serve the instruments."""
        after = request.after if request.HasField("after") else None
        with self.instruments.follower(context.peer()) as follower:
            async for batch in follower.batches(after):
                yield batch.response(trade.SubscribeInstrumentsResponse)


class FakeStore:
    """Storage that remembers nothing but triggers."""

    def __init__(self) -> None:
        self.triggers = Feed(EPOCH, 1_000)
        self.status = store.GetStatusResponse(ready=True)

    def trigger(self, strategy: str, trigger_id: str) -> None:
        """Record a trigger."""
        one = strategy_pb2.Trigger(seq=self.triggers.head + 1, strategy=strategy, trigger_id=trigger_id)
        self.triggers.append(strategy, element(one.SerializeToString()))
        self.triggers.wake()

    async def SubscribeTriggers(self, request: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Serve the triggers."""
        after = request.after if request.HasField("after") else None
        with self.triggers.follower(context.peer()) as follower:
            async for batch in follower.batches(after, list):
                yield batch.response(strategy_pb2.SubscribeTriggersResponse)

    async def SubscribeLogs(self, _: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Have nothing to say."""
        with Feed(EPOCH, 8).follower(context.peer()) as follower:
            async for batch in follower.batches(None):
                yield batch.response(log_pb2.SubscribeLogsResponse)

    SubscribeStrategies = SubscribeLogs

    def __getattr__(self, name: str) -> Any:
        """Have no other method."""
        if name[0].isupper():
            return _not_here
        raise AttributeError(name)

    async def GetStatus(self, _: Any, __: Context) -> store.GetStatusResponse:  # noqa: N802
        """Say how it is."""
        return self.status

    async def ListOrders(self, _: Any, __: Context) -> store.ListOrdersResponse:  # noqa: N802
        """Have none."""
        return store.ListOrdersResponse()

    async def ListTrades(self, _: Any, __: Context) -> store.ListTradesResponse:  # noqa: N802
        """Have none."""
        return store.ListTradesResponse()

    async def ListPositions(self, _: Any, __: Context) -> store.ListPositionsResponse:  # noqa: N802
        """Have none."""
        return store.ListPositionsResponse()

    async def ListAccounts(self, _: Any, __: Context) -> store.ListAccountsResponse:  # noqa: N802
        """Have none."""
        return store.ListAccountsResponse()


async def _not_here(*_: object) -> None:
    raise NotImplementedError
