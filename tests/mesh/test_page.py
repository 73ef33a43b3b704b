"""The page on the whole mesh: a real Chromium, the real bridge, the real CTP library behind it."""

import uuid
from collections.abc import AsyncIterator

import pytest
from grpc.aio import AioRpcError
from playwright.async_api import Page, async_playwright, expect

from arbig.market.v1.market_pb2 import GetSnapshotRequest
from arbig.store.v1 import store_pb2
from tests.mesh.harness import Clients, Mesh, until
from tests.web_bridge.test_page import ARGUMENTS, CHROMIUM


@pytest.fixture
async def page(mesh: Mesh) -> AsyncIterator[Page]:
    """Open the page that the ready line names."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(locale="en-US", viewport={"width": 1440, "height": 900})
        await page.goto(mesh.ready["page"])
        yield page
        await browser.close()


async def first_symbol(page: Page) -> str:
    """Choose the first symbol of the watchlist, and give it."""
    row = page.locator("[data-testid^='watch-row-']").first
    await row.click()
    return str(await row.get_attribute("data-testid")).removeprefix("watch-row-")


async def test_prices_move_and_their_age_is_shown(page: Page) -> None:
    """What one sees is alive."""
    symbol = await first_symbol(page)
    row = page.get_by_test_id(f"watch-row-{symbol}")
    before = await row.inner_text()
    await expect(row).not_to_have_text(before, timeout=15_000)
    await expect(page.get_by_test_id("link-age")).to_contain_text("ms")


async def test_an_order_from_the_page_fills_and_shows_everywhere(page: Page, services: Clients) -> None:
    """In orders, positions, the account, and in storage."""
    symbol = await first_symbol(page)
    await page.get_by_test_id("depth-ask-5").click()  # its price goes into the ticket
    await page.get_by_test_id("ticket-submit").click()
    row = page.locator("[data-testid^='order-row-']").first
    await expect(row.get_by_test_id("order-state")).to_have_attribute("data-state", "FILLED", timeout=15_000)
    order_id = str(await row.get_attribute("data-testid")).removeprefix("order-row-")
    await expect(page.get_by_test_id(f"position-row-{symbol}-long")).to_be_visible()
    await expect(page.get_by_test_id("account-margin")).not_to_have_text("0.00", timeout=15_000)

    async def stored() -> bool:
        trades = (await services.store.ListTrades(store_pb2.ListTradesRequest())).trades
        return any(one.client_order_id == order_id for one in trades)

    await until("the trade in storage", stored)


async def test_an_order_sent_elsewhere_shows_and_is_cancelled_from_the_page(page: Page, services: Clients) -> None:
    """The page follows the account, not itself."""
    symbol = await first_symbol(page)
    name = f"elsewhere-{uuid.uuid4().hex}"
    limit = float(str(await page.get_by_test_id("depth-bid-5").locator("td, span, button").nth(1).inner_text()))
    await services.submit(name, symbol, round(limit - 20, 2))
    row = page.get_by_test_id(f"order-row-{name}")
    await expect(row.get_by_test_id("order-state")).to_have_attribute("data-state", "ACCEPTED", timeout=15_000)
    await row.get_by_test_id("order-cancel").click()
    await expect(row.get_by_test_id("order-state")).to_have_attribute("data-state", "CANCELLED", timeout=15_000)


async def test_stop_halts_trading_and_cancels_what_rests(page: Page, services: Clients) -> None:
    """Pressed twice, so that no slip does it; then nothing is sent until somebody lets it go on."""
    await first_symbol(page)
    name = f"stopped-{uuid.uuid4().hex}"
    tick = (await services.market.GetSnapshot(GetSnapshotRequest())).ticks[0]
    await services.submit(name, tick.symbol, tick.lower_limit_price)
    row = page.get_by_test_id(f"order-row-{name}")
    await expect(row.get_by_test_id("order-state")).to_have_attribute("data-state", "ACCEPTED", timeout=15_000)
    await page.get_by_test_id("stop").click()
    await expect(page.get_by_test_id("stop")).to_have_text("Stop and cancel all?")
    await page.get_by_test_id("stop").click()
    await expect(row.get_by_test_id("order-state")).to_have_attribute("data-state", "CANCELLED", timeout=15_000)
    with pytest.raises(AioRpcError, match="trading is halted"):
        await services.submit(uuid.uuid4().hex, tick.symbol, tick.lower_limit_price)
    await page.get_by_test_id("go-on").click()
    await expect(page.get_by_test_id("stop")).to_be_visible(timeout=15_000)
