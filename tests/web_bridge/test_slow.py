"""Browsers that do not read as fast as they are written to.

A narrow browser that does not call `hear` takes some hundred kilobytes, and no more.
"""

import asyncio
import time

from arbig.trade.v1 import trade_pb2 as trade
from tests.web_bridge.browser import Browser, Mesh
from tests.web_bridge.mesh import DEADLINE_SECONDS
from web_bridge.kept import RING
from web_bridge.protocol import CLOSE_TOO_SLOW

BURST = 20_000


async def flood(mesh: Mesh) -> None:
    """Publish many ticks of three symbols, as fast as the mesh takes them."""
    for number in range(BURST):
        mesh.market.tick(f"au260{number % 3}", 950 + number * 0.02, volume=number)
        if number % 10 == 0:
            await asyncio.sleep(0)


async def test_a_slow_browser_does_not_delay_another(mesh: Mesh, browser: Browser) -> None:
    """The forerunner wrote to one after the other, and waited for each."""
    async with mesh.browser(narrow=True) as slow:
        await slow.subscribe("tick.*")
        await flood(mesh)
        await browser.subscribe("tick.*")
        await browser.items("tick.*", 3)
        for volume in range(BURST, BURST + 20):
            began = time.monotonic()
            mesh.market.tick("au2600", 950, volume=volume)
            while volume not in [item["volume"] for item in await browser.items("tick.*", 1)]:
                pass
            assert time.monotonic() - began < 0.5


async def test_a_slow_browser_gets_the_newest_and_not_all(mesh: Mesh) -> None:
    """A price that is replaced before it can be read is skipped; the last one is not."""
    async with mesh.browser(narrow=True) as slow:
        await slow.subscribe("tick.*")
        await flood(mesh)
        volumes = [0]
        while volumes[-1] != BURST - 1:
            volumes += [item["volume"] for item in await slow.items("tick.*", 1)]
    assert volumes == sorted(volumes)
    assert len(volumes) < BURST / 2


async def test_a_browser_too_slow_for_orders_is_closed_and_loses_nothing(mesh: Mesh) -> None:
    """No order is ever skipped: it is sent away, comes back with its cursor, and has them all."""
    ids = [str(number) for number in range(RING * 3)]
    async with mesh.browser(narrow=True) as slow:
        await slow.links_up()
        await slow.subscribe("order.*")
        for name in ids:
            mesh.trade.order(name, trade.ORDER_STATE_ACCEPTED)
            if len(mesh.trade.orders) % 100 == 0:
                await asyncio.sleep(0.001)
        got = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for message in slow.socket:
                frame = message.json()
                got += [item["clientOrderId"] for item in frame.get("items", [])]
                cursor = frame.get("cursor", {})
        assert slow.socket.close_code == CLOSE_TOO_SLOW
    assert got == ids[: len(got)]
    async with mesh.browser() as back:
        await back.subscribe("order.*", after=cursor)
        # What the ring does not have any more is declared; the list has it.
        gap = await back.hear("gap", topic="order.*")
        rest = [item["clientOrderId"] for item in await back.items("order.*", RING)]
    assert gap["after"] == cursor
    assert rest == ids[-RING:]


async def test_a_browser_that_does_not_read_answers_is_not_heard(mesh: Mesh) -> None:
    """Its calls wait in its own socket: the bridge keeps no queue for it."""
    big = {"symbol": "x" * 60_000}
    async with mesh.browser(narrow=True) as slow:
        for number in range(200):
            mesh.trade.order(f"{number}", trade.ORDER_STATE_ACCEPTED, status_text="x" * 1_000)
        asked = asyncio.create_task(ask_much(slow, big))
        await asyncio.sleep(1)
        assert not asked.done()
        asked.cancel()


async def ask_much(browser: Browser, request: dict[str, str]) -> None:
    """Call more than the sockets between can hold."""
    for number in range(500):
        await browser.say("call", id=number, method="arbig.trade.v1.TradeService/ListOrders", request=request)
