"""The page in a real Chromium, before the bridge and fake services."""

import contextlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, WebSocketRoute, async_playwright, expect

from arbig.trade.v1 import trade_pb2 as trade
from tests.web_bridge.browser import Mesh
from tests.web_bridge.mesh import until
from web_bridge import calls
from web_bridge.site import PAGE

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SYMBOLS = {"au2604": 951.2, "au2606": 953.6, "au2608": 956.1}


def trade_for_an_hour(mesh: Mesh) -> None:
    """Publish the bars of the last hour, and a tick of each symbol."""
    rng = random.Random(7)
    begin = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    last = dict(SYMBOLS)
    for minute in range(60):
        for symbol in SYMBOLS:
            last[symbol] = round(round((last[symbol] + rng.gauss(0, 0.12)) / 0.02) * 0.02, 2)
            mesh.market.bar(symbol, begin + timedelta(minutes=minute), last[symbol], rng.randrange(20, 300))
    for symbol, price in last.items():
        mesh.market.tick(symbol, price, volume=61_000)


class Restarts:
    """The bridge, which a test may stop and start."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Run it."""
        await self._running.enter_async_context(self._mesh.bridge_up())

    async def stop(self) -> None:
        """End it."""
        await self._running.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Start Chromium, once for all tests here."""
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as chromium,
    ):
        yield chromium


@pytest_asyncio.fixture(loop_scope="module")
async def bridge(parts: Mesh) -> AsyncIterator[Restarts]:
    """Give the bridge, running."""
    bridge = Restarts(parts)
    await bridge.start()
    yield bridge
    await bridge.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def page(parts: Mesh, bridge: Restarts, chromium: Browser) -> AsyncIterator[Page]:  # noqa: ARG001 - it must run
    """Open the page before a mesh that has instruments, money and a position."""
    assert (PAGE / "index.html").is_file(), "the page is not built: run make page"
    for symbol, last in SYMBOLS.items():
        parts.trade.instrument(symbol)
        parts.market.tick(symbol, last, volume=60_000)
    parts.trade.money(1_000_000)
    parts.trade.position("au2604", today=2, yesterday=1, open_price=950.0)
    async with (
        parts.market_up(),
        parts.trade_up(),
        parts.store_up(),
        await chromium.new_context(viewport={"width": 1440, "height": 900}) as context,
    ):
        page = await context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(f"http://{parts.address}/")
        await expect(page.get_by_test_id("trade-readiness")).to_have_text("Ready")
        await expect(page.get_by_test_id("watch-row-au2604")).to_be_visible()
        yield page
        assert faults == []


async def fill(page: Page, price: str, volume: str) -> None:
    """Write an order into the ticket."""
    await page.get_by_test_id("watch-row-au2604").click()
    await page.get_by_test_id("ticket-price").fill(price)
    await page.get_by_test_id("ticket-volume").fill(volume)


async def test_the_main_contract_is_marked_and_shown_first(parts: Mesh, page: Page) -> None:
    """Whatever it becomes meanwhile, until somebody chooses another contract."""
    for symbol in ("au2606", "au2604"):
        parts.market.main_contract(symbol)
        row = page.get_by_test_id(f"watch-row-{symbol}")
        await expect(row.get_by_test_id("main-contract")).to_have_text("main")
        await expect(row).to_have_class("chosen")
    await page.get_by_test_id("watch-row-au2608").click()
    parts.market.main_contract("au2606")
    await expect(page.get_by_test_id("watch-row-au2606").get_by_test_id("main-contract")).to_be_visible()
    await expect(page.get_by_test_id("watch-row-au2608")).to_have_class("chosen")


async def test_prices_move_on_the_page(parts: Mesh, page: Page) -> None:
    """The last price, and the profit of the position with it."""
    parts.market.tick("au2604", 951.24)
    await expect(page.get_by_test_id("last-au2604")).to_have_text("951.24")
    row = page.get_by_test_id("position-row-au2604-long")
    await expect(row.get_by_test_id("position-profit")).to_have_text("+3,720.00")
    assert "ms" in await page.get_by_test_id("link-age").inner_text()


async def test_the_chart_has_the_bars_of_the_chosen_symbol(parts: Mesh, page: Page) -> None:
    """A bar that grows, one that comes late and one that is corrected each stand where they belong."""
    chart = page.get_by_test_id("chart")
    minute = datetime(2025, 11, 24, 1, tzinfo=UTC)
    await page.get_by_test_id("watch-row-au2604").click()
    for number, close in enumerate([950.0, 951.0, 952.0]):
        parts.market.bar("au2604", minute + timedelta(minutes=2 * number), close, 10)
    await expect(chart).to_have_attribute("aria-label", "3 bars, 30 lots, 952")
    parts.market.bar("au2604", minute + timedelta(minutes=4), 953.0, 12)
    await expect(chart).to_have_attribute("aria-label", "3 bars, 32 lots, 953")
    parts.market.bar("au2604", minute + timedelta(minutes=1), 940.0, 5)
    await expect(chart).to_have_attribute("aria-label", "4 bars, 37 lots, 953")
    parts.market.bar("au2604", minute, 941.0, 1)
    await expect(chart).to_have_attribute("aria-label", "4 bars, 28 lots, 953")
    parts.market.bar("au2606", minute, 900.0, 7)
    await page.get_by_test_id("watch-row-au2606").click()
    await expect(chart).to_have_attribute("aria-label", "1 bars, 7 lots, 900")
    await page.get_by_test_id("watch-row-au2604").click()
    await expect(chart).to_have_attribute("aria-label", "4 bars, 28 lots, 953")


async def test_an_order_is_sent_and_cancelled_with_the_mouse(parts: Mesh, page: Page) -> None:
    """It shows as working, and then as cancelled."""
    await fill(page, "950.02", "2")
    await page.get_by_test_id("ticket-submit").click()
    await until(lambda: parts.trade.submitted, "the order arrives")
    row = page.get_by_test_id(f"order-row-{parts.trade.submitted[0].client_order_id}")
    state = row.get_by_test_id("order-state")
    await expect(state).to_have_attribute("data-state", "ACCEPTED")
    await row.get_by_test_id("order-cancel").click()
    await expect(state).to_have_attribute("data-state", "CANCELLED")
    await expect(row.get_by_test_id("order-cancel")).to_have_count(0)


async def test_a_click_on_the_depth_fills_the_price(page: Page) -> None:
    """The price of that level."""
    await page.get_by_test_id("watch-row-au2604").click()
    await page.get_by_test_id("depth-ask-3").click()
    await expect(page.get_by_test_id("ticket-price")).to_have_value("951.26")


async def test_a_double_click_sends_one_order(parts: Mesh, page: Page) -> None:
    """However fast the answer comes."""
    await fill(page, "950.02", "1")
    await page.get_by_test_id("ticket-submit").dblclick(delay=20)
    await expect(page.get_by_test_id("ticket-sent")).to_be_visible()
    await expect(page.get_by_test_id("order-state")).to_have_count(1)
    assert parts.trade.sent == len(parts.trade.submitted) == 1


async def test_a_key_that_is_held_sends_one_order(parts: Mesh, page: Page) -> None:
    """Enter repeats on the button that has the focus."""
    await fill(page, "950.02", "1")
    await page.get_by_test_id("ticket-submit").focus()
    for _ in range(4):
        await page.keyboard.press("Enter", delay=10)
    await expect(page.get_by_test_id("order-state")).to_have_count(1)
    assert parts.trade.sent == 1


async def test_a_retry_after_a_broken_call_carries_the_same_id(
    parts: Mesh, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the trade service, which sends an order once for each id, cannot send it twice."""
    monkeypatch.setattr(calls, "DEADLINE_SECONDS", 0.5)
    parts.trade.doors.clear()
    await fill(page, "950.02", "1")
    await page.get_by_test_id("ticket-submit").click()
    await expect(page.get_by_test_id("ticket-error")).to_contain_text("cannot be sent twice")
    parts.trade.doors.set()
    await page.get_by_test_id("ticket-submit").click()
    await expect(page.get_by_test_id("ticket-sent")).to_be_visible()
    first, second = parts.trade.submitted
    assert first.client_order_id == second.client_order_id


async def test_an_order_that_shows_up_needs_no_retry(parts: Mesh, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer was lost, but it is in the orders: the next press is a new wish."""
    monkeypatch.setattr(calls, "DEADLINE_SECONDS", 0.5)
    parts.trade.replies.clear()
    await fill(page, "950.02", "1")
    submit = page.get_by_test_id("ticket-submit")
    await submit.click()
    await expect(page.get_by_test_id("order-state")).to_have_count(1)
    await expect(submit).to_be_enabled()
    await expect(page.get_by_test_id("ticket-error")).to_have_count(0)
    parts.trade.replies.set()
    await submit.click()
    await expect(page.get_by_test_id("order-state")).to_have_count(2)


async def test_a_refusal_stands_below_its_field(page: Page) -> None:
    """In the words of the service that refused."""
    await fill(page, "100.00", "1")
    await page.get_by_test_id("ticket-submit").click()
    fault = page.get_by_test_id("ticket-error")
    await expect(fault).to_have_attribute("data-field", "price")
    await expect(fault).to_contain_text("below the day's limit 855")


async def test_a_price_between_two_steps_is_not_sent(parts: Mesh, page: Page) -> None:
    """The page says so at once."""
    await fill(page, "950.03", "1")
    await page.get_by_test_id("ticket-submit").click()
    await expect(page.get_by_test_id("ticket-error")).to_have_attribute("data-field", "price")
    assert parts.trade.submitted == []


async def test_orders_changed_while_the_page_was_away_are_there_when_it_is_back(parts: Mesh, page: Page) -> None:
    """It comes back by itself, with its cursor."""
    sockets: list[WebSocketRoute] = []

    def between(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    await page.route_web_socket("**/ws", between)
    await page.reload()
    parts.trade.order("away", trade.ORDER_STATE_ACCEPTED, symbol="au2604", price=950, volume=1)
    state = page.get_by_test_id("order-row-away").get_by_test_id("order-state")
    await expect(state).to_have_attribute("data-state", "ACCEPTED")
    await sockets[0].close(code=1001)
    parts.trade.order("away", trade.ORDER_STATE_FILLED)
    await expect(state).to_have_attribute("data-state", "FILLED")
    assert len(sockets) == 2


async def test_a_bridge_that_restarts_is_found_again(parts: Mesh, bridge: Restarts, page: Page) -> None:
    """It cannot know what the page has: the gap is declared, and the orders are listed anew."""
    parts.trade.order("before", trade.ORDER_STATE_ACCEPTED, symbol="au2604", price=950, volume=1)
    await expect(page.get_by_test_id("order-row-before")).to_be_visible()
    await bridge.stop()
    await expect(page.get_by_test_id("link-linkBridge")).to_have_attribute("data-up", "false")
    parts.trade.order("before", trade.ORDER_STATE_FILLED)
    parts.trade.order("meanwhile", trade.ORDER_STATE_ACCEPTED, symbol="au2606", price=950, volume=1)
    await bridge.start()
    await expect(page.get_by_test_id("order-row-meanwhile")).to_be_visible()
    state = page.get_by_test_id("order-row-before").get_by_test_id("order-state")
    await expect(state).to_have_attribute("data-state", "FILLED")


async def test_yesterdays_orders_leave_the_page(parts: Mesh, page: Page) -> None:
    """On another trading day the orders are listed anew."""
    parts.trade.order("old", trade.ORDER_STATE_CANCELLED, symbol="au2604", price=950, volume=1)
    await expect(page.get_by_test_id("order-row-old")).to_be_visible()
    parts.trade.orders.clear()
    parts.trade.trading_day = "20251125"
    await expect(page.get_by_test_id("order-row-old")).to_have_count(0)


async def test_chinese_turns_the_colours_around(parts: Mesh, page: Page) -> None:
    """Red is up in China; the choice is remembered."""
    parts.market.tick("au2604", 960)
    last = page.get_by_test_id("last-au2604")
    await expect(last).to_have_css("color", "rgb(63, 166, 107)")
    await page.get_by_test_id("language").click()
    await expect(last).to_have_css("color", "rgb(229, 83, 75)")
    await expect(page.get_by_test_id("ticket-submit")).to_contain_text("买入")
    await page.reload()
    await expect(page.get_by_test_id("ticket-submit")).to_contain_text("买入")


async def test_events_that_storage_cannot_keep_put_its_lamp_out(parts: Mesh, page: Page) -> None:
    """They need a person; pointing at the lamp says why."""
    lamp = page.get_by_test_id("link-linkStore")
    await expect(lamp).to_have_attribute("data-up", "true")
    parts.store.status.set_aside = 2
    await expect(lamp).to_have_attribute("data-up", "false", timeout=15_000)
    await expect(lamp).to_have_attribute("title", "2 events cannot be stored: see AdminService.ListSetAside")


async def test_a_busy_desk_fits_a_small_window(parts: Mesh, page: Page, tmp_path: Path) -> None:
    """Nothing is cut off at 1000 pixels; the pictures are for people to look at."""
    trade_for_an_hour(parts)
    for number, state in enumerate([trade.ORDER_STATE_ACCEPTED, trade.ORDER_STATE_FILLED, trade.ORDER_STATE_REJECTED]):
        side = trade.DIRECTION_SELL if number % 2 else trade.DIRECTION_BUY
        filled = 3 if state == trade.ORDER_STATE_FILLED else 0
        order = parts.trade.order(
            f"o{number}",
            state,
            symbol="au2604",
            direction=side,
            offset=trade.OFFSET_OPEN,
            price=950.02,
            volume=3,
            filled_volume=filled,
        )
        order.create_time.GetCurrentTime()
        parts.trade.order(f"o{number}", state)
    await expect(page.get_by_test_id("order-state")).to_have_count(3)
    await expect(page.get_by_test_id("link-linkStore")).to_have_attribute("data-up", "true")
    await page.screenshot(path=tmp_path / "wide.png")
    await page.set_viewport_size({"width": 1000, "height": 800})
    await page.screenshot(path=tmp_path / "small.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 1000
