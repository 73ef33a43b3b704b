"""Clients that misbehave: only they suffer."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from arbig.errors import ConfigError
from ctp_front import connection, tids, wire
from ctp_front.connection import listen
from ctp_front.layout import record
from ctp_front.market_front import MarketFront
from tests.servers import free_base

SUBSCRIBE = [record("SpecificInstrument", "mduser").make(InstrumentID="au2612")]


@contextlib.asynccontextmanager
async def _subscriber(port: int) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(wire.encode(tids.LOGIN, []) + wire.encode(tids.SUBSCRIBE, SUBSCRIBE))
    decoder, replies = wire.Decoder(), 0
    while replies < 2:
        replies += len(decoder.feed(await reader.read(65536)))
    try:
        yield reader
    finally:
        writer.close()


async def test_a_client_that_does_not_read_is_dropped_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others get every snapshot."""
    monkeypatch.setattr(connection, "_BACKLOG", 4 * 1024 * 1024)
    market = MarketFront(lambda: "20261123")
    port = free_base()
    packet = wire.encode(tids.DEPTH, [wire.field(1, bytes(400))])
    rounds, batch = 400, 64
    async with (
        listen(f"127.0.0.1:{port}", "market", market.handle),
        _subscriber(port),  # never reads
        _subscriber(port) as reader,
    ):
        assert market.sessions == 2
        for _ in range(rounds):
            market.publish([("au2612", packet)] * batch)
            await reader.readexactly(len(packet) * batch)
        async with asyncio.timeout(10):
            while market.sessions > 1:
                await asyncio.sleep(0)


async def test_a_replay_waits_for_a_reader_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pauses nothing is cut for a client that reads; one that has stopped is dropped."""
    monkeypatch.setattr("ctp_front.market_front._PATIENCE_SECONDS", 0.2)
    market = MarketFront(lambda: "20261123")
    port = free_base()
    packet = wire.encode(tids.DEPTH, [wire.field(1, bytes(60_000))])
    async with listen(f"127.0.0.1:{port}", "market", market.handle), _subscriber(port):
        async with asyncio.timeout(10):
            while market.sessions:
                market.publish([("au2612", packet)] * 8)
                await market.drain()
                await asyncio.sleep(0)


async def test_a_port_in_use_is_named() -> None:
    """The mistake is told with the address."""
    market = MarketFront(lambda: "20261123")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"cannot listen on {address}: Address already in use"):
            async with listen(address, "market", market.handle):
                pass
