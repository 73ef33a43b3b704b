"""A browser's WebSocket in a test, and a bridge for it to talk to."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from arbig.config import Settings
from arbig.contracts import PUBLIC
from arbig.server import serve
from tests.servers import free_base
from tests.web_bridge.mesh import DEADLINE_SECONDS, FakeMarket, FakeStore, FakeTrade
from web_bridge import contract
from web_bridge.hub import ESSENTIAL
from web_bridge.main import run

# Streams of the market and trade services.
LINKS = sum(source.service in ESSENTIAL for source in contract.read().sources)


class Mesh:
    """The fakes, where they listen, and their bridge."""

    def __init__(self, data: Path) -> None:
        self.settings = Settings(port_base=free_base(), data=data)
        self.market = FakeMarket()
        self.trade = FakeTrade()
        self.store = FakeStore()
        self.address = self.settings.address("bridge")

    @contextlib.asynccontextmanager
    async def market_up(self) -> AsyncIterator[None]:
        """Serve the fake market."""
        async with serve(self.settings.address("market"), [("arbig.market.v1.MarketService", self.market)]):
            yield

    @contextlib.asynccontextmanager
    async def trade_up(self) -> AsyncIterator[None]:
        """Serve the fake trade service."""
        async with serve(self.settings.address("trade"), [("arbig.trade.v1.TradeService", self.trade)]):
            yield

    @contextlib.asynccontextmanager
    async def store_up(self) -> AsyncIterator[None]:
        """Serve the fake storage."""
        services = [service.full_name for listener, service in PUBLIC if listener == "store"]
        async with serve(self.settings.address("store"), [(name, self.store) for name in services]):
            yield

    @contextlib.asynccontextmanager
    async def bridge_up(self) -> AsyncIterator[None]:
        """Run the bridge until the block ends."""
        bridge = asyncio.create_task(run(self.settings))
        try:
            await self._listening(bridge)
            yield
        finally:
            bridge.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await bridge

    async def _listening(self, bridge: "asyncio.Task[None]") -> None:
        host, port = self.address.split(":")
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not bridge.done():
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(host, int(port))
                    writer.close()
                    return
                await asyncio.sleep(0.01)
        await bridge

    @contextlib.asynccontextmanager
    async def browser(self, *, narrow: bool = False, **options: Any) -> AsyncIterator["Browser"]:
        """Open a WebSocket; a narrow one holds little that was not read yet."""
        async with (
            aiohttp.ClientSession(connector=_narrow() if narrow else None) as session,
            session.ws_connect(f"http://{self.address}/ws", max_msg_size=0, **options) as socket,
        ):
            yield Browser(socket)


def _narrow() -> aiohttp.TCPConnector:
    def make(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024)
        return made

    return aiohttp.TCPConnector(socket_factory=make)


class Browser:
    """A WebSocket that says frames and waits for frames."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[Any]") -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def say(self, op: str, **facts: Any) -> None:
        """Send a frame."""
        await self.socket.send_str(orjson.dumps({"op": op, **facts}).decode())

    async def hear(self, op: str, **facts: Any) -> dict[str, Any]:
        """Give the next frame that has these facts, whatever comes before it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, f"waiting for {op}: {message}"
                frame: dict[str, Any] = orjson.loads(message.data)
                self.seen.append(frame)
                if frame["op"] == op and all(frame.get(name) == fact for name, fact in facts.items()):
                    return frame

    async def subscribe(self, topic: str, after: dict[str, int] | None = None) -> dict[str, Any]:
        """Subscribe, and give the confirmation."""
        await self.say("subscribe", topic=topic, **({"after": after} if after else {}))
        return await self.hear("subscribed", topic=topic)

    async def call(self, method: str, **request: Any) -> dict[str, Any]:
        """Call a method of the contract, and give the reply."""
        await self.say("call", id=len(self.seen), method=method, request=request)
        return await self.hear("reply")

    async def items(self, topic: str, count: int) -> list[dict[str, Any]]:
        """Give the next `count` items of a topic."""
        got: list[dict[str, Any]] = []
        while len(got) < count:
            got += (await self.hear("items", topic=topic))["items"]
        return got

    async def links_up(self) -> None:
        """Wait until the bridge follows every stream that trading needs."""
        up: set[str] = set()
        while len(up) < LINKS:
            frame = await self.hear("link")
            if frame["service"] in ESSENTIAL:
                (up.add if frame["up"] else up.discard)(frame["stream"])

    async def closed(self) -> int | None:
        """Read to the end, and give the close code."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for _ in self.socket:
                pass
        return self.socket.close_code
