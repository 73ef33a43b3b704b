"""Any process may be killed at any time: the mesh comes back, and all books agree."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from arbig.market.v1.market_pb2 import GetSnapshotRequest
from arbig.store.v1 import store_pb2
from arbig.store.v1.log_pb2 import ListLogsRequest
from arbig.trade.v1 import trade_pb2 as pb
from tests.mesh.harness import Clients, Mesh, clients, running, until

SERVICES = ("trade", "store", "market", "front", "bridge")


async def insist(call: Callable[[], Awaitable[object]]) -> bool:
    """Repeat a call while the service is away: that is what client_order_id is for. False if it is refused."""
    while True:
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.FAILED_PRECONDITION:  # no lots to close; filled before our cancel
                return False
            await asyncio.sleep(0.05)
        else:
            return True


async def trade_once(services: Clients, sent: dict[str, int], rng: random.Random) -> None:
    """Send an order that fills, or one that rests and is cancelled."""
    tick = (await services.market.GetSnapshot(GetSnapshotRequest(), timeout=2)).ticks[0]
    name, volume, rests = uuid.uuid4().hex, rng.randint(1, 2), rng.random() < 0.4
    price = tick.lower_limit_price if rests else tick.upper_limit_price
    closes = not rests and rng.random() < 0.5
    side = {"direction": pb.DIRECTION_SELL, "offset": pb.OFFSET_CLOSE_TODAY} if closes else {}
    if closes:
        price = tick.lower_limit_price
    if not await insist(lambda: services.submit(name, tick.symbol, price, volume, **side)):
        return
    sent[name] = volume
    if rests:
        await insist(lambda: services.trade.CancelOrder(pb.CancelOrderRequest(client_order_id=name), timeout=2))


async def trade_for_ever(services: Clients, sent: dict[str, int]) -> None:
    """Trade, whatever is away for a while."""
    rng = random.Random(7)
    # Orders at the day's limits fill or rest for certain, and prices stop while their service is away.
    await services.limit(price_band=0.0, max_tick_age_ms=0, allow_self_cross=True, max_cancels=0, max_day_volume=0)
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError, IndexError):
            await trade_once(services, sent, rng)
        await asyncio.sleep(0.02)


async def all_pages(method: Any, request: Any, field: str, trading_day: str) -> list[Any]:
    """Give every row of a day."""
    rows: list[Any] = []
    token = ""
    while True:
        reply = await method(request(trading_day=trading_day, page_size=1000, page_token=token))
        rows += getattr(reply, field)
        token = reply.next_page_token
        if not token:
            return rows


async def books_agree(services: Clients) -> str:
    """Compare what the trade service, the storage and the exchange say; give the differences."""
    status = await services.trade.GetStatus(pb.GetStatusRequest())
    books = await services.books()
    events = await services.journal()
    orders = (await services.trade.ListOrders(pb.ListOrdersRequest())).orders
    positions = (await services.trade.ListPositions(pb.ListPositionsRequest())).positions
    stored_orders = await all_pages(
        services.store.ListOrders, store_pb2.ListOrdersRequest, "orders", status.trading_day
    )
    stored_trades = await all_pages(
        services.store.ListTrades, store_pb2.ListTradesRequest, "trades", status.trading_day
    )
    stored_positions = (await services.store.ListPositions(store_pb2.ListPositionsRequest())).positions
    wrong = []
    if status.readiness != pb.READINESS_READY or status.unknown_orders:
        wrong.append(f"not settled: {status}")
    today = status.trading_day
    trades = [event.trade for event in events if event.HasField("trade") and event.trade.trading_day == today]
    at_exchange = sorted((int(one.trade_id), one.volume) for one in books.trades)
    for name, ours in (("journal", trades), ("storage", stored_trades)):
        if sorted((int(one.trade_id), one.volume) for one in ours) != at_exchange:
            wrong.append(f"trades: {name} has {len(ours)}, the exchange {len(at_exchange)}")
    lots = {(one.symbol, one.side): (one.today, one.yesterday) for one in books.positions}
    sides = {pb.POSITION_SIDE_LONG: "2", pb.POSITION_SIDE_SHORT: "3"}
    for name, held in (("trade", positions), ("storage", stored_positions)):
        if {(one.symbol, sides[one.side]): (one.today, one.yesterday) for one in held} != lots:
            wrong.append(f"positions: {name} has {held}, the exchange {lots}")
    filled = {one.order_sys_id: one.traded for one in books.orders if one.order_sys_id}
    ours_filled = {one.order_sys_id.strip(): one.filled_volume for one in orders if one.order_sys_id}
    if filled != ours_filled:
        wrong.append(f"orders: {set(filled.items()) ^ set(ours_filled.items())} differ")
    if {o.client_order_id: o.state for o in orders} != {o.client_order_id: o.state for o in stored_orders}:
        wrong.append("orders: storage and trade service differ")
    return "; ".join(wrong)


async def all_agree(services: Clients) -> None:
    """Wait until every book agrees with every other."""
    last = ""

    async def check() -> bool:
        nonlocal last
        last = await books_agree(services)
        return not last

    try:
        await until("books agree", check, 60)
    except AssertionError as error:
        raise AssertionError(f"{error}: {last}") from error


async def restarted(mesh: Mesh, service: str, old: int) -> None:
    """Wait until a killed service has another process."""

    async def check() -> bool:
        return mesh.pid(service) not in (None, old)

    await until(f"{service} again", check)


async def told_of(services: Clients, victims: list[str]) -> bool:
    """Tell whether the system log has what the mesh said of its services' ends."""
    reply = await services.logs.ListLogs(ListLogsRequest(service="up", text="service ended", page_size=1000))
    return sorted(one.details["child"] for one in reply.records) == sorted(victims)


async def kill_in_turn(mesh: Mesh, services: Clients, victims: list[str]) -> dict[str, int]:
    """Kill each in turn while orders flow; give what was acknowledged, by id."""
    sent: dict[str, int] = {}
    trading = asyncio.create_task(trade_for_ever(services, sent))
    for victim in [*victims, ""]:

        async def flowing(floor: int = len(sent) + 15) -> bool:
            return len(sent) >= floor

        await until("orders flow", flowing)
        if victim:
            await restarted(mesh, victim, mesh.kill(victim))
    trading.cancel()
    await asyncio.gather(trading, return_exceptions=True)
    return sent


async def kill_and_compare(mesh: Mesh, victims: list[str]) -> None:
    """Kill each in turn while orders flow, and compare all books."""
    async with clients(mesh) as services:
        sent = await kill_in_turn(mesh, services, victims)
        await all_agree(services)
        await until("the system log tells of each kill, once", lambda: told_of(services, victims))
        orders = {one.client_order_id: one for one in (await services.trade.ListOrders(pb.ListOrdersRequest())).orders}
        assert not set(sent) - set(orders)
        # Nothing at the exchange that nobody sent, and nothing twice.
        refs = [one.order_memo for one in (await services.books()).orders]
        assert len(refs) == len(set(refs))
        assert all(not one.external for one in orders.values())


async def test_each_service_killed_in_turn_while_orders_flow(tmp_path: Path) -> None:
    """Orders, trades and positions end equal in the trade service, the storage and the exchange."""
    with running(tmp_path / "mesh", "--no-edge") as mesh:
        await kill_and_compare(mesh, list(SERVICES))


@pytest.mark.long
async def test_many_kills(tmp_path: Path) -> None:
    """The same, forty times in any order."""
    rng = random.Random(1)
    with running(tmp_path / "mesh", "--no-edge") as mesh:
        await kill_and_compare(mesh, rng.choices(SERVICES, k=40))
