"""The whole mesh as its users run it: `arbig up` in a process, with ports and data of its own."""

import asyncio
import contextlib
import gzip
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from arbig.channel import open_channel
from arbig.config import PORTS
from arbig.front.v1 import front_pb2
from arbig.front.v1.front_pb2_grpc import FrontServiceStub
from arbig.market.v1 import market_pb2
from arbig.market.v1.market_pb2_grpc import MarketServiceStub
from arbig.store.v1.admin_pb2_grpc import AdminServiceStub
from arbig.store.v1.history_pb2_grpc import TickHistoryServiceStub
from arbig.store.v1.log_pb2_grpc import LogServiceStub
from arbig.store.v1.store_pb2_grpc import RecordServiceStub
from arbig.store.v1.strategy_pb2_grpc import StrategyServiceStub
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from tests.servers import free_base

READY_SECONDS = 90.0
REPOSITORY = Path(__file__).parents[2]
RECORDED = REPOSITORY.parent / "shared" / "data" / "ctp-ticks"
T = TypeVar("T")


class Mesh:
    """A running mesh, and its clients."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.data = directory / "data"
        self.base = free_base()
        self.log = directory / "mesh.log"
        self.ready: dict[str, Any] = {}
        self._command = [sys.executable, "-m", "arbig.cli", "up", "--json"]
        self._command += ["--data", str(self.data), "--port-base", str(self.base), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, cwd=self.data.parent)

    def wait_ready(self) -> None:
        """Wait for the ready line."""
        assert self._process
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(READY_SECONDS) else b""
        if not line:
            self.stop()
            raise RuntimeError(f"the mesh was not ready:\n{self.log.read_text()[-6000:]}")
        self.ready = json.loads(line)

    def stop(self) -> int:
        """Press Ctrl-C and wait; give the exit status."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def address(self, listener: str) -> str:
        """Give "host:port" of a listener."""
        return f"127.0.0.1:{self.base + PORTS[listener]}"

    def pid(self, service: str) -> int | None:
        """Find the process of a service; None while there is none."""
        for pid, command in processes():
            if command[-2:] == ["arbig.cli", service] and environment(pid).get("ARBIG_DATA") == str(self.data):
                return pid
        return None

    def kill(self, service: str) -> int:
        """Kill a service as `kill -9` does; give the process that was."""
        pid = self.pid(service)
        assert pid is not None, f"no process of {service}"
        os.kill(pid, signal.SIGKILL)
        return pid

    def leftovers(self) -> list[list[str]]:
        """Give the command lines of all processes that belong to this mesh."""
        return [command for pid, command in processes() if environment(pid).get("ARBIG_DATA") == str(self.data)]


def processes() -> Iterator[tuple[int, list[str]]]:
    """Give every process's pid and command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]


def environment(pid: int) -> dict[str, str]:
    """Give a process's environment as it was started with."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


@contextlib.contextmanager
def running(directory: Path, *options: str) -> Iterator[Mesh]:
    """Run a mesh for as long as the context lasts."""
    directory.mkdir(exist_ok=True)
    mesh = Mesh(directory, *options)
    mesh.start()
    try:
        yield mesh
    finally:
        mesh.stop()


class Clients:
    """A stub for each service."""

    def __init__(
        self, market: grpc.aio.Channel, trade: grpc.aio.Channel, store: grpc.aio.Channel, front: grpc.aio.Channel
    ) -> None:
        self.market: Any = MarketServiceStub(market)
        self.trade: Any = TradeServiceStub(trade)
        self.store: Any = RecordServiceStub(store)
        self.strategies: Any = StrategyServiceStub(store)
        self.logs: Any = LogServiceStub(store)
        self.history: Any = TickHistoryServiceStub(store)
        self.admin: Any = AdminServiceStub(store)
        self.front: Any = FrontServiceStub(front)

    async def submit(
        self, order_id: str, symbol: str, price: float, volume: int = 1, **changed: Any
    ) -> trade_pb2.Order:
        """Send a buy that opens, unless told otherwise."""
        values = {"direction": trade_pb2.DIRECTION_BUY, "offset": trade_pb2.OFFSET_OPEN, **changed}
        request = trade_pb2.SubmitOrderRequest(
            client_order_id=order_id, symbol=symbol, price=price, volume=volume, **values
        )
        reply: trade_pb2.SubmitOrderResponse = await self.trade.SubmitOrder(request, timeout=5)
        return reply.order

    async def limit(self, **values: Any) -> None:
        """Change risk limits."""
        request = trade_pb2.UpdateRiskLimitsRequest(
            limits=trade_pb2.RiskLimits(**values), update_mask=FieldMask(paths=list(values))
        )
        await self.trade.UpdateRiskLimits(request, timeout=5)

    async def order(self, order_id: str) -> trade_pb2.Order:
        """Give an order as it is now."""
        request = trade_pb2.GetOrderRequest(client_order_id=order_id)
        reply: trade_pb2.GetOrderResponse = await self.trade.GetOrder(request, timeout=5)
        return reply.order

    async def books(self) -> front_pb2.GetBooksResponse:
        """Give the exchange's own books."""
        reply: front_pb2.GetBooksResponse = await self.front.GetBooks(front_pb2.GetBooksRequest(), timeout=5)
        return reply

    async def journal(self) -> list[trade_pb2.Event]:
        """Give every event that the journal has."""
        events: list[trade_pb2.Event] = []
        head = (await self.trade.GetStatus(trade_pb2.GetStatusRequest())).cursor.seq
        call = self.trade.SubscribeEvents(trade_pb2.SubscribeEventsRequest(after=Cursor()))
        async for reply in call:
            events += reply.events
            if reply.cursor.seq >= head:
                break
        call.cancel()
        return events


@contextlib.asynccontextmanager
async def clients(mesh: Mesh) -> AsyncIterator[Clients]:
    """Open a channel to each service."""
    async with contextlib.AsyncExitStack() as stack:
        names = ("market", "trade", "store", "front")
        yield Clients(*[await stack.enter_async_context(open_channel(mesh.address(name))) for name in names])


async def follow_ticks(services: Clients, after: Cursor, stop_at: int) -> tuple[list[market_pb2.Tick], Cursor]:
    """Follow EVERY tick from a cursor until `stop_at` came; no gap may be declared."""
    ticks: list[market_pb2.Tick] = []
    request = market_pb2.SubscribeTicksRequest(after=after, delivery=market_pb2.DELIVERY_EVERY)
    call = services.market.SubscribeTicks(request)
    async with asyncio.timeout(120):
        async for reply in call:
            assert not reply.HasField("gap"), reply.gap
            ticks += reply.ticks
            if len(ticks) >= stop_at:
                break
    call.cancel()
    return ticks, reply.cursor


async def until(what: str, check: Callable[[], Awaitable[T | None]], seconds: float = 60.0) -> T:
    """Wait until `check` gives something; a service that is restarting may refuse meanwhile."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            if found := await check():
                return found
            last = found
        except grpc.aio.AioRpcError as error:
            last = error.details()
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:g} s, last {last!r}")


def recorded_day(directory: Path) -> Path:
    """Give a recorded day of two trading days; one made up in the same format where there is none."""
    real = RECORDED / "ru1901-20181009.csv.gz"
    if real.exists():
        return real
    return made_up_day(directory / "ru1901-made-up.csv.gz")


def made_up_day(path: Path, rows: int = 20_000) -> Path:
    """Write a day of plain prices, whose night session belongs to the next trading day."""
    levels = [
        f"{side}{what}{level}" for level in range(1, 6) for side in ("Bid", "Ask") for what in ("Price", "Volume")
    ]
    head = [
        *("TradingDay", "InstrumentID", "ExchangeID", "ExchangeInstID", "LastPrice", "PreSettlementPrice"),
        *("PreClosePrice", "PreOpenInterest", "OpenPrice", "HighestPrice", "LowestPrice", "Volume", "Turnover"),
        *("OpenInterest", "ClosePrice", "SettlementPrice", "UpperLimitPrice", "LowerLimitPrice", "PreDelta"),
        *("CurrDelta", "UpdateTime", "UpdateMillisec", *levels, "AveragePrice", "ActionDay"),
    ]
    evening = rows // 3 * 2
    with gzip.open(path, "wt") as file:
        file.write(",".join(f'"{name}"' for name in head) + "\n")
        for number in range(rows):
            night = number >= evening
            second = (number - evening if night else number) // 2
            price = 12_000 + number % 40 * 5
            values = dict.fromkeys(head, "N/A") | {name: "0" for name in head if "Volume" in name}
            values |= {
                "TradingDay": "20181010" if night else "20181009",
                "ActionDay": "20181009",
                "InstrumentID": "ru1901",
                "ExchangeID": "",
                "ExchangeInstID": "",
                "UpdateTime": f"{(21 if night else 9) + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}",
                "UpdateMillisec": f"{number % 2 * 500:03d}",
                "LastPrice": f"{price}.00",
                "PreSettlementPrice": "12000.00",
                "UpperLimitPrice": "13000.00",
                "LowerLimitPrice": "11000.00",
                "BidPrice1": f"{price - 5}.00",
                "BidVolume1": "9",
                "AskPrice1": f"{price}.00",
                "AskVolume1": "9",
                "Volume": str(number * 2),
                "Turnover": f"{number * 2.0e5}",
            }
            file.write(",".join(f'"{values[name]}"' for name in head) + "\n")
    return path
