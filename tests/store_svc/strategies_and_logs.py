"""StrategyService and LogService on a database, and what tests tell them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from arbig.channel import open_channel
from arbig.config import Settings, Store
from arbig.errors import from_rpc
from arbig.server import serve
from arbig.store.v1 import log_pb2 as lg
from arbig.store.v1 import strategy_pb2 as st
from arbig.store.v1.log_pb2_grpc import LogServiceStub
from arbig.store.v1.strategy_pb2_grpc import StrategyServiceStub
from store_svc.database import Database, open_database
from store_svc.logs import service as logs
from store_svc.strategies import service as strategies
from store_svc.tables.migrate import migrate
from tests.servers import free_port

DEADLINE = 20.0
THEN = datetime(2026, 3, 9, 13, 30, 0, 123456, tzinfo=UTC)


class Served:
    """One storage service: its clients, and its database for what only a test looks at."""

    def __init__(self, database: Database, channel: grpc.aio.Channel) -> None:
        self.database = database
        self.strategies = StrategyServiceStub(channel)
        self.logs = LogServiceStub(channel)
        self.system_logs = logs.LogService(database, days=30)

    async def call(self, request: Message) -> Any:
        """Call the method that takes the request."""
        name = type(request).__name__.removesuffix("Request")
        stub = self.logs if hasattr(self.logs, name) else self.strategies
        return await getattr(stub, name)(request, timeout=DEADLINE)

    async def refused(self, request: Message) -> tuple[grpc.StatusCode, str, str]:
        """Call the method, and give the status, reason and field of its refusal."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.call(request)
        return (refused.value.code(), *from_rpc(refused.value))

    async def listed(self, request: Any) -> list[Any]:
        """Give all pages of a list."""
        found: list[Any] = []
        while True:
            reply = await self.call(request)
            found += getattr(reply, reply.DESCRIPTOR.fields[0].name)
            if not reply.next_page_token:
                return found
            request.page_token = reply.next_page_token


@contextlib.asynccontextmanager
async def serving(url: str, directory: Path) -> AsyncIterator[Served]:
    """Serve both services on the database, migrated."""
    settings = Settings(data=directory, store=Store(database=url))
    async with contextlib.aclosing(open_database(settings)) as database:
        await database.write(lambda on: on.run_sync(migrate), 60)
        address = f"127.0.0.1:{free_port()}"
        async with open_channel(address) as channel:
            served = Served(database, channel)
            services = [
                (strategies.NAME, strategies.StrategyService(database)),
                (logs.NAME, served.system_logs),
            ]
            async with serve(address, services):
                yield served


class Follower:
    """A follower of a Subscribe method: what it was sent, message by message."""

    def __init__(self, served: Served, request: Message) -> None:
        name = type(request).__name__.removesuffix("Request")
        stub = served.logs if name == "SubscribeLogs" else served.strategies
        self._call = getattr(stub, name)(request)

    async def __aenter__(self) -> "Follower":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()

    async def next(self) -> Any:
        """Give the next message."""
        async with asyncio.timeout(DEADLINE):
            return await self._call.read()

    async def items(self, count: int) -> list[Any]:
        """Give the next items, past heartbeats."""
        found: list[Any] = []
        while len(found) < count:
            message = await self.next()
            assert not message.HasField("gap"), message
            found += getattr(message, message.DESCRIPTOR.fields_by_number[1].name)
        return found


def config(strategy: str = "grid", **more: Any) -> st.StrategyConfig:
    """Make a configuration."""
    usual = {"strategy_class": "arb.Grid", "parameters": {"symbol": "au2604", "size": 3, "spread": 0.02}}
    return st.StrategyConfig(strategy=strategy, **{**usual, **more})


def trigger(trigger_id: str = "t1", **more: Any) -> st.Trigger:
    """Make a trigger to record."""
    usual: dict[str, Any] = {
        "strategy": "grid",
        "time": THEN,
        "condition": "spread > 0.3",
        "price": 450.02,
        "signal": st.SIGNAL_BUY,
        "action": st.TRIGGER_ACTION_BUY,
    }
    return st.Trigger(trigger_id=trigger_id, **{**usual, **more})


def record(message: str = "stream lost", **more: Any) -> lg.LogRecord:
    """Make a log record to write."""
    usual: dict[str, Any] = {"time": THEN, "level": lg.LOG_LEVEL_WARNING, "service": "market", "module": "arbig.follow"}
    return lg.LogRecord(message=message, **{**usual, **more})
