"""Strategies, triggers and logs in a browser: the real storage services behind the bridge."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from arbig.config import Store
from arbig.server import serve
from store_svc.database import open_database
from store_svc.logs import service as logs
from store_svc.strategies import service as strategies
from store_svc.tables.migrate import migrate
from tests.web_bridge.browser import Browser, Mesh

STRATEGIES, LOGS = (f"arbig.store.v1.{name}/" for name in ("StrategyService", "LogService"))
STREAMS = {f"{STRATEGIES}SubscribeStrategies", f"{STRATEGIES}SubscribeTriggers", f"{LOGS}SubscribeLogs"}
TRIGGER = {
    "strategy": "grid",
    "triggerId": "t1",
    "time": "2026-03-09T13:30:00.123456Z",
    "condition": "spread > 0.3",
    "price": 450.02,
    "signal": "BUY",
    "action": "BUY",
}


@pytest_asyncio.fixture
async def stored(parts: Mesh) -> AsyncIterator[Mesh]:
    """Give a mesh whose storage keeps strategies and logs."""
    settings = parts.settings.model_copy(update={"store": Store()})
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(contextlib.aclosing(open_database(settings)))
        await database.write(lambda on: on.run_sync(migrate), 60)
        services = [(strategies.NAME, strategies.StrategyService(database)), (logs.NAME, logs.LogService(database, 30))]
        await stack.enter_async_context(serve(settings.address("store"), services))
        for part in (parts.market_up, parts.trade_up, parts.bridge_up):
            await stack.enter_async_context(part())
        yield parts


@pytest_asyncio.fixture
async def page(stored: Mesh) -> AsyncIterator[Browser]:
    """Give a browser whose bridge follows every stream of the storage."""
    async with stored.browser() as browser:
        up: set[str] = set()
        while not up >= STREAMS:
            frame = await browser.hear("link")
            (up.add if frame["up"] else up.discard)(frame["stream"])
        yield browser


async def heard(browser: Browser, topic: str, count: int) -> list[dict[str, Any]]:
    """Give the first items of a topic, those too that came before a reply."""
    frames = [frame for frame in browser.seen if frame["op"] == "items" and frame["topic"] == topic]
    items = [item for frame in frames for item in frame["items"]]
    return items + await browser.items(topic, count - len(items))


async def test_a_trigger_reaches_those_who_follow_its_strategy(stored: Mesh, page: Browser) -> None:
    """When it is recorded, and when it changes."""
    async with stored.browser() as other:
        await other.subscribe("trigger.other")
        await page.subscribe("trigger.grid")
        await page.call(f"{STRATEGIES}RecordTrigger", trigger=TRIGGER)
        await page.call(f"{STRATEGIES}RecordTrigger", trigger={**TRIGGER, "strategy": "other"})
        change = {"strategy": "grid", "triggerId": "t1", "result": "SUCCESS", "volume": 3}
        await page.call(f"{STRATEGIES}UpdateTrigger", **change)
        items = await heard(page, "trigger.grid", 2)
        assert [(one["seq"], one["result"], one["price"]) for one in items] == [
            (1, "PENDING", 450.02),
            (3, "SUCCESS", 450.02),
        ]
        assert [one["strategy"] for one in await other.items("trigger.other", 1)] == ["other"]


async def test_a_strategy_is_shown_as_it_is_now(page: Browser) -> None:
    """Who subscribes late sees the newest configuration of each."""
    config = {"strategy": "grid", "strategyClass": "arb.Grid", "parameters": {"size": 3, "far": 1e300, "legs": ["a"]}}
    made = await page.call(f"{STRATEGIES}CreateStrategy", config=config)
    await page.call(f"{STRATEGIES}ActivateStrategy", strategy="grid", expectedVersion=1)
    await page.subscribe("strategy.*")
    item = (await page.items("strategy.*", 1))[-1]
    while item["kind"] != "ACTIVATED":
        item = (await page.items("strategy.*", 1))[-1]
    assert (item["config"]["active"], item["config"]["parameters"]) == (True, config["parameters"])
    assert made["response"]["config"]["version"] == 1


async def test_log_records_come_by_service(page: Browser) -> None:
    await page.subscribe("log.market")
    record = {"time": TRIGGER["time"], "level": "WARNING", "message": "stream lost", "details": {"why": "gone"}}
    records = [{**record, "service": service} for service in ("trade", "market")]
    await page.call(f"{LOGS}WriteLogs", records=records)
    (item,) = await heard(page, "log.market", 1)
    assert (item["service"], item["level"], item["details"]) == ("market", "WARNING", {"why": "gone"})
