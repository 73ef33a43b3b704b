"""The trade and market services as storage sees them: a stream each, and what tests say in it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from arbig.channel import open_channel
from arbig.config import Settings, Store
from arbig.fanout import Feed, element
from arbig.market.v1.market_pb2 import SubscribeTicksRequest, SubscribeTicksResponse, Tick
from arbig.server import serve
from arbig.store.v1.admin_pb2_grpc import AdminServiceStub
from arbig.store.v1.store_pb2 import GetStatusRequest, GetStatusResponse
from arbig.store.v1.store_pb2_grpc import RecordServiceStub
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2 as tr
from store_svc.main import run
from tests.servers import free_base

EPOCH = 1_760_000_000_000
DEADLINE = 20.0


class FakeTrade:
    """A journal in memory, followed as the contract says."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self.feed = Feed(epoch, 1 << 17)
        # From where it was followed.
        self.asked: list[Cursor] = []

    def publish(self, *messages: Message) -> None:
        """Put messages into the journal, each as the next event."""
        for event in journal(messages, self.feed.head):
            self.feed.append("", element(event.SerializeToString()))
        self.feed.wake()

    async def SubscribeEvents(self, request: tr.SubscribeEventsRequest, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        """Stream the journal."""
        self.asked.append(request.after)
        with self.feed.follower(context.peer()) as follower:
            async for batch in follower.batches(request.after, heartbeat=0.5):
                yield batch.response(tr.SubscribeEventsResponse)

    def __getattr__(self, name: str) -> Any:
        return _not_here


class FakeMarket:
    """A tape in memory, followed as the contract says."""

    def __init__(self, epoch: int = EPOCH, size: int = 1 << 17) -> None:
        self.feed = Feed(epoch, size)

    def publish(self, *symbols: str, day: str = "20260309") -> None:
        """Put a tick of each symbol into the stream."""
        for symbol in symbols:
            seq = self.feed.head + 1
            tick = Tick(seq=seq, symbol=symbol, trading_day=day, last_price=450.02, volume=seq)
            self.feed.append(symbol, element(tick.SerializeToString()))
        self.feed.wake()

    async def SubscribeTicks(self, request: SubscribeTicksRequest, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        """Stream the ticks."""
        with self.feed.follower(context.peer()) as follower:
            async for batch in follower.batches(request.after, heartbeat=0.5):
                yield batch.response(SubscribeTicksResponse)

    def __getattr__(self, name: str) -> Any:
        return _not_here


async def _not_here(*_: object) -> None:
    raise NotImplementedError


class Mesh:
    """Storage, and the two services that it follows; any of them can be away for a while."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.trade = FakeTrade()
        self.market = FakeMarket()
        self._channel = open_channel(settings.address("store"))
        self.store = RecordServiceStub(self._channel)
        self.admin = AdminServiceStub(self._channel)

    @contextlib.asynccontextmanager
    async def trading(self) -> AsyncIterator[None]:
        """Serve the trade service's stream."""
        async with serve(self.settings.address("trade"), [("arbig.trade.v1.TradeService", self.trade)]):
            yield

    @contextlib.asynccontextmanager
    async def quoting(self) -> AsyncIterator[None]:
        """Serve the market service's stream."""
        async with serve(self.settings.address("market"), [("arbig.market.v1.MarketService", self.market)]):
            yield

    @contextlib.asynccontextmanager
    async def storing(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the storage service."""
        task = asyncio.create_task(run(self.settings))
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def status(self) -> GetStatusResponse:
        """Ask storage how it is, as soon as it serves."""
        reply: GetStatusResponse = await self.store.GetStatus(GetStatusRequest(), wait_for_ready=True, timeout=20)
        return reply

    async def until(self, wanted: Callable[[GetStatusResponse], bool]) -> GetStatusResponse:
        """Wait until the status is as wanted."""
        async with asyncio.timeout(DEADLINE):
            while not wanted(status := await self.status()):
                await asyncio.sleep(0.02)
        return status

    async def until_stored(self) -> GetStatusResponse:
        """Wait until storage has all that the journal has."""
        return await self.until(lambda status: status.ready and status.events == self.trade.feed.cursor)

    async def until_ticks_stored(self) -> GetStatusResponse:
        """Wait until storage has every tick."""
        return await self.until(lambda status: not status.ticks_reason and status.ticks == self.market.feed.cursor)

    async def orders(self, **filters: Any) -> list[tr.Order]:
        """List all orders that storage has."""
        return await self._all("ListOrders", "orders", filters)

    async def trades(self, **filters: Any) -> list[tr.Trade]:
        """List all trades that storage has."""
        return await self._all("ListTrades", "trades", filters)

    async def _all(self, method: str, field: str, filters: dict[str, Any]) -> list[Any]:
        from arbig.store.v1 import store_pb2

        request, found = getattr(store_pb2, f"{method}Request")(**{"page_size": 1000, **filters}), []
        while True:
            reply = await getattr(self.store, method)(request, timeout=20)
            found += getattr(reply, field)
            if not reply.next_page_token:
                return found
            request.page_token = reply.next_page_token

    async def aclose(self) -> None:
        """Close the client."""
        await self._channel.close()


@contextlib.asynccontextmanager
async def mesh(directory: Path, **store: Any) -> AsyncIterator[Mesh]:
    """Make a mesh on free ports whose storage has these settings."""
    defaults = {"redis": "none", "timeout_seconds": 2.0}
    settings = Settings(data=directory, port_base=free_base(), store=Store(**{**defaults, **store}))
    async with contextlib.aclosing(Mesh(settings)) as made:
        yield made


def journal(messages: Any, head: int = 0) -> Iterator[tr.Event]:
    """Give messages their numbers in the journal."""
    kinds = {tr.Order: "order", tr.Trade: "trade", tr.Position: "position", tr.Account: "account"}
    for seq, message in enumerate(messages, head + 1):
        yield tr.Event(seq=seq, **{kinds[type(message)]: message})


def order(client_order_id: str, **more: Any) -> tr.Order:
    """Make an order with this id."""
    usual: dict[str, Any] = {
        "account_id": "sim001",
        "symbol": "au2604",
        "exchange": "SHFE",
        "direction": tr.DIRECTION_BUY,
        "offset": tr.OFFSET_OPEN,
        "type": tr.ORDER_TYPE_LIMIT,
        "price": 450.02,
        "volume": 3,
        "state": tr.ORDER_STATE_ACCEPTED,
        "trading_day": "20260309",
        "order_sys_id": "       17",
    }
    return tr.Order(client_order_id=client_order_id, **{**usual, **more})


def trade(trade_id: str, **more: Any) -> tr.Trade:
    """Make a trade with this id."""
    usual: dict[str, Any] = {
        "account_id": "sim001",
        "trading_day": "20260309",
        "exchange": "SHFE",
        "direction": tr.DIRECTION_BUY,
        "symbol": "au2604",
        "offset": tr.OFFSET_OPEN,
        "price": 450.02,
        "volume": 1,
    }
    return tr.Trade(trade_id=trade_id, **{**usual, **more})


def a_day(orders: int, first: int = 0) -> list[Message]:
    """Make the events of some orders that fill: five of each, and what they are at the end."""
    events: list[Message] = []
    for number in range(first, first + orders):
        name = f"o{number}"
        events += [
            order(name, state=tr.ORDER_STATE_PENDING_NEW),
            order(name, state=tr.ORDER_STATE_ACCEPTED),
            trade(f"t{number}", client_order_id=name),
            tr.Position(
                account_id="sim001", symbol="au2604", exchange="SHFE", side=tr.POSITION_SIDE_LONG, today=number + 1
            ),
            order(name, state=tr.ORDER_STATE_FILLED, filled_volume=1, average_price=450.02),
        ]
    return events


async def assert_everything_once(made: Mesh, orders: int) -> None:
    """Check that storage has exactly what `a_day` tells."""
    found = await made.orders()
    assert [one.client_order_id for one in found] == [f"o{number}" for number in reversed(range(orders))]
    assert {one.state for one in found} == {tr.ORDER_STATE_FILLED}
    assert [one.trade_id for one in await made.trades()] == [f"t{number}" for number in reversed(range(orders))]
