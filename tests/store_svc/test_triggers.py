"""Triggers: recorded once, changed until they are final, and counted."""

from typing import Any

import grpc

from arbig.store.v1 import store_pb2
from arbig.store.v1 import strategy_pb2 as pb
from arbig.trade.v1 import trade_pb2 as tr
from store_svc.tables import records
from store_svc.tables.records import Record
from tests.store_svc.mesh import order, trade
from tests.store_svc.strategies_and_logs import THEN, Served, config, trigger


async def recorded(served: Served, trigger_id: str = "t1", **more: object) -> pb.Trigger:
    reply = await served.call(pb.RecordTriggerRequest(trigger=trigger(trigger_id, **more)))
    return reply.trigger  # type: ignore[no-any-return]


async def changed(served: Served, trigger_id: str = "t1", **more: object) -> pb.Trigger:
    request = pb.UpdateTriggerRequest(strategy="grid", trigger_id=trigger_id, **more)  # type: ignore[arg-type]
    return (await served.call(request)).trigger  # type: ignore[no-any-return]


async def ids(served: Served, **filters: object) -> list[str]:
    request = pb.ListTriggersRequest(**{"page_size": 2, **filters})  # type: ignore[arg-type]
    return [one.trigger_id for one in await served.listed(request)]


async def put(served: Served, kept: Record, *messages: object) -> None:  # type: ignore[type-arg]
    """Write what the recorder would."""
    rows = [kept.row(one) for one in messages]
    places = [dict(zip(kept.first, (1, number), strict=False)) for number, _ in enumerate(rows)]
    insert = kept.table.insert()
    await served.database.write(
        lambda on: on.execute(insert, [{**row, **place} for row, place in zip(rows, places, strict=True)])
    )


async def test_a_trigger_comes_back_as_it_was_given(served: Served) -> None:
    """Pending unless it says otherwise; without a trading day while storage knows none."""
    given = trigger(condition="价差 > 0.3 \U0001f600", volume=0, execution_time=THEN, error_message="")
    made = (await served.call(pb.RecordTriggerRequest(trigger=given))).trigger
    assert (made.seq, made.trading_day, made.result) == (1, "", pb.TRIGGER_RESULT_PENDING)
    assert made.create_time == made.update_time
    assert made.HasField("volume")
    for name in ("seq", "result", "create_time", "update_time"):
        made.ClearField(name)
    assert made == given
    bare = await recorded(served, "bare", price=None)
    assert [name for name in ("price", "volume", "execution_time") if bare.HasField(name)] == []


async def test_a_trigger_gets_the_newest_trading_day(served: Served) -> None:
    days = ("20260309", "20260310")
    await put(served, records.ACCOUNT, *(tr.Account(account_id=f"a{day}", trading_day=day) for day in days))
    assert (await recorded(served)).trading_day == "20260310"


async def test_a_repeated_record_gives_the_trigger_back(served: Served) -> None:
    """Also when it was changed meanwhile; what the service gives is not the caller's to say."""
    first = await recorded(served)
    assert await recorded(served, seq=77, trading_day="x", create_time=THEN) == first
    final = await changed(served, result=pb.TRIGGER_RESULT_SUCCESS, volume=3)
    assert await recorded(served) == final
    assert await recorded(served, result=pb.TRIGGER_RESULT_PENDING) == final
    assert await ids(served) == ["t1"]


async def test_an_id_is_used_for_one_trigger_of_a_strategy(served: Served) -> None:
    await recorded(served)
    await changed(served, volume=3)
    others: list[dict[str, Any]] = [
        {"time": THEN.replace(microsecond=123457)},
        {"condition": "other"},
        {"price": 450.04},
        {"price": None},
        {"signal": pb.SIGNAL_SELL},
        {"action": pb.TRIGGER_ACTION_HOLD},
        {"result": pb.TRIGGER_RESULT_IGNORED},
        {"account_id": "sim001"},
        {"client_order_id": "o1"},
        {"volume": 3},  # it has 3 lots now, and was recorded without
        {"error_message": "x"},
        {"execution_time": THEN},
    ]
    for other in others:
        code, reason, _ = await served.refused(pb.RecordTriggerRequest(trigger=trigger(**other)))
        assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "TRIGGER_EXISTS"), other
    assert (await recorded(served, strategy="other")).seq == 3


async def test_a_change_sets_what_it_gives_and_leaves_the_rest(served: Served) -> None:
    first = await recorded(served, volume=2)
    second = await changed(served, account_id="sim001", client_order_id="o1")
    assert (second.seq, second.volume, second.client_order_id) == (2, 2, "o1")
    final = await changed(served, result=pb.TRIGGER_RESULT_FAILED, error_message="no margin", execution_time=THEN)
    assert (final.seq, final.account_id, final.error_message) == (3, "sim001", "no margin")
    assert final.update_time.ToDatetime() > final.create_time.ToDatetime()
    assert final.create_time == first.create_time


async def test_a_repeated_change_finds_itself_done(served: Served) -> None:
    await recorded(served)
    done = await changed(served, result=pb.TRIGGER_RESULT_SUCCESS, volume=0)
    assert await changed(served, result=pb.TRIGGER_RESULT_SUCCESS, volume=0) == done
    assert await changed(served) == done


async def test_a_result_is_final(served: Served) -> None:
    await recorded(served)
    await changed(served, result=pb.TRIGGER_RESULT_SUCCESS)
    for other in (pb.TRIGGER_RESULT_PENDING, pb.TRIGGER_RESULT_FAILED):
        request = pb.UpdateTriggerRequest(strategy="grid", trigger_id="t1", result=other)
        assert (await served.refused(request))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "TRIGGER_FINAL")
    assert (await changed(served, volume=3)).result == pb.TRIGGER_RESULT_SUCCESS
    unknown = pb.UpdateTriggerRequest(strategy="grid", trigger_id="T1")
    assert (await served.refused(unknown))[:2] == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_TRIGGER")


async def test_an_older_change_made_again_undoes_nothing_of_a_final_one(served: Served) -> None:
    """What is still absent may be told."""
    await recorded(served)
    first = pb.UpdateTriggerRequest(strategy="grid", trigger_id="t1", volume=1, error_message="first")
    await served.call(first)
    final = await changed(served, volume=2, error_message="second", result=pb.TRIGGER_RESULT_FAILED)
    assert (await served.refused(first))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "TRIGGER_FINAL")
    told = await changed(served, execution_time=THEN, account_id="sim001")
    assert (told.volume, told.error_message, told.account_id) == (2, "second", "sim001")
    assert (await served.refused(pb.UpdateTriggerRequest(strategy="grid", trigger_id="t1", volume=0)))[
        1
    ] == "TRIGGER_FINAL"
    assert await changed(served, volume=2, result=pb.TRIGGER_RESULT_FAILED) == told
    assert told.seq == final.seq + 1


async def test_triggers_are_listed_by_when_they_were_recorded(served: Served) -> None:
    """A change moves none of them, and filters narrow."""
    for number in range(5):
        signal = pb.SIGNAL_HOLD if number % 2 else pb.SIGNAL_BUY
        await recorded(served, f"t{number}", signal=signal, condition=f"spread 10{number}%", strategy=f"s{number % 2}")
    change = pb.UpdateTriggerRequest(strategy="s0", trigger_id="t0", error_message="No_margin")
    change.result = pb.TRIGGER_RESULT_FAILED
    await served.call(change)
    assert await ids(served) == ["t4", "t3", "t2", "t1", "t0"]
    assert await ids(served, sort=store_pb2.SORT_ORDER_OLDEST_FIRST) == ["t0", "t1", "t2", "t3", "t4"]
    assert await ids(served, strategy="s1") == ["t3", "t1"]
    assert await ids(served, signals=[pb.SIGNAL_HOLD, pb.SIGNAL_SELL]) == ["t3", "t1"]
    assert await ids(served, results=[pb.TRIGGER_RESULT_FAILED]) == ["t0"]
    assert await ids(served, text="SPREAD 103%") == ["t3"]
    assert await ids(served, text="no_M") == ["t0"]
    assert await ids(served, text="10_") == []


async def test_trading_days_are_a_range(served: Served) -> None:
    for day in ("20260309", "20260310", "20260311"):
        await put(served, records.ACCOUNT, tr.Account(account_id=day, trading_day=day))
        await recorded(served, day)
    assert await ids(served, first_trading_day="20260310") == ["20260311", "20260310"]
    assert await ids(served, last_trading_day="20260310") == ["20260310", "20260309"]
    assert await ids(served, first_trading_day="20260310", last_trading_day="20260310") == ["20260310"]


async def status(served: Served) -> pb.GetStrategyStatusResponse:
    return await served.call(pb.GetStrategyStatusRequest(strategy="grid"))  # type: ignore[no-any-return]


async def test_a_strategy_that_did_nothing_has_no_numbers(served: Served) -> None:
    request = pb.GetStrategyStatusRequest(strategy="grid")
    assert (await served.refused(request))[:2] == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_STRATEGY")
    await served.call(pb.CreateStrategyRequest(config=config(active=True)))
    assert await status(served) == pb.GetStrategyStatusResponse(strategy="grid", active=True)


async def test_triggers_are_counted_by_trading_day_and_result(served: Served) -> None:
    await served.call(pb.CreateStrategyRequest(config=config()))
    await put(served, records.ACCOUNT, tr.Account(account_id="a", trading_day="20260309"))
    results = (pb.TRIGGER_RESULT_SUCCESS, pb.TRIGGER_RESULT_SUCCESS, pb.TRIGGER_RESULT_FAILED)
    for number, result in enumerate(results):
        await recorded(served, f"t{number}", result=result)
    await put(served, records.ACCOUNT, tr.Account(account_id="b", trading_day="20260310"))
    later = THEN.replace(hour=14)
    await recorded(served, "late", time=later, result=pb.TRIGGER_RESULT_IGNORED)
    await recorded(served, "pending")
    await recorded(served, "theirs", strategy="other", time=later.replace(hour=15))
    found = await status(served)
    assert (found.trading_day, found.triggers_today, found.success_rate) == ("20260310", 2, 2 / 3)
    assert found.last_trigger_time.ToDatetime(later.tzinfo) == later


async def test_a_position_is_what_the_trades_of_its_orders_add_up_to(served: Served) -> None:
    """By account and symbol; what is flat is left out, and so are other strategies and other orders."""
    await served.call(pb.CreateStrategyRequest(config=config()))
    ours = [order(name, strategy="grid") for name in ("open", "short", "close", "flat", "unflat")]
    theirs = [order("theirs", strategy="other"), order("open", account_id="sim002", strategy="other")]
    await put(served, records.ORDER, *ours, *theirs)
    buy, sell = tr.DIRECTION_BUY, tr.DIRECTION_SELL
    fills = [
        trade("1", client_order_id="open", volume=5),
        trade("2", client_order_id="open", volume=1, symbol="au2606"),
        trade("3", client_order_id="short", direction=sell, volume=2),
        trade("4", client_order_id="close", direction=sell, offset=tr.OFFSET_CLOSE_TODAY, volume=1),
        trade("5", client_order_id="close", direction=sell, offset=tr.OFFSET_CLOSE, volume=1),
        trade("5", client_order_id="close", direction=buy, offset=tr.OFFSET_CLOSE_YESTERDAY, volume=1),
        trade("6", client_order_id="flat", symbol="au2608", volume=4),
        trade("7", client_order_id="unflat", symbol="au2608", direction=sell, offset=tr.OFFSET_CLOSE_TODAY, volume=4),
        trade("8", client_order_id="theirs", volume=100),
        trade("9", client_order_id="open", account_id="sim002", volume=100),
        trade("10", volume=100),
    ]
    await put(served, records.TRADE, *fills)
    assert list((await status(served)).positions) == [
        pb.StrategyPosition(account_id="sim001", symbol="au2604", long_volume=3, short_volume=1),
        pb.StrategyPosition(account_id="sim001", symbol="au2606", long_volume=1),
    ]
