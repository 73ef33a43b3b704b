"""Every service's server: errors with details, health, streams of bytes, a port of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from arbig.channel import open_channel
from arbig.errors import ConfigError, InvalidField, from_rpc
from arbig.fanout import Feed, element
from arbig.follow import Link, follow
from arbig.market.v1 import market_pb2 as pb
from arbig.market.v1.config_pb2 import MarketConfig, Product, UpdateMarketConfigRequest
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.server import serve
from arbig.stream.v1.stream_pb2 import Cursor
from tests.servers import free_port

NAME = "arbig.market.v1.MarketService"


class Market:
    """A market service of nothing but a feed."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def publish(self, *symbols: str) -> None:
        """Let ticks come."""
        for symbol in symbols:
            tick = pb.Tick(seq=self.feed.head + 1, symbol=symbol)
            self.feed.append(symbol, element(tick.SerializeToString()))
        self.feed.wake()

    async def SubscribeTicks(self, request: pb.SubscribeTicksRequest, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        """Follow the feed."""
        after = request.after if request.HasField("after") else None
        with self.feed.follower(context.peer(), request.symbols) as follower:
            async for batch in follower.batches(after):
                yield batch.response(pb.SubscribeTicksResponse)

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, context: Any) -> pb.GetSnapshotResponse:  # noqa: N802
        """Refuse."""
        raise InvalidField("symbols", "must be something else", "BAD_SYMBOL")

    async def ListInstruments(self, request: Any, context: Any) -> pb.ListInstrumentsResponse:  # noqa: N802
        """Fail in a way that nobody thought of."""
        raise ZeroDivisionError

    def __getattr__(self, name: str) -> Any:
        """Have no other method that works."""
        if name[0].isupper():
            return self.ListInstruments
        raise AttributeError(name)


def with_unknown(message: Any) -> Any:
    """Give the message as a client of a newer contract would send it."""
    return type(message).FromString(message.SerializeToString() + b"\xa0\x06\x01")  # field 100


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


async def test_a_refusal_carries_status_reason_and_field(address: str) -> None:
    """A program can act on it without reading the message."""
    async with serve(address, [(NAME, Market(Feed(1, 8)))]), open_channel(address) as channel:
        stub: Any = MarketServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetSnapshot(pb.GetSnapshotRequest())
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert from_rpc(raised.value) == ("BAD_SYMBOL", "symbols")


async def test_a_field_of_a_newer_contract_is_refused(address: str) -> None:
    """Wherever it stands: a wish of which half is left out is another wish."""
    products = {"au": Product(name="Gold"), "ag": with_unknown(Product())}
    requests = {
        "#100": with_unknown(pb.SubscribeTicksRequest()),
        "after.#100": pb.SubscribeTicksRequest(after=with_unknown(Cursor(epoch=1))),
    }
    async with serve(address, [(NAME, Market(Feed(1, 8)))]), open_channel(address) as channel:
        stub: Any = MarketServiceStub(channel)
        for field, request in requests.items():
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.SubscribeTicks(request).read()
            assert from_rpc(raised.value) == ("UNKNOWN_FIELD", field)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetSnapshot(with_unknown(pb.GetSnapshotRequest()))
        assert from_rpc(raised.value) == ("UNKNOWN_FIELD", "#100")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.UpdateMarketConfig(UpdateMarketConfigRequest(config=MarketConfig(products=products)))
        assert from_rpc(raised.value) == ("UNKNOWN_FIELD", "config.products.ag.#100")


async def test_a_fault_of_ours_is_no_refusal(address: str) -> None:
    """UNKNOWN: the caller cannot act on it."""
    async with serve(address, [(NAME, Market(Feed(1, 8)))]), open_channel(address) as channel:
        stub: Any = MarketServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ListInstruments(pb.ListInstrumentsRequest())
    assert raised.value.code() is grpc.StatusCode.UNKNOWN


async def test_a_cursor_ahead_ends_the_stream_with_its_reason(address: str) -> None:
    """Refusals of a stream carry details too."""
    async with serve(address, [(NAME, Market(Feed(1, 8)))]), open_channel(address) as channel:
        stub: Any = MarketServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.SubscribeTicks(pb.SubscribeTicksRequest(after=Cursor(epoch=1, seq=9))).read()
    assert raised.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert from_rpc(raised.value) == ("CURSOR_AHEAD", "")


async def test_health_follows_its_switch(address: str) -> None:
    """NOT_SERVING until the service says otherwise, and why: readable, and a header whatever it holds."""
    whys = ["HALTED: 3 lots, 100% of ours", "LOCKED_OUT: 不合法的登录\n", "x" * 100_000, ""]
    async with serve(address, [(NAME, Market(Feed(1, 8)))]) as set_health, open_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        said = {}
        for why in whys:
            await set_health(why)
            call = stub.Check(health_pb2.HealthCheckRequest(service=NAME))
            assert ((await call).status == health_pb2.HealthCheckResponse.NOT_SERVING) is bool(why)
            said[why] = dict(await call.trailing_metadata()).get("arbig-reason", "")
        assert said[whys[0]] == "HALTED: 3 lots, 100%25 of ours"
        assert said[whys[1]].startswith("LOCKED_OUT: %E4%B8%8D")
        assert [unquote(said[why]) for why in whys] == [*whys[:2], "x" * 400, ""]


async def test_a_port_in_use_is_an_error_that_names_it(address: str) -> None:
    """Two servers on one port would each get half of the calls."""
    with socket.socket() as taken:
        host, port = address.split(":")
        taken.bind((host, int(port)))
        taken.listen()
        with pytest.raises(ConfigError, match=address):
            async with serve(address, []):
                pass


async def test_a_follower_gets_every_tick_once_over_a_restart_of_the_service(address: str) -> None:
    """It reconnects with its last cursor."""
    market, link = Market(Feed(1, 100)), Link("ticks")
    seen: list[int] = []

    async def follow_ticks() -> None:
        async with open_channel(address) as channel:
            stub: Any = MarketServiceStub(channel)
            request = pb.SubscribeTicksRequest(after=Cursor())
            async for reply in follow(stub.SubscribeTicks, request, pb.SubscribeTicksResponse, link):
                seen.extend(tick.seq for tick in reply.ticks)

    async def until_seen(count: int) -> None:
        async with asyncio.timeout(10):
            while len(seen) < count:
                await asyncio.sleep(0.005)

    following = asyncio.create_task(follow_ticks())
    async with serve(address, [(NAME, market)]):
        market.publish("a", "b", "a")
        await until_seen(3)
        assert not link.reason
    market.publish("b")
    async with serve(address, [(NAME, market)]):
        market.publish("a")
        await until_seen(5)
    following.cancel()
    assert seen == [1, 2, 3, 4, 5]


async def test_following_ends_on_what_another_try_cannot_mend(address: str) -> None:
    """A cursor ahead of the stream stays ahead."""
    async with serve(address, [(NAME, Market(Feed(1, 8)))]), open_channel(address) as channel:
        stub: Any = MarketServiceStub(channel)
        request = pb.SubscribeTicksRequest(after=Cursor(epoch=1, seq=9))
        with pytest.raises(grpc.aio.AioRpcError, match="lies ahead"):
            await anext(follow(stub.SubscribeTicks, request, pb.SubscribeTicksResponse, Link("ticks")))
