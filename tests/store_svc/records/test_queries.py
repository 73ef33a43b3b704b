"""Lists and their filters, compared with a plain reckoning in Python over the same rows."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from arbig.errors import InvalidField, NotFound
from arbig.pages import to_token
from arbig.store.v1 import store_pb2 as pb
from arbig.trade.v1 import trade_pb2 as tr
from store_svc.journal.batch import Batch
from store_svc.journal.writing import rewind, write
from tests.store_svc.injections import INJECTIONS, lower
from tests.store_svc.mesh import EPOCH, journal, order, trade
from tests.store_svc.stored import Stored, items, storing

ACCOUNTS = ["sim001", "sim002", "SIM001"]
SYMBOLS = ["au2604", "au2606"]
DAYS = ["20260306", "20260309", "20260310", "20260311"]
STRATEGIES = ["", "spread", "Spread", "grid"]
STATES = [tr.ORDER_STATE_ACCEPTED, tr.ORDER_STATE_FILLED, tr.ORDER_STATE_REJECTED]
TEXTS = ["", "全部成交", "100% sure", "a_b", "Ä", "ä", "é", "É", "CTP:资金不足", "it's", "back\\slash", 'quo"te']
OLDEST_FIRST = pb.SORT_ORDER_OLDEST_FIRST


@pytest.fixture
async def stored(database_url: str, tmp_path: Path) -> AsyncIterator[Stored]:
    async with storing(database_url, tmp_path) as made:
        yield made


def some_orders(dice: random.Random, count: int) -> list[tr.Order]:
    """Make orders that differ in all that a filter asks for."""
    return [
        order(
            f"{dice.choice('oOxÄä%_')}{number}",
            account_id=dice.choice(ACCOUNTS),
            symbol=dice.choice(SYMBOLS),
            trading_day=dice.choice(DAYS),
            strategy=dice.choice(STRATEGIES),
            state=dice.choice(STATES),
            status_text=dice.choice(TEXTS),
        )
        for number in range(count)
    ]


def some_trades(dice: random.Random, orders: list[tr.Order], count: int) -> list[tr.Trade]:
    """Make trades of these orders, and some of orders that nobody knows."""
    made = []
    for number in range(count):
        whose = dice.choice([*orders, order("", account_id="sim001"), order("not-stored")])
        same = {name: getattr(whose, name) for name in ("account_id", "client_order_id", "symbol")}
        made.append(trade(f"t{number}", **same, trading_day=dice.choice(DAYS)))
    return made


def some_filters(dice: random.Random, filters: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Choose some of the filters, and a value for each."""
    return {name: value() for name, value in filters.items() if dice.random() < 0.3}


def fits(one: Any, name: str, wanted: Any) -> bool:
    """Whether a message passes a filter."""
    match name:
        case "first_trading_day":
            return bool(one.trading_day >= wanted)
        case "last_trading_day":
            return bool(one.trading_day <= wanted)
        case "states":
            return one.state in wanted
        case "text":
            return any(lower(wanted) in lower(text) for text in (one.client_order_id, one.status_text))
        case "open":
            return bool(one.today + one.yesterday > 0)
    return bool(getattr(one, name) == wanted)


async def test_every_combination_of_filters_lists_the_orders_that_fit(stored: Stored) -> None:
    dice = random.Random(1)
    orders = some_orders(dice, 150)
    await stored.say(*orders)
    filters: dict[str, Callable[[], Any]] = {
        "account_id": lambda: dice.choice(ACCOUNTS),
        "symbol": lambda: dice.choice(SYMBOLS),
        "trading_day": lambda: dice.choice(DAYS),
        "first_trading_day": lambda: dice.choice(DAYS),
        "last_trading_day": lambda: dice.choice(DAYS),
        "states": lambda: dice.sample(STATES, 2),
        "strategy": lambda: dice.choice(STRATEGIES[1:]),
        "text": lambda: dice.choice(
            ["o1", "O1", "1", "%", "_", "Ä", "ä", "É", "A", "sure", "S'", "\\", '"', "成", "ctp:资", "zz"]
        ),
    }
    for _ in range(30):
        chosen = some_filters(dice, filters)
        fitting = [one for one in orders if all(fits(one, *each) for each in chosen.items())]
        size = dice.choice([7, 30, 1000])
        assert await stored.all("ListOrders", **chosen, page_size=size) == fitting[::-1], chosen
        assert await stored.all("ListOrders", **chosen, page_size=size, sort=OLDEST_FIRST) == fitting, chosen


async def test_every_combination_of_filters_lists_the_trades_that_fit(stored: Stored) -> None:
    """Also by a strategy, which the order has: a trade whose order is not stored is of none."""
    dice = random.Random(2)
    orders = some_orders(dice, 40)
    trades = some_trades(dice, orders, 150)
    await stored.say(*trades[:50], *orders, *trades[50:])
    strategies = {(one.account_id, one.client_order_id): one.strategy for one in orders}
    filters: dict[str, Callable[[], Any]] = {
        "account_id": lambda: dice.choice(ACCOUNTS),
        "symbol": lambda: dice.choice(SYMBOLS),
        "trading_day": lambda: dice.choice(DAYS),
        "first_trading_day": lambda: dice.choice(DAYS),
        "last_trading_day": lambda: dice.choice(DAYS),
        "client_order_id": lambda: dice.choice(orders).client_order_id,
        "strategy": lambda: dice.choice(STRATEGIES[1:]),
    }
    for _ in range(30):
        chosen = some_filters(dice, filters)
        strategy = chosen.get("strategy")
        fitting = [
            one
            for one in trades
            if all(fits(one, *each) for each in chosen.items() if each[0] != "strategy")
            and (strategy is None or strategies.get((one.account_id, one.client_order_id)) == strategy)
        ]
        size = dice.choice([7, 30, 1000])
        assert await stored.all("ListTrades", **chosen, page_size=size) == fitting[::-1], chosen
        assert await stored.all("ListTrades", **chosen, page_size=size, sort=OLDEST_FIRST) == fitting, chosen


async def test_positions_and_accounts_are_listed_in_the_order_of_their_keys(stored: Stored) -> None:
    dice = random.Random(3)
    sides = [
        tr.Position(account_id=account, symbol=symbol, side=side, today=dice.randrange(2), yesterday=dice.randrange(2))
        for account in ACCOUNTS
        for symbol in SYMBOLS
        for side in (tr.POSITION_SIDE_LONG, tr.POSITION_SIDE_SHORT)
    ]
    accounts = [tr.Account(account_id=account) for account in ACCOUNTS]
    await stored.say(*dice.sample(sides, len(sides)), *accounts)
    sides.sort(key=lambda one: (one.account_id, one.symbol, tr.PositionSide.Name(one.side)))
    filters: dict[str, Callable[[], Any]] = {
        "account_id": lambda: dice.choice(ACCOUNTS),
        "symbol": lambda: dice.choice(SYMBOLS),
        "side": lambda: dice.choice([tr.POSITION_SIDE_LONG, tr.POSITION_SIDE_SHORT]),
        "open": lambda: True,
    }
    for _ in range(40):
        chosen = some_filters(dice, filters)
        fitting = [one for one in sides if all(fits(one, *each) for each in chosen.items())]
        assert await stored.all("ListPositions", **chosen, page_size=dice.choice([0, 1, 5])) == fitting, chosen
    assert [one.account_id for one in await stored.all("ListAccounts", page_size=2)] == sorted(ACCOUNTS)


@pytest.mark.parametrize("sort", [pb.SORT_ORDER_NEWEST_FIRST, OLDEST_FIRST])
@pytest.mark.parametrize(
    ("method", "make", "name"), [("ListOrders", order, "client_order_id"), ("ListTrades", trade, "trade_id")]
)
async def test_no_page_skips_or_repeats_while_rows_arrive_and_change(
    method: str, make: Callable[..., Message], name: str, sort: int, stored: Stored
) -> None:
    """The newest first, what arrives meanwhile is on no later page; the oldest first, on the last."""
    await stored.say(*(make(f"n{number}") for number in range(20)))
    seen, token, new = [], "", 20
    while True:
        reply = await stored.ask(method, page_size=3, sort=sort, page_token=token)
        seen += [getattr(one, name) for one in items(reply)]
        token = reply.next_page_token
        if not token:
            break
        if new < 30:
            await stored.say(make(f"n{new}"), make(f"n{new % 7}", volume=9))
            new += 1
    last = range(19, -1, -1) if sort == pb.SORT_ORDER_NEWEST_FIRST else range(new)
    assert seen == [f"n{number}" for number in last]


@pytest.mark.parametrize("sort", [pb.SORT_ORDER_NEWEST_FIRST, OLDEST_FIRST])
async def test_no_page_skips_rows_that_share_a_number_since_the_journal_went_back(sort: int, stored: Stored) -> None:
    await stored.say(order("a"), order("lost"), trade("lost"), trade("lost", direction=tr.DIRECTION_SELL))
    await stored.database.write(rewind)
    anew = order("a"), order("b"), trade("c"), trade("c", direction=tr.DIRECTION_SELL)
    batch = Batch(EPOCH, list(journal(anew)))
    await stored.database.write(lambda on: write(on, batch))
    for method, name, count in (("ListOrders", "client_order_id", 3), ("ListTrades", "trade_id", 4)):
        found = await stored.all(method, page_size=1, sort=sort)
        assert found == await stored.all(method, sort=sort)
        assert len(found) == count, [getattr(one, name) for one in found]


FORGED: list[Any] = [
    5,
    None,
    "x",
    {"a": 1},
    [],
    [1],
    [1, 2],
    [1, 2, "a", "b", "c"],
    [2**63, 1, "a", "b"],
    [-(2**63) - 1, 1, "a", "b"],
    [True, 1, "a", "b"],
    [1.5, 1, "a", "b"],
    [None, None, None, None],
    [[1], 2, "a", "b"],
    ["x", 2, "a", "b"],
    [1, 2, 3, "b"],
    [1, 2, "a", "\ud800"],
]


@pytest.mark.parametrize("place", FORGED, ids=repr)
async def test_a_token_that_someone_else_made_is_refused(place: Any, tmp_path: Path) -> None:
    """Its check is no secret: one that passes it may still name no place."""
    token = to_token(place, pb.ListOrdersRequest())
    async with storing("", tmp_path) as stored:
        with pytest.raises(InvalidField, match="page_token"):
            await stored.ask("ListOrders", page_token=token)


async def test_a_status_that_is_named_again_and_again_is_asked_for_once(stored: Stored) -> None:
    """A database refuses a statement with as many values."""
    await stored.say(order("a"), order("b", state=tr.ORDER_STATE_FILLED))
    states = [tr.ORDER_STATE_ACCEPTED, tr.ORDER_STATE_REJECTED] * 70_000
    assert [one.client_order_id for one in (await stored.ask("ListOrders", states=states)).orders] == ["a"]


async def test_pages_by_key_neither_skip_nor_repeat_while_rows_arrive(stored: Stored) -> None:
    def side(symbol: str) -> tr.Position:
        return tr.Position(account_id="sim001", symbol=symbol, side=tr.POSITION_SIDE_LONG)

    await stored.say(*(side(f"b{number}") for number in range(6)))
    first = await stored.ask("ListPositions", page_size=3)
    await stored.say(side("a"), side("b0"), side("b9"))
    rest = await stored.all("ListPositions", page_size=2, page_token=first.next_page_token)
    assert [one.symbol for one in [*first.positions, *rest]] == ["b0", "b1", "b2", "b3", "b4", "b5", "b9"]


@pytest.mark.parametrize(
    ("method", "filters", "field"),
    [
        ("ListOrders", {"first_trading_day": "2026031"}, "first_trading_day"),
        ("ListOrders", {"last_trading_day": "20260230"}, "last_trading_day"),
        ("ListOrders", {"last_trading_day": "２０２６０３０９"}, "last_trading_day"),
        ("ListOrders", {"states": [3, 77]}, "states"),
        ("ListOrders", {"sort": 7}, "sort"),
        ("ListOrders", {"page_size": -1}, "page_size"),
        ("ListTrades", {"first_trading_day": "2026-3-9"}, "first_trading_day"),
        ("ListTrades", {"sort": -1}, "sort"),
        ("ListPositions", {"side": 9}, "side"),
        ("ListPositions", {"page_size": -5}, "page_size"),
        ("ListAccounts", {"page_token": "x"}, "page_token"),
        ("ListDailyTradeSummaries", {"last_trading_day": "today"}, "last_trading_day"),
        ("ListTriggerSummaries", {"first_trading_day": "20261301"}, "first_trading_day"),
        ("GetOrder", {"account_id": "sim001"}, "client_order_id"),
        ("GetOrder", {"account_id": "sim001", "client_order_id": "x" * 101}, "client_order_id"),
        ("GetTrade", {"account_id": "a", "trading_day": "b", "exchange": "c", "trade_id": "d"}, "direction"),
        ("GetPosition", {"account_id": "sim001", "symbol": "au2604", "side": 3}, "side"),
        ("GetAccount", {}, "account_id"),
    ],
)
async def test_a_field_that_cannot_be_is_named(
    method: str, filters: dict[str, Any], field: str, tmp_path: Path
) -> None:
    async with storing("", tmp_path) as stored:
        with pytest.raises(InvalidField) as refused:
            await stored.ask(method, **filters)
    assert refused.value.field == field


async def test_one_is_got_by_its_whole_name(stored: Stored) -> None:
    """Trade ids repeat from day to day, and both sides of a self-trade share one."""
    trades = [
        trade("t", trading_day=day, direction=direction, volume=number)
        for number, (day, direction) in enumerate((day, side) for day in DAYS for side in (1, 2))
    ]
    side = tr.Position(account_id="sim001", symbol="au2604", side=tr.POSITION_SIDE_SHORT, today=2)
    account = tr.Account(account_id="sim001", balance=5.5)
    await stored.say(order("a"), order("A", volume=9), *trades, side, account)
    got = await stored.ask("GetOrder", account_id="sim001", client_order_id="A")
    assert got.order == order("A", volume=9)
    for one in trades:
        name = {field.name: getattr(one, field.name) for field in pb.GetTradeRequest.DESCRIPTOR.fields}
        assert (await stored.ask("GetTrade", **name)).trade == one
    assert (await stored.ask("GetPosition", account_id="sim001", symbol="au2604", side=2)).position == side
    assert (await stored.ask("GetAccount", account_id="sim001")).account == account


@pytest.mark.parametrize(
    ("method", "name", "reason"),
    [
        ("GetOrder", {"account_id": "sim001", "client_order_id": "B"}, "NO_SUCH_ORDER"),
        (
            "GetTrade",
            {"account_id": "sim001", "trading_day": "20260309", "exchange": "X", "trade_id": "t", "direction": 1},
            "NO_SUCH_TRADE",
        ),
        ("GetPosition", {"account_id": "sim001", "symbol": "au2604", "side": 1}, "NO_SUCH_POSITION"),
        ("GetAccount", {"account_id": "SIM001"}, "NO_SUCH_ACCOUNT"),
    ],
)
async def test_one_that_is_not_stored_is_not_found(
    method: str, name: dict[str, Any], reason: str, stored: Stored
) -> None:
    await stored.say(order("b"), trade("t"), tr.Account(account_id="sim001"))
    with pytest.raises(NotFound) as refused:
        await stored.ask(method, **name)
    assert refused.value.reason == reason
    assert name["account_id"] in str(refused.value)


REQUESTS = [one for one in pb.DESCRIPTOR.message_types_by_name if one.endswith("Request")]


async def test_a_name_with_a_blank_behind_it_is_another_name(stored: Stored) -> None:
    """MySQL would take them for one."""
    await stored.say(order("a", strategy="grid"))
    assert len(items(await stored.ask("ListOrders", strategy="grid", account_id="sim001"))) == 1
    assert not items(await stored.ask("ListOrders", strategy="grid "))
    assert not items(await stored.ask("ListOrders", account_id="sim001 "))


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_injected_sql_finds_nothing_and_breaks_nothing(request_name: str, stored: Stored) -> None:
    """In each text field of each request; a text that cannot be a value of the field is refused."""
    said = order("a"), trade("t"), tr.Position(account_id="sim001", symbol="au2604"), tr.Account(account_id="x")
    await stored.say(*said)
    method = request_name.removesuffix("Request")
    whole: dict[str, Any] = {
        "account_id": "sim001",
        "client_order_id": "a",
        "trading_day": "20260309",
        "exchange": "SHFE",
    }
    whole |= {"trade_id": "t", "direction": 1, "symbol": "au2604", "side": 1}
    fields = getattr(pb, request_name).DESCRIPTOR.fields
    needed = {one.name: whole[one.name] for one in fields if method.startswith("Get") and one.name in whole}
    for field in (one.name for one in fields if one.type == one.TYPE_STRING):
        for text in INJECTIONS:
            with contextlib.suppress(InvalidField, NotFound):
                assert not items(await stored.ask(method, **{**needed, field: text})), (field, text)
    for one in ("ListOrders", "ListTrades", "ListPositions", "ListAccounts"):
        assert len(await stored.all(one)) == 1


async def test_a_token_of_another_list_or_filter_is_refused_by_every_list(stored: Stored) -> None:
    await stored.say(*(order(f"o{number}") for number in range(3)), *(trade(f"t{number}") for number in range(3)))
    token = (await stored.ask("ListOrders", page_size=1)).next_page_token
    await stored.ask("ListOrders", page_size=1, page_token=token)
    for method in [name.removesuffix("Request") for name in REQUESTS if name.startswith("List")]:
        if "page_token" in getattr(pb, f"{method}Request").DESCRIPTOR.fields_by_name:
            other = {"symbol": "au2604"} if method == "ListOrders" else {}
            with pytest.raises(InvalidField, match="page_token"):
                await stored.ask(method, page_token=token, **other)
