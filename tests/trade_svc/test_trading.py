"""What callers ask, in the order that keeps it safe: on disk first, sent once, nothing guessed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arbig.ctp.errors import DisconnectedError
from arbig.ctp.spi import Push
from arbig.errors import AlreadyExists, Refused, Unavailable
from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import DAY, account_row, desk_in, detail_row, order_row, request, trade_row
from trade_svc.orders import memo_of
from trade_svc.trader import Login


async def test_the_intent_is_on_disk_before_anything_is_sent(tmp_path: Path) -> None:
    """A crash between the two leaves an order that we know of, never one that we do not."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        assert desk.front.sent == [("one", True)]


async def test_the_same_request_again_sends_nothing(tmp_path: Path) -> None:
    """Also while the first is still being written."""
    async with desk_in(tmp_path) as desk:
        first, second = await asyncio.gather(desk.trading.submit(request()), desk.trading.submit(request()))
        third = await desk.trading.submit(request())
        assert first.order_ref == second.order_ref == third.order_ref
        assert len(desk.front.sent) == 1


async def test_the_same_request_on_a_later_day_sends_nothing(tmp_path: Path) -> None:
    """The id is the order's for ever, also when memory has forgotten it."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("5"))
        await desk.log_in(session=2, day="20261124")
        assert "one" not in desk.trader.book.orders
        assert (await desk.trading.submit(request())).state == pb.ORDER_STATE_CANCELLED
        with pytest.raises(AlreadyExists):
            await desk.trading.submit(request(volume=1))
        assert len(desk.front.sent) == 1


async def test_a_known_order_is_answered_also_when_not_ready(tmp_path: Path) -> None:
    """A caller that repeats a broken call learns what became of it."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.trader.set_readiness(pb.READINESS_DISCONNECTED, "gone")
        assert (await desk.trading.submit(request())).client_order_id == "one"
        with pytest.raises(Unavailable, match="not READY but DISCONNECTED: gone"):
            await desk.trading.submit(request("two"))
        assert len(desk.front.sent) == 1


async def test_a_link_that_breaks_before_the_send_means_not_sent(tmp_path: Path) -> None:
    """It is certain, so it is said; and it does not go out later."""
    async with desk_in(tmp_path) as desk:
        sending = asyncio.ensure_future(desk.trading.submit(request()))
        while "one" not in desk.trader.book.orders:
            await asyncio.sleep(0)
        desk.trading.end_session()
        await desk.log_in(session=2)
        order = await sending
        assert order.state == pb.ORDER_STATE_REJECTED
        assert desk.front.sent == []


async def test_what_the_library_does_not_take_is_refused_with_its_code(tmp_path: Path) -> None:
    """A non-zero return means that nothing left."""
    async with desk_in(tmp_path) as desk:
        desk.front.code = -3
        order = await desk.trading.submit(request())
        assert (order.state, order.error_id) == (pb.ORDER_STATE_REJECTED, -3)


@pytest.mark.parametrize(("name", "memo"), [("OnRspOrderInsert", ""), ("OnErrRtnOrderInsert", memo_of("one"))])
async def test_ctps_refusal_ends_the_order(name: str, memo: str, tmp_path: Path) -> None:
    """Both callbacks come, in any order; the second says nothing new."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.hear(name, {"OrderRef": order.order_ref, "OrderMemo": memo}, 31)
        assert (order.state, order.error_id) == (pb.ORDER_STATE_REJECTED, 31)


async def test_the_refusal_of_another_terminals_order_is_not_ours(tmp_path: Path) -> None:
    """The push names an OrderRef, but not the session it belongs to."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.hear("OnErrRtnOrderInsert", {"OrderRef": order.order_ref, "OrderMemo": ""}, 31)
        assert order.state == pb.ORDER_STATE_PENDING_NEW


async def test_an_error_without_a_field_finds_its_order_by_the_request(tmp_path: Path) -> None:
    """OnRspError carries the request id alone."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.trading.on_push(Push("OnRspError", {}, 90, "busy", 1))
        assert order.state == pb.ORDER_STATE_REJECTED


async def test_a_restart_knows_what_it_does_not_know(tmp_path: Path) -> None:
    """An intent without an answer is UNKNOWN until a later session tells."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request("there"))
        await desk.trading.submit(request("never"))
    async with desk_in(tmp_path, log_in=False) as desk:
        states = {one.client_order_id: one.state for one in desk.trader.book.orders.values()}
        assert set(states.values()) == {pb.ORDER_STATE_UNKNOWN}
        await desk.log_in(session=2, orders=[order_row("3", ref="1")])
        assert desk.trader.book.orders["there"].state == pb.ORDER_STATE_ACCEPTED
        assert desk.trader.book.orders["never"].state == pb.ORDER_STATE_REJECTED
        assert desk.front.sent == []


async def test_a_trade_moves_the_position_once(tmp_path: Path) -> None:
    """The private flow repeats the whole day at every login."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("0", traded=2))
        for _ in range(3):
            desk.hear("OnRtnTrade", trade_row())
        (position,) = desk.trader.positions()
        assert position.today == 2


async def test_an_order_report_moves_no_position(tmp_path: Path) -> None:
    """It may run ahead of CTP's own books: a close that is sent on it can fail."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("0", traded=2))
        assert not any(position.today for position in desk.trader.positions())
        out = request("out", direction=pb.DIRECTION_SELL, offset=pb.OFFSET_CLOSE_TODAY, price=800.02)
        with pytest.raises(Refused, match="0 free"):
            await desk.trading.submit(out)
        desk.hear("OnRtnTrade", trade_row())
        await desk.trading.submit(out)


async def test_order_references_go_on_behind_the_days_largest(tmp_path: Path) -> None:
    """CTP refuses one that does not go up in its session (error 22)."""
    async with desk_in(tmp_path) as desk:
        desk.trader.begin_session(Login(DAY, 1, 2, 41))
        await desk.trading.agree()
        await desk.trading.submit(request("one"))
        await desk.trading.submit(request("two", price=799.98))
        assert [order.order_ref for order in desk.front.orders_sent] == ["42", "43"]


async def test_nothing_is_traded_while_the_positions_disagree(tmp_path: Path) -> None:
    """The difference is named with both sides' numbers."""
    async with desk_in(tmp_path, log_in=False) as desk:
        found = await desk.log_in(details=[detail_row(1)])
        (difference,) = found.differences
        assert (difference.what, difference.ours, difference.broker) == ("position au2604 LONG today", "0", "1")
        with pytest.raises(Unavailable):
            await desk.trading.submit(request())


async def test_a_close_of_lots_that_we_do_not_have_stops_trading(tmp_path: Path) -> None:
    """Our picture is wrong; it is loaded again before the next order."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("0", traded=2))
        desk.hear("OnRtnTrade", trade_row(OffsetFlag="3", Direction="1"))
        assert not desk.trader.portfolio.loaded
        with pytest.raises(Unavailable, match="closes 2 au2604, 0 held"):
            await desk.trading.submit(request("two"))


@pytest.mark.parametrize("name", ["OnRspOrderAction", "OnErrRtnOrderAction"])
async def test_a_cancel_is_a_wish_until_the_exchange_answers(name: str, tmp_path: Path) -> None:
    """And a refused one gives the order back its state; each callback may come alone."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("3"))
        await desk.trading.cancel("one")
        assert order.state == pb.ORDER_STATE_PENDING_CANCEL
        row = {
            "FrontID": 1,
            "SessionID": 1,
            "OrderRef": "1",
            "ExchangeID": "SHFE",
            "OrderSysID": "   7",
            "OrderMemo": "",
        }
        desk.hear(name, row, 26)
        assert order.state == pb.ORDER_STATE_ACCEPTED
        desk.hear("OnRtnOrder", order_row("5"))
        with pytest.raises(Refused, match="CANCELLED already"):
            await desk.trading.cancel("one")


async def test_a_trading_day_that_begins_unannounced_is_noticed(tmp_path: Path) -> None:
    """The first report of the new day may come before the login's answer is handled."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("5"))
        desk.hear("OnRtnOrder", order_row("3", ref="9", session=5, TradingDay="20261124"))
        assert desk.trader.trading_day == "20261124"
        assert list(desk.trader.book.orders) == ["EXT.20261124.1.5.9"]


async def test_an_emergency_stop_halts_and_cancels_all(tmp_path: Path) -> None:
    """Orders of other terminals too; what cannot be cancelled is named, and calling again tries again."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("3"))
        desk.hear("OnRtnOrder", order_row("3", ref="9", session=5, OrderSysID="   8"))
        reply = await desk.trading.emergency_stop("fat finger")
        assert sorted(reply.cancelling) == [f"EXT.{DAY}.1.5.9", "one"]
        assert (desk.trader.state.state, desk.trader.state.reason) == (pb.TRADING_STATE_HALTED, "fat finger")
        desk.front.code = -3
        assert [one.reason for one in (await desk.trading.emergency_stop("")).not_cancelled] == [
            "the CTP library returned -3"
        ] * 2
        with pytest.raises(Refused, match="halted"):
            await desk.trading.submit(request("two"))


async def test_an_emergency_stop_without_a_link_halts_all_the_same(tmp_path: Path) -> None:
    """It says what may still be working."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.trader.set_readiness(pb.READINESS_DISCONNECTED, "gone")
        (left,) = (await desk.trading.emergency_stop("")).not_cancelled
        assert (left.client_order_id, left.reason) == ("one", "not READY but DISCONNECTED: gone")
        assert desk.trader.state.state == pb.TRADING_STATE_HALTED


async def test_an_order_on_its_way_to_the_disk_is_stopped_too(tmp_path: Path) -> None:
    """The stop comes between its intent and its send: it is not sent, and says so."""
    async with desk_in(tmp_path) as desk:
        sending = asyncio.ensure_future(desk.trading.submit(request()))
        while "one" not in desk.trader.book.orders:
            await asyncio.sleep(0)
        await desk.trading.emergency_stop("now")
        order = await sending
        assert (order.state, order.status_text) == (pb.ORDER_STATE_REJECTED, "not sent: trading was stopped")
        assert desk.front.sent == []


async def test_an_order_that_no_answer_comes_for_becomes_unknown(tmp_path: Path) -> None:
    """0 from the library means written, not received: then the broker is asked, and nothing is guessed."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.clock.ms += 9_000
        assert not desk.trading.look_for_overdue(10)
        desk.clock.ms += 2_000
        assert desk.trading.look_for_overdue(10)
        assert order.state == pb.ORDER_STATE_UNKNOWN
        await desk.trading.agree()  # the same session does not prove that it never arrives
        assert order.state == pb.ORDER_STATE_UNKNOWN
        desk.front.rows["orders"] = [order_row("3")]
        await desk.trading.agree()
        assert order.state == pb.ORDER_STATE_ACCEPTED


async def test_how_long_ctp_took_to_take_an_order_is_told(tmp_path: Path) -> None:
    """Beyond its packets a second CTP answers late and without an error; other terminals' orders tell nothing."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        assert desk.trader.answer_ms is None
        desk.clock.ms += 940
        for session in (1, 2):
            desk.hear("OnRtnOrder", order_row("a", OrderSysID="", session=session))
            assert desk.trader.answer_ms == 940
            desk.clock.ms += 500
        desk.hear("OnRtnOrder", order_row("3"))
        assert desk.trader.answer_ms == 940


async def test_an_order_that_ctp_only_repeats_stays_unknown(tmp_path: Path) -> None:
    """CTP has it, the exchange says nothing: asking again and again makes no events; it can be cancelled."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("a", OrderSysID=""))
        desk.clock.ms += 11_000
        assert desk.trading.look_for_overdue(10)
        desk.front.rows["orders"] = [order_row("a", OrderSysID="")]
        await desk.trading.keep([])
        head = desk.journal.feed.head
        for _ in range(3):
            await desk.trading.agree()
            assert desk.trading.look_for_overdue(10)
            assert order.state == pb.ORDER_STATE_UNKNOWN
        await desk.trading.keep([])
        assert desk.journal.feed.head == head
        assert (await desk.trading.cancel("one")).state == pb.ORDER_STATE_PENDING_CANCEL
        desk.hear("OnRtnOrder", order_row("5"))
        assert order.state == pb.ORDER_STATE_CANCELLED


async def test_a_refusal_is_belied_by_what_the_exchange_has(tmp_path: Path) -> None:
    """Presence is proof: an order that works is not called refused."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.hear("OnErrRtnOrderInsert", {"OrderRef": "1", "OrderMemo": memo_of("one")}, 31)
        assert order.state == pb.ORDER_STATE_REJECTED
        desk.hear("OnRtnOrder", order_row("a", OrderSysID=""))
        assert order.state == pb.ORDER_STATE_REJECTED  # an older report, repeated
        desk.hear("OnRtnOrder", order_row("3"))
        assert order.state == pb.ORDER_STATE_ACCEPTED


async def test_a_field_that_the_library_does_not_take_is_no_order(tmp_path: Path, monkeypatch: Any) -> None:
    """The caller hears it, and the order says that it was not sent."""
    async with desk_in(tmp_path) as desk:

        def too_long(_: pb.Order) -> tuple[int, int]:
            raise TypeError("InstrumentID too long")

        monkeypatch.setattr(desk.front, "insert", too_long)
        with pytest.raises(TypeError):
            await desk.trading.submit(request())
        order = desk.trader.book.orders["one"]
        assert (order.state, order.status_text) == (pb.ORDER_STATE_REJECTED, "not sent: InstrumentID too long")


async def test_a_memo_of_another_terminal_is_not_our_order(tmp_path: Path) -> None:
    """A flow clear at CTP gives our session's names to others: the memo tells them apart."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("3", OrderMemo="SOMEBODYELSE"))
        assert order.state == pb.ORDER_STATE_PENDING_NEW
        assert [one.external for one in desk.trader.book.orders.values()] == [False, True]


async def test_what_the_broker_lacks_is_named(tmp_path: Path) -> None:
    """Orders, trades and money are compared too, not the lots alone."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("0", traded=2))
        desk.hear("OnRtnTrade", trade_row())
        desk.front.rows["details"] = [detail_row(2)]
        desk.front.money = account_row(Commission=123.0)
        found = await desk.log_in(session=2)
        assert [(one.what, one.ours, one.broker) for one in found.differences] == [
            ("order one", "at the exchange", "not there"),
            ("trade 1", "known", "not there"),
            ("account commission", "20.00", "123.00"),
        ]


async def test_what_the_broker_has_and_we_did_not_is_adopted_and_said(tmp_path: Path) -> None:
    """Trades that came while we were away, and orders of other terminals."""
    async with desk_in(tmp_path, log_in=False) as desk:
        rows: Any = {
            "orders": [order_row("0", 2, ref="9", session=5)],
            "trades": [trade_row()],
            "details": [detail_row(2)],
        }
        desk.front.money = account_row(Commission=20.0)
        found = await desk.log_in(**rows)
        assert not found.differences
        assert list(found.adopted) == [f"EXT.{DAY}.1.5.9", "trade 1"]
        (position,) = desk.trader.positions()
        assert (position.today, position.margin) == (2, 160_000.0)


async def test_lots_that_were_closed_wholly_are_known_from_the_position(tmp_path: Path) -> None:
    """No detail row shows them any more, and the close would find none."""
    async with desk_in(tmp_path, log_in=False) as desk:
        sold: Any = {"Direction": "1", "OffsetFlag": "1"}
        opening = {
            "InstrumentID": "au2604",
            "ExchangeID": "SHFE",
            "PosiDirection": "2",
            "YdPosition": 2,
            "PreSettlementPrice": 790.0,
        }
        rows: Any = {
            "orders": [order_row("0", 2, ref="9", session=5, Direction="1", CombOffsetFlag="1")],
            "trades": [trade_row(**sold)],
            "positions": [opening],
        }
        desk.front.money = account_row(Commission=20.0, CloseProfit=20_000.0)
        assert not (await desk.log_in(**rows)).differences
        (position,) = desk.trader.positions()
        assert (position.yesterday, position.close_profit) == (0, 20_000.0)


async def test_answers_of_an_older_session_are_not_taken_in(tmp_path: Path) -> None:
    """They may be of another trading day."""
    async with desk_in(tmp_path) as desk:

        async def slow() -> dict[str, Any]:
            desk.trader.begin_session(Login("20261124", 1, 2, 0))
            return account_row()

        desk.front.account = slow  # type: ignore[method-assign]
        with pytest.raises(DisconnectedError, match="another session"):
            await desk.trading.agree()


async def test_an_order_that_is_taken_for_the_next_day_belongs_to_it(tmp_path: Path) -> None:
    """CTP's day is the right one."""
    async with desk_in(tmp_path) as desk:
        order = await desk.trading.submit(request())
        desk.hear("OnRtnOrder", order_row("3", TradingDay="20261124", OrderMemo=memo_of("one")))
        assert (order.trading_day, desk.trader.trading_day) == ("20261124", "20261124")
