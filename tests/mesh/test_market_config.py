"""The market configuration of a running mesh: called for, edited, killed, and held against positions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from arbig.front.v1 import front_pb2
from arbig.market.v1 import config_pb2 as pb
from arbig.market.v1 import market_pb2
from arbig.trade.v1 import trade_pb2 as trade
from tests.mesh.harness import Clients, Mesh, clients, running, until


@pytest.fixture
def own_mesh(tmp_path: Path) -> Iterator[Mesh]:
    """Run a mesh of the test's own."""
    with running(tmp_path / "mesh", "--redis", "none", "--no-edge") as mesh:
        yield mesh


async def config(services: Clients) -> pb.MarketConfig:
    """Give the configuration in effect."""
    reply: pb.GetMarketConfigResponse = await services.market.GetMarketConfig(pb.GetMarketConfigRequest(), timeout=5)
    return reply.config


async def status(services: Clients) -> market_pb2.GetStatusResponse:
    """Give the market service's status."""
    reply: market_pb2.GetStatusResponse = await services.market.GetStatus(market_pb2.GetStatusRequest(), timeout=5)
    return reply


async def change(services: Clients, *, at_once: bool = False, **values: Any) -> pb.MarketConfig:
    """Change these values."""
    mask = FieldMask(paths=list(values))
    request = pb.UpdateMarketConfigRequest(config=pb.MarketConfig(**values), update_mask=mask, at_once=at_once)
    reply: pb.UpdateMarketConfigResponse = await services.market.UpdateMarketConfig(request, timeout=5)
    return reply.config


async def subscribed(services: Clients, *symbols: str) -> None:
    """Wait until exactly these are subscribed."""

    async def there() -> bool:
        return list((await status(services)).subscribed) == sorted(symbols)

    await until(f"subscribed: {symbols}", there)


async def main_contract(services: Clients, symbol: str = "") -> str:
    """Wait until this is the main contract, or any."""

    async def there() -> str:
        known = (await config(services)).main_contract
        return known if symbol in ("", known) else ""

    return await until(f"main contract {symbol}", there)


async def others(services: Clients, main: str) -> list[str]:
    """Give the contracts but one."""
    listed = await services.market.ListInstruments(market_pb2.ListInstrumentsRequest(), timeout=5)
    return [one.symbol for one in listed.instruments if one.symbol != main]


async def test_another_main_contract_comes_with_the_day_and_survives_kills(own_mesh: Mesh) -> None:
    """A follower has every change by its number, over the kills."""
    async with clients(own_mesh) as services:
        first = await main_contract(services)
        second, third = await others(services, first)
        start = (await services.market.GetMarketConfig(pb.GetMarketConfigRequest())).cursor
        gold = pb.Product(name="Gold", multiplier=1000, price_tick=0.02)
        assert (await change(services, products={"au": gold})).products["au"] == gold
        await change(services, main_contract=second, at_once=True)
        waiting = await change(services, main_contract=third)
        assert (waiting.main_contract, waiting.next_main_contract) == (second, third)
        assert waiting.next_after == (await status(services)).trading_day
        own_mesh.kill("market")

        async def back() -> bool:
            return await config(services) == waiting

        await until("as it was before the kill", back)
        await services.front.ChangeDay(front_pb2.ChangeDayRequest())
        await main_contract(services, third)
        own_mesh.kill("market")
        await main_contract(services, third)
        changes: list[pb.MarketConfigChange] = []
        call = services.market.WatchMarketConfig(pb.WatchMarketConfigRequest(after=start))
        async for reply in call:
            assert not reply.HasField("gap")
            changes += reply.changes
            if len(changes) >= 4:
                break
        call.cancel()
        assert [one.seq for one in changes] == [start.seq + number for number in range(1, 5)]
        assert [one.config.main_contract for one in changes] == [first, second, second, third]
        by_day, called = pb.MARKET_CONFIG_ORIGIN_TRADING_DAY, pb.MARKET_CONFIG_ORIGIN_CALL
        assert [one.origin for one in changes] == [called, called, called, by_day]


async def test_what_is_held_stays_subscribed_until_it_is_closed(own_mesh: Mesh) -> None:
    """Whatever the configuration lists; the trade service being away ends nothing."""
    async with clients(own_mesh) as services:
        main = await main_contract(services)
        held, other = await others(services, main)
        await subscribed(services, main, held, other)
        await services.submit("open", held, 0, type=trade.ORDER_TYPE_MARKET)
        await until("filled", lambda: filled(services, "open"))
        await change(services, symbols=[main])
        await subscribed(services, main, held)
        assert await ticks_come(services, held)

        for killed in ("market", "trade"):
            own_mesh.kill(killed)
            await subscribed(services, main, held)
            assert await ticks_come(services, held)
        await until("the trade service is back", lambda: ready(services))

        close = {"direction": trade.DIRECTION_SELL, "offset": trade.OFFSET_CLOSE_TODAY}
        await services.submit("close", held, 0, type=trade.ORDER_TYPE_MARKET, **close)
        await subscribed(services, main)
        with pytest.raises(grpc.aio.AioRpcError, match="au9912 is none of the 3 instruments"):
            await change(services, symbols=["au9912"])


async def filled(services: Clients, order_id: str) -> bool:
    """Say whether an order is."""
    return (await services.order(order_id)).state == trade.ORDER_STATE_FILLED


async def ready(services: Clients) -> bool:
    """Say whether orders can be sent, and the market service hears of it."""
    known = await services.trade.GetStatus(trade.GetStatusRequest(), timeout=5)
    return known.readiness == trade.READINESS_READY and not (await status(services)).trade_reason


async def ticks_come(services: Clients, symbol: str) -> bool:
    """Wait for a tick that is newer than the newest."""
    request = market_pb2.GetSnapshotRequest(symbols=[symbol])

    async def newest() -> int:
        ticks = (await services.market.GetSnapshot(request, timeout=5)).ticks
        return sum(one.seq for one in ticks if market_pb2.TICK_FLAG_STALE not in one.flags)

    before = await newest()

    async def newer() -> bool:
        return await newest() > before

    return await until(f"a tick of {symbol}", newer)


async def test_a_mistake_in_the_file_is_told_until_it_is_mended(own_mesh: Mesh) -> None:
    """What was in effect stays so."""
    file = own_mesh.data / "market" / "market.toml"
    async with clients(own_mesh) as services:
        main = await main_contract(services)
        whole = file.read_text()
        file.write_text(whole.replace("symbols = []", f'symbols = ["{main}"'))

        async def told() -> str:
            return (await status(services)).config_error

        assert str(file) in await until("the mistake is told", told)
        assert list((await config(services)).symbols) == []
        with pytest.raises(grpc.aio.AioRpcError, match="mend that first, nothing changed"):
            await change(services, symbols=[])
        file.write_text(whole.replace("symbols = []", f'symbols = ["{main}"]'))
        await subscribed(services, main)
        assert not await told()
