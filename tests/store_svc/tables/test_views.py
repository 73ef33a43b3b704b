"""The views, compared with a reckoning in Python over the same rows, on both engines."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbig.store.v1 import store_pb2 as pb
from arbig.store.v1 import strategy_pb2
from arbig.trade.v1 import trade_pb2 as tr
from store_svc.tables.schema import strategy_triggers, trades
from tests.store_svc.history import trigger_rows
from tests.store_svc.mesh import trade
from tests.store_svc.stored import Stored, storing

ACCOUNTS = ["sim001", "sim002", "sim003"]
DAYS = ["20260306", "20260309", "20260310"]


@pytest.fixture
async def stored(database_url: str, tmp_path: Path) -> AsyncIterator[Stored]:
    async with storing(database_url, tmp_path) as made:
        yield made


def amounts(dice: random.Random, *names: str) -> dict[str, Any]:
    return {name: round(dice.uniform(-2e6, 2e6), 4) for name in names}


async def test_an_account_is_shown_with_what_it_holds(stored: Stored) -> None:
    dice = random.Random(1)
    names = ("balance", "available", "margin", "position_profit", "close_profit", "commission")
    accounts = [
        tr.Account(account_id=f"sim{number:03}", trading_day="20260309", **amounts(dice, *names))
        for number in range(30)
    ]
    accounts += [tr.Account(account_id="zero", margin=5), tr.Account(account_id="steep", balance=0.01, margin=5e6)]
    sides = [
        tr.Position(
            account_id=dice.choice(accounts).account_id,
            symbol=f"au26{number:02}",
            side=dice.choice([tr.POSITION_SIDE_LONG, tr.POSITION_SIDE_SHORT]),
            today=dice.randrange(3),
            yesterday=dice.randrange(3),
        )
        for number in range(99)
    ]
    await stored.say(*accounts, *sides)
    shown = {one.account_id: one for one in (await stored.ask("ListAccountSummaries")).summaries}
    assert list(shown) == sorted(one.account_id for one in accounts)
    for account in accounts:
        lots = [one.today + one.yesterday for one in sides if one.account_id == account.account_id]
        row = shown[account.account_id]
        assert {name: getattr(row, name) for name in names} == {name: getattr(account, name) for name in names}
        assert (row.position_count, row.position_volume) == (sum(map(bool, lots)), sum(lots))
        if account.balance > 0:
            assert row.risk_ratio == pytest.approx(account.margin / account.balance)
        else:
            assert not row.HasField("risk_ratio")
    one = (await stored.ask("ListAccountSummaries", account_id="sim007")).summaries
    assert one == [shown["sim007"]]


async def test_a_days_trades_are_added_up_by_account(stored: Stored) -> None:
    """Ids repeat from day to day and on both sides of a self-trade, and no order is stored."""
    dice = random.Random(2)
    said = {}
    for _ in range(300):
        one = trade(
            f"t{dice.randrange(60)}",
            account_id=dice.choice(ACCOUNTS),
            trading_day=dice.choice(DAYS),
            direction=dice.choice([tr.DIRECTION_BUY, tr.DIRECTION_SELL]),
            volume=dice.randrange(1, 9),
            time={"seconds": 1_773_000_000 + dice.randrange(10**6), "nanos": dice.randrange(10**6) * 1000},
        )
        said[one.account_id, one.trading_day, one.trade_id, one.direction] = one
    await stored.say(*said.values())
    expected = sorted(_days(list(said.values())), key=lambda one: (-int(one.trading_day), one.account_id))
    assert await stored.all("ListDailyTradeSummaries", page_size=4) == expected
    assert await stored.all("ListDailyTradeSummaries", account_id="sim002", page_size=2) == [
        one for one in expected if one.account_id == "sim002"
    ]
    ranged = {"first_trading_day": "20260309", "last_trading_day": "20260309"}
    assert await stored.all("ListDailyTradeSummaries", **ranged) == [
        one for one in expected if one.trading_day == "20260309"
    ]


def _days(said: list[tr.Trade]) -> list[pb.DailyTradeSummary]:
    days: defaultdict[tuple[str, str], list[tr.Trade]] = defaultdict(list)
    for one in said:
        days[one.account_id, one.trading_day].append(one)
    return [
        pb.DailyTradeSummary(
            account_id=account,
            trading_day=day,
            trade_count=len(some),
            buy_volume=sum(one.volume for one in some if one.direction == tr.DIRECTION_BUY),
            sell_volume=sum(one.volume for one in some if one.direction == tr.DIRECTION_SELL),
            first_trade_time=min((one.time for one in some), key=lambda time: time.ToNanoseconds()),
            last_trade_time=max((one.time for one in some), key=lambda time: time.ToNanoseconds()),
        )
        for (account, day), some in days.items()
    ]


async def test_a_night_session_belongs_to_the_trading_day_that_follows_it(stored: Stored) -> None:
    """Fills of Friday night and of after midnight are Monday's, whatever the calendar says."""

    def fill(name: str, time: str, day: str) -> tr.Trade:
        return trade(name, trading_day=day, time=datetime.fromisoformat(f"{time}+08:00"))

    friday = fill("friday", "2026-03-06T14:59:00", "20260306")
    fills = [
        fill("friday night", "2026-03-06T21:05:00", "20260309"),
        fill("after midnight", "2026-03-07T02:10:00", "20260309"),
        fill("monday", "2026-03-09T10:00:00", "20260309"),
    ]
    await stored.say(friday, *fills)
    days = (await stored.ask("ListDailyTradeSummaries")).summaries
    assert [(one.trading_day, one.trade_count) for one in days] == [("20260309", 3), ("20260306", 1)]
    assert (days[0].first_trade_time, days[0].last_trade_time) == (fills[0].time, fills[2].time)


async def test_commission_is_absent_while_that_of_any_trade_is_not_known(stored: Stored) -> None:
    await stored.say(trade("a"), trade("b"), trade("c", trading_day="20260310"))
    await _set_commission(stored, "a", 10)
    await _set_commission(stored, "c", 5)
    days = (await stored.ask("ListDailyTradeSummaries")).summaries
    assert [one.commission if one.HasField("commission") else None for one in days] == [5, None]
    await _set_commission(stored, "b", 20)
    assert [one.commission for one in (await stored.ask("ListDailyTradeSummaries")).summaries] == [5, 30]


async def _set_commission(stored: Stored, trade_id: str, yuan: int) -> None:
    changed = trades.update().where(trades.c.trade_id == trade_id).values(commission=Decimal(yuan))
    await stored.database.write(lambda on: on.execute(changed))


async def test_triggers_are_counted_by_strategy_and_day(stored: Stored) -> None:
    rows: list[dict[str, Any]] = list(trigger_rows(400))
    dice = random.Random(3)
    for row in rows:
        row["price"] = row["price"] + dice.randrange(50) if dice.random() < 0.7 else None
        row["trading_day"] = dice.choice([*DAYS, ""])
    await stored.database.write(lambda on: on.execute(strategy_triggers.insert(), rows))
    expected = {}
    for name, day in {(row["strategy"], row["trading_day"]) for row in rows}:
        some = [row for row in rows if (row["strategy"], row["trading_day"]) == (name, day)]
        prices = [float(row["price"]) for row in some if row["price"] is not None]
        expected[name, day] = (
            len(some),
            sum(row["result"] == "SUCCESS" for row in some),
            sum(row["result"] == "FAILED" for row in some),
            sum(row["signal"] != "HOLD" for row in some),
            pytest.approx(sum(prices) / len(prices)) if prices else None,
        )
    found = await stored.all("ListTriggerSummaries", page_size=5)
    assert {(one.strategy, one.trading_day): _counts(one) for one in found} == expected
    assert [(one.trading_day, one.strategy) for one in found] == sorted(
        ((day, name) for name, day in expected), key=lambda place: (-int(place[0] or 0), place[1])
    )
    one_strategy = await stored.all("ListTriggerSummaries", strategy="spread-3", first_trading_day="20260309")
    assert [one.trading_day for one in one_strategy] == ["20260310", "20260309"]


def _counts(one: pb.TriggerSummary) -> tuple[Any, ...]:
    price = one.average_price if one.HasField("average_price") else None
    return one.trigger_count, one.success_count, one.failed_count, one.signal_count, price


def test_the_words_of_the_views_are_words_of_the_contract() -> None:
    """The views name results and signals by their words."""
    assert {"TRIGGER_RESULT_SUCCESS", "TRIGGER_RESULT_FAILED"} <= set(strategy_pb2.TriggerResult.keys())
    assert "SIGNAL_HOLD" in strategy_pb2.Signal.keys()  # noqa: SIM118
    assert {"DIRECTION_BUY", "DIRECTION_SELL"} <= set(tr.Direction.keys())
