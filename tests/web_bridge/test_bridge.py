"""The bridge over real WebSockets, before fake services on real gRPC."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from arbig.errors import ConfigError
from arbig.trade.v1 import trade_pb2 as trade
from tests.web_bridge.browser import Browser, Mesh
from tests.web_bridge.mesh import ACCOUNT, EPOCH, FakeTrade
from web_bridge.main import run
from web_bridge.protocol import MAX_FRAME

ORDER = "order.*"
SUBMIT = "arbig.trade.v1.TradeService/SubmitOrder"
LIST = "arbig.trade.v1.TradeService/ListOrders"
GOOD = {"symbol": "au2604", "direction": "BUY", "offset": "OPEN", "price": 950.02, "volume": 2}


async def test_a_state_topic_begins_with_the_newest_item_of_each_key(mesh: Mesh, browser: Browser) -> None:
    """Who subscribes late sees where the market is, not how it came there."""
    await browser.subscribe("tick.*")
    for symbol, last in (("au2604", 950.0), ("au2606", 952.0), ("au2604", 951.0)):
        mesh.market.tick(symbol, last)
    await browser.items("tick.*", 2)
    async with mesh.browser() as late:
        await late.subscribe("tick.*")
        items = await late.items("tick.*", 2)
    assert {item["symbol"]: item["lastPrice"] for item in items} == {"au2604": 951.0, "au2606": 952.0}


async def test_an_item_goes_only_to_those_who_asked_for_its_topic(mesh: Mesh, browser: Browser) -> None:
    """The forerunner sent what nobody had asked for to everybody: account data leaked."""
    async with mesh.browser() as other:
        await other.subscribe("tick.au2604")
        await browser.subscribe("account.*")
        mesh.trade.money(1_000_000)
        await browser.items("account.*", 1)
        mesh.market.tick("au2606", 952)
        mesh.market.tick("au2604", 950)
        await other.items("tick.au2604", 1)
        assert [item["symbol"] for frame in other.seen for item in frame.get("items", [])] == ["au2604"]


async def test_a_tick_with_an_unchanged_price_is_still_sent(mesh: Mesh, browser: Browser) -> None:
    """The forerunner dropped it, and volume and depth stood still."""
    await browser.subscribe("tick.au2604")
    volumes = []
    for volume in (10, 11, 12):
        mesh.market.tick("au2604", 950.0, volume=volume)
        volumes += [item["volume"] for item in await browser.items("tick.au2604", 1)]
    assert volumes == [10, 11, 12]


async def test_list_then_subscribe_after_its_cursor_loses_nothing(mesh: Mesh, browser: Browser) -> None:
    """What happened between the list and the subscription comes, in order and once."""
    mesh.trade.order("a", trade.ORDER_STATE_ACCEPTED)
    cursor = (await browser.call(LIST))["response"]["cursor"]
    mesh.trade.order("b", trade.ORDER_STATE_ACCEPTED)
    mesh.trade.order("a", trade.ORDER_STATE_CANCELLED)
    await browser.subscribe(ORDER, after=cursor)
    items = await browser.items(ORDER, 2)
    assert [(item["clientOrderId"], item["state"]) for item in items] == [("b", "ACCEPTED"), ("a", "CANCELLED")]


async def test_a_browser_that_was_away_gets_all_it_missed(mesh: Mesh, browser: Browser) -> None:
    """It comes back with the cursor of the last items it has."""
    await browser.subscribe(ORDER)
    mesh.trade.order("a", trade.ORDER_STATE_ACCEPTED)
    cursor = (await browser.hear("items", topic=ORDER))["cursor"]
    await browser.socket.close()
    for state in (trade.ORDER_STATE_PARTIALLY_FILLED, trade.ORDER_STATE_FILLED):
        mesh.trade.order("a", state)
    async with mesh.browser() as back:
        await back.subscribe(ORDER, after=cursor)
        assert [item["state"] for item in await back.items(ORDER, 2)] == ["PARTIALLY_FILLED", "FILLED"]


async def test_a_cursor_of_another_journal_is_a_declared_gap(browser: Browser) -> None:
    """No hole is silent."""
    await browser.subscribe(ORDER, after={"epoch": 1, "seq": 7})
    gap = await browser.hear("gap", topic=ORDER)
    assert gap["after"] == {"epoch": 1, "seq": 7}
    assert gap["resume"]["epoch"] == EPOCH


async def test_a_new_journal_is_a_gap_for_those_who_follow(parts: Mesh) -> None:
    """The trade service comes back with another epoch: followers are told, and get what it has."""
    async with parts.market_up(), parts.bridge_up(), parts.browser() as browser:
        async with parts.trade_up():
            await browser.links_up()
            await browser.subscribe(ORDER)
            parts.trade.order("old", trade.ORDER_STATE_ACCEPTED)
            await browser.items(ORDER, 1)
        assert "silent" not in (await browser.hear("link", service="trade", up=False))["reason"]
        parts.trade = FakeTrade(EPOCH + 1)
        parts.trade.order("new", trade.ORDER_STATE_ACCEPTED)
        async with parts.trade_up():
            gap = await browser.hear("gap", topic=ORDER)
            assert gap["resume"]["epoch"] == EPOCH + 1
            assert [item["clientOrderId"] for item in await browser.items(ORDER, 1)] == ["new"]


async def test_a_service_that_restarts_is_followed_from_the_last_cursor(parts: Mesh) -> None:
    """What it wrote while the bridge could not hear it comes afterwards."""
    async with parts.market_up(), parts.bridge_up(), parts.browser() as browser:
        async with parts.trade_up():
            await browser.links_up()
            await browser.subscribe(ORDER)
            parts.trade.order("a", trade.ORDER_STATE_ACCEPTED)
            await browser.items(ORDER, 1)
        await browser.hear("link", service="trade", up=False)
        parts.trade.order("a", trade.ORDER_STATE_FILLED)
        async with parts.trade_up():
            assert [item["state"] for item in await browser.items(ORDER, 1)] == ["FILLED"]


async def test_a_journal_that_became_shorter_is_followed_anew(parts: Mesh) -> None:
    """The service refuses the bridge's cursor: a gap is declared, and what comes is there."""
    async with parts.market_up(), parts.bridge_up(), parts.browser() as browser:
        async with parts.trade_up():
            await browser.links_up()
            await browser.subscribe(ORDER)
            for name in ("a", "b"):
                parts.trade.order(name, trade.ORDER_STATE_ACCEPTED)
            await browser.items(ORDER, 1)
        parts.trade = FakeTrade()
        async with parts.trade_up():
            await browser.hear("gap", topic=ORDER)
            parts.trade.order("c", trade.ORDER_STATE_ACCEPTED)
            assert [item["clientOrderId"] for item in await browser.items(ORDER, 1)] == ["c"]


async def test_a_browser_may_subscribe_before_the_service_is_there(parts: Mesh) -> None:
    """Services start in any order."""
    async with parts.bridge_up(), parts.browser() as browser:
        assert "cursor" not in await browser.subscribe("tick.*")
        async with parts.market_up():
            parts.market.tick("au2604", 950)
            await browser.items("tick.*", 1)


async def test_an_order_can_be_sent(mesh: Mesh, browser: Browser) -> None:
    """Enums are given and come back without their prefix."""
    reply = await browser.call(SUBMIT, clientOrderId="mine-1", **GOOD)
    assert reply["response"]["order"]["state"] == "ACCEPTED"
    assert reply["response"]["order"]["direction"] == "BUY"
    assert mesh.trade.submitted[0].direction == trade.DIRECTION_BUY


async def test_a_refusal_comes_with_reason_and_field(browser: Browser) -> None:
    """So that the page can say it below the field."""
    reply = await browser.call(SUBMIT, clientOrderId="mine-2", **GOOD | {"price": 1.0})
    assert reply["error"] == {
        "code": "INVALID_ARGUMENT",
        "reason": "PRICE_LIMIT",
        "field": "price",
        "message": "price: 1 is below the day's limit 855",
    }


async def test_an_unknown_field_is_named(mesh: Mesh, browser: Browser) -> None:
    """A typing error must not become an order without a price."""
    reply = await browser.call(SUBMIT, clientOrderId="mine-3", prize=950.0)
    assert (reply["error"]["reason"], reply["error"]["field"]) == ("UNKNOWN_FIELD", "prize")
    assert mesh.trade.submitted == []


@pytest.mark.parametrize(
    "method",
    [
        "arbig.trade.v1.TradeService/SubscribeEvents",
        "arbig.front.v1.FrontService/Start",
        "grpc.health.v1.Health/Check",
        "",
    ],
)
async def test_what_is_not_listed_is_denied(browser: Browser, method: str) -> None:
    """Streams are reached through topics, admin methods not at all."""
    reply = await browser.call(method)
    assert reply["error"]["code"] == "PERMISSION_DENIED"


async def test_a_call_to_an_absent_service_fails_at_once(parts: Mesh) -> None:
    """UNAVAILABLE, and not a wait for the deadline."""
    async with parts.bridge_up(), parts.browser() as browser:
        async with asyncio.timeout(2):
            reply = await browser.call(LIST)
        assert reply["error"]["code"] == "UNAVAILABLE"


async def test_a_call_in_flight_does_not_hold_back_another(mesh: Mesh, browser: Browser) -> None:
    """A slow answer of one service is nobody else's matter."""
    mesh.trade.replies.clear()
    await browser.say("call", id="slow", method=SUBMIT, request={"clientOrderId": "s", **GOOD})
    await browser.say("call", id="fast", method=LIST)
    assert (await browser.hear("reply"))["id"] == "fast"
    mesh.trade.replies.set()
    assert (await browser.hear("reply"))["id"] == "slow"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "BAD_JSON"),
        ("[1]", "BAD_FRAME"),
        ('{"op":"shout"}', "UNKNOWN_OP"),
        ('{"op":"subscribe"}', "BAD_FRAME"),
        ('{"op":"subscribe","topic":"secret.*"}', "UNKNOWN_TOPIC"),
        ('{"op":"subscribe","topic":"order.*","after":{"epoch":-1}}', "BAD_FRAME"),
        ('{"op":"unsubscribe","topic":"tick.*"}', "UNKNOWN_TOPIC"),
    ],
)
async def test_a_frame_that_makes_no_sense_is_answered(browser: Browser, text: str, code: str) -> None:
    """And the connection goes on."""
    await browser.socket.send_str(text)
    assert (await browser.hear("error"))["code"] == code
    await browser.say("ping")
    await browser.hear("pong")


async def test_an_oversize_frame_closes_the_connection(browser: Browser) -> None:
    """Close code 1009."""
    await browser.socket.send_str("x" * (MAX_FRAME + 1))
    assert await browser.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_binary_frame_closes_the_connection(browser: Browser) -> None:
    """Close code 1003."""
    await browser.socket.send_bytes(b"{}")
    assert await browser.closed() == aiohttp.WSCloseCode.UNSUPPORTED_DATA


async def test_a_foreign_origin_may_not_connect(mesh: Mesh) -> None:
    """Another site's script must not trade with the user's browser."""
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        async with mesh.browser(origin="http://evil.example"):
            pass


async def test_the_page_itself_may_connect(mesh: Mesh) -> None:
    """By either name of this machine."""
    port = mesh.address.split(":")[1]
    for host in ("127.0.0.1", "localhost"):
        async with mesh.browser(origin=f"http://{host}:{port}") as browser:
            await browser.hear("hello", protocol=1)


async def test_a_port_in_use_is_named(mesh: Mesh) -> None:
    """A second bridge says which address is taken."""
    with pytest.raises(ConfigError, match=mesh.address):
        await run(mesh.settings)


async def test_health_says_which_service_is_missing(parts: Mesh) -> None:
    """503 until every stream is followed."""
    async with parts.market_up(), parts.bridge_up(), aiohttp.ClientSession() as http:
        async with parts.browser() as browser:
            await browser.hear("link", service="market", up=True)
        async with http.get(f"http://{parts.address}/healthz") as answer:
            assert answer.status == 503
            assert set((await answer.json())["down"]) == {
                "arbig.trade.v1.TradeService/SubscribeEvents",
                "arbig.trade.v1.TradeService/SubscribeInstruments",
                "arbig.store.v1.StrategyService/SubscribeStrategies",
                "arbig.store.v1.StrategyService/SubscribeTriggers",
                "arbig.store.v1.LogService/SubscribeLogs",
            }


async def test_storage_that_is_away_takes_nobody_off_the_bridge(parts: Mesh) -> None:
    """One can watch and trade without the past; the answer says what is missing."""
    async with parts.market_up(), parts.trade_up(), parts.bridge_up(), aiohttp.ClientSession() as http:
        async with parts.browser() as browser:
            await browser.links_up()
        async with http.get(f"http://{parts.address}/healthz") as answer:
            assert answer.status == 200
            assert "arbig.store.v1.LogService/SubscribeLogs" in (await answer.json())["down"]


async def test_a_trigger_of_a_strategy_reaches_the_browser(parts: Mesh) -> None:
    """Each of them, whoever watches which strategy."""
    async with parts.market_up(), parts.trade_up(), parts.store_up(), parts.bridge_up(), parts.browser() as browser:
        await browser.hear("link", stream="arbig.store.v1.StrategyService/SubscribeTriggers", up=True)
        await browser.subscribe("trigger.grid")
        for number in range(3):
            parts.store.trigger("other", f"o{number}")
            parts.store.trigger("grid", f"g{number}")
        assert [one["triggerId"] for one in await browser.items("trigger.grid", 3)] == ["g0", "g1", "g2"]


async def test_browsers_are_told_that_the_bridge_stops(parts: Mesh) -> None:
    """Close code 1001: come back later."""
    async with AsyncExitStack() as stack:
        async with parts.bridge_up():
            browser = await stack.enter_async_context(parts.browser())
            await browser.hear("hello")
            reading = asyncio.create_task(browser.closed())
        assert await reading == aiohttp.WSCloseCode.GOING_AWAY


async def test_money_of_another_account_is_not_sent(mesh: Mesh, browser: Browser) -> None:
    """A topic that names the account is that account alone."""
    await browser.subscribe("account.other")
    await browser.subscribe(f"account.{ACCOUNT}")
    mesh.trade.money(5_000)
    await browser.items(f"account.{ACCOUNT}", 1)
    assert [frame for frame in browser.seen if frame.get("topic") == "account.other" and frame["op"] == "items"] == []
