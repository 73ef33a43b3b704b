"""The account as the service knows it: intent first, one order a request, nothing guessed."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from arbig.ctp.spi import Push
from arbig.errors import AlreadyExists, Refused, Unavailable
from arbig.market.v1.market_pb2 import Instrument
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.gateway import Login
from trade_svc.instruments import Instruments
from trade_svc.journal import Journal
from trade_svc.orders import memo_of
from trade_svc.reports import DetailRow
from trade_svc.trader import Trader

DAY = "20261123"
AU = Instrument(
    symbol="au2604", exchange="SHFE", price_tick=0.02, min_limit_order_volume=1, max_limit_order_volume=9, trading=True
)


class Exchange:
    """Stands for the gateway: notes what is sent, and what the journal knew of it by then."""

    def __init__(self, journal: Journal) -> None:
        self.sent: list[tuple[str, bool]] = []
        self.cancelled: list[str] = []
        self.code = 0
        self._journal = journal

    def insert(self, order: pb.Order) -> tuple[int, int]:
        """Take an order."""
        on_disk = self._journal.feed.head > 0
        self.sent.append((order.client_order_id, on_disk))
        return self.code, len(self.sent)

    def cancel(self, order: pb.Order) -> int:
        """Take a cancel."""
        self.cancelled.append(order.client_order_id)
        return self.code


class Desk:
    """A trader that is READY, its journal and its exchange."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path, asyncio.get_running_loop())
        self.instruments = Instruments(epoch=1)
        self.instruments.load([AU])
        self.exchange = Exchange(self.journal)
        self.trader = Trader("sim", self.journal, self.instruments)

    def log_in(self, session: int = 1, day: str = DAY, orders: list[dict[str, Any]] | None = None) -> None:
        """Log in, and load what the broker says."""
        self.trader.begin_session(self.exchange, Login(day, 1, session, 0))  # type: ignore[arg-type]
        self.trader.load_orders(orders or [])
        self.trader.load_trades([])
        assert not self.trader.load_positions([])
        self.trader.set_readiness(pb.READINESS_READY, "")

    def hear(self, name: str, row: dict[str, Any], error: int = 0) -> None:
        """Let CTP say something."""
        self.trader.on_push(Push(name, row, error, "no" if error else ""))


@contextmanager
def desk_in(directory: Path, *, log_in: bool = True) -> Iterator[Desk]:
    """Give a desk, logged in unless told otherwise, on the journal of a directory."""
    desk = Desk(directory / "journal.db")
    with closing(desk.journal):
        if log_in:
            desk.log_in()
        yield desk


def request(name: str = "one", **changed: Any) -> pb.SubmitOrderRequest:
    values: dict[str, Any] = {"direction": pb.DIRECTION_BUY, "offset": pb.OFFSET_OPEN, "price": 800.0, "volume": 2}
    return pb.SubmitOrderRequest(client_order_id=name, symbol="au2604", **{**values, **changed})


def order_row(status: str = "3", traded: int = 0, ref: str = "1", session: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "InvestorID": "sim",
        "InstrumentID": "au2604",
        "ExchangeID": "SHFE",
        "Direction": "0",
        "CombOffsetFlag": "0",
        "LimitPrice": 800.0,
        "VolumeTotalOriginal": 2,
        "TradingDay": DAY,
        "FrontID": 1,
        "SessionID": session,
        "OrderRef": ref,
        "OrderSysID": "   7",
        "OrderMemo": "",
        "OrderStatus": status,
        "OrderSubmitStatus": "3",
        "VolumeTraded": traded,
        "StatusMsg": "",
        **changed,
    }


def trade_row(volume: int = 2, trade_id: str = "1", **changed: Any) -> dict[str, Any]:
    return {
        "InvestorID": "sim",
        "TradingDay": DAY,
        "ExchangeID": "SHFE",
        "TradeID": trade_id,
        "Direction": "0",
        "OrderSysID": "   7",
        "InstrumentID": "au2604",
        "OffsetFlag": "0",
        "Price": 800.0,
        "Volume": volume,
        "TradeDate": DAY,
        "TradeTime": "09:00:01",
        **changed,
    }


async def test_the_intent_is_on_disk_before_anything_is_sent(tmp_path: Path) -> None:
    """A crash between the two leaves an order that we know of, never one that we do not."""
    with desk_in(tmp_path) as desk:
        await desk.trader.submit(request())
        assert desk.exchange.sent == [("one", True)]


async def test_the_same_request_again_sends_nothing(tmp_path: Path) -> None:
    """Also while the first is still being written."""
    with desk_in(tmp_path) as desk:
        first, second = await asyncio.gather(desk.trader.submit(request()), desk.trader.submit(request()))
        third = await desk.trader.submit(request())
        assert first.order_ref == second.order_ref == third.order_ref
        assert len(desk.exchange.sent) == 1


async def test_the_same_request_on_a_later_day_sends_nothing(tmp_path: Path) -> None:
    """The id is the order's for ever, also when memory has forgotten it."""
    with desk_in(tmp_path) as desk:
        await desk.trader.submit(request())
        desk.hear("OnRtnOrder", order_row("5"))
        desk.log_in(session=2, day="20261124")
        assert "one" not in desk.trader.book.orders
        assert (await desk.trader.submit(request())).state == pb.ORDER_STATE_CANCELLED
        with pytest.raises(AlreadyExists):
            await desk.trader.submit(request(volume=1))
        assert len(desk.exchange.sent) == 1


async def test_a_known_order_is_answered_also_when_not_ready(tmp_path: Path) -> None:
    """A caller that repeats a broken call learns what became of it."""
    with desk_in(tmp_path) as desk:
        await desk.trader.submit(request())
        desk.trader.set_readiness(pb.READINESS_DISCONNECTED, "gone")
        assert (await desk.trader.submit(request())).client_order_id == "one"
        with pytest.raises(Unavailable, match="not READY but DISCONNECTED: gone"):
            await desk.trader.submit(request("two"))
        assert len(desk.exchange.sent) == 1


async def test_a_link_that_breaks_before_the_send_means_not_sent(tmp_path: Path) -> None:
    """It is certain, so it is said; and it does not go out later."""
    with desk_in(tmp_path) as desk:
        sending = asyncio.ensure_future(desk.trader.submit(request()))
        while "one" not in desk.trader.book.orders:
            await asyncio.sleep(0)
        desk.trader.end_session()
        desk.log_in(session=2)
        order = await sending
        assert order.state == pb.ORDER_STATE_REJECTED
        assert desk.exchange.sent == []


async def test_what_the_library_does_not_take_is_refused_with_its_code(tmp_path: Path) -> None:
    """A non-zero return means that nothing left."""
    with desk_in(tmp_path) as desk:
        desk.exchange.code = -3
        order = await desk.trader.submit(request())
        assert (order.state, order.error_id) == (pb.ORDER_STATE_REJECTED, -3)


@pytest.mark.parametrize(("name", "memo"), [("OnRspOrderInsert", ""), ("OnErrRtnOrderInsert", memo_of("one"))])
async def test_ctps_refusal_ends_the_order(name: str, memo: str, tmp_path: Path) -> None:
    """Both callbacks come, in any order; the second says nothing new."""
    with desk_in(tmp_path) as desk:
        order = await desk.trader.submit(request())
        desk.hear(name, {"OrderRef": order.order_ref, "OrderMemo": memo}, 31)
        assert (order.state, order.error_id) == (pb.ORDER_STATE_REJECTED, 31)


async def test_the_refusal_of_another_terminals_order_is_not_ours(tmp_path: Path) -> None:
    """The push names an OrderRef, but not the session it belongs to."""
    with desk_in(tmp_path) as desk:
        order = await desk.trader.submit(request())
        desk.hear("OnErrRtnOrderInsert", {"OrderRef": order.order_ref, "OrderMemo": ""}, 31)
        assert order.state == pb.ORDER_STATE_PENDING_NEW


async def test_an_error_without_a_field_finds_its_order_by_the_request(tmp_path: Path) -> None:
    """OnRspError carries the request id alone."""
    with desk_in(tmp_path) as desk:
        order = await desk.trader.submit(request())
        desk.trader.on_push(Push("OnRspError", {}, 90, "busy", 1))
        assert order.state == pb.ORDER_STATE_REJECTED


async def test_a_restart_knows_what_it_does_not_know(tmp_path: Path) -> None:
    """An intent without an answer is UNKNOWN until a later session tells."""
    with desk_in(tmp_path) as desk:
        await desk.trader.submit(request("there"))
        await desk.trader.submit(request("never"))
    with desk_in(tmp_path, log_in=False) as desk:
        states = {one.client_order_id: one.state for one in desk.trader.book.orders.values()}
        assert set(states.values()) == {pb.ORDER_STATE_UNKNOWN}
        desk.log_in(session=2, orders=[order_row("3", ref="1")])
        assert desk.trader.book.orders["there"].state == pb.ORDER_STATE_ACCEPTED
        assert desk.trader.book.orders["never"].state == pb.ORDER_STATE_REJECTED
        assert desk.exchange.sent == []


async def test_a_trade_moves_the_position_once(tmp_path: Path) -> None:
    """The private flow repeats the whole day at every login."""
    with desk_in(tmp_path) as desk:
        await desk.trader.submit(request())
        desk.hear("OnRtnOrder", order_row("0", traded=2))
        for _ in range(3):
            desk.hear("OnRtnTrade", trade_row())
        (position,) = desk.trader.list_positions()
        assert position.today == 2


async def test_nothing_is_traded_while_the_positions_disagree(tmp_path: Path) -> None:
    """The difference is named with both sides' numbers."""
    with desk_in(tmp_path) as desk:
        row = DetailRow("au2604", "SHFE", pb.POSITION_SIDE_LONG, DAY, "1", 800.0, 1, 0)
        (line,) = desk.trader.load_positions([row])
        assert "au2604 long yesterday/today 0/0, the broker has [0, 1]" in line


async def test_a_close_of_lots_that_we_do_not_have_stops_trading(tmp_path: Path) -> None:
    """Our picture is wrong; it is loaded again before the next order."""
    with desk_in(tmp_path) as desk:
        await desk.trader.submit(request())
        desk.hear("OnRtnOrder", order_row("0", traded=2))
        desk.hear("OnRtnTrade", trade_row(OffsetFlag="3", Direction="1"))
        assert not desk.trader.loaded
        with pytest.raises(Unavailable, match="closes 2 au2604, 0 held"):
            await desk.trader.submit(request("two"))


async def test_a_cancel_is_a_wish_until_the_exchange_answers(tmp_path: Path) -> None:
    """And a refused one gives the order back its state."""
    with desk_in(tmp_path) as desk:
        order = await desk.trader.submit(request())
        desk.hear("OnRtnOrder", order_row("3"))
        await desk.trader.cancel("one")
        assert order.state == pb.ORDER_STATE_PENDING_CANCEL
        row = {
            "FrontID": 1,
            "SessionID": 1,
            "OrderRef": "1",
            "ExchangeID": "SHFE",
            "OrderSysID": "   7",
            "OrderMemo": "",
        }
        desk.hear("OnRspOrderAction", row, 26)
        assert order.state == pb.ORDER_STATE_ACCEPTED
        desk.hear("OnRtnOrder", order_row("5"))
        with pytest.raises(Refused, match="CANCELLED already"):
            await desk.trader.cancel("one")


async def test_a_trading_day_that_begins_unannounced_is_noticed(tmp_path: Path) -> None:
    """The first report of the new day may come before the login's answer is handled."""
    with desk_in(tmp_path) as desk:
        await desk.trader.submit(request())
        desk.hear("OnRtnOrder", order_row("5"))
        desk.hear("OnRtnOrder", order_row("3", ref="9", session=5, TradingDay="20261124"))
        assert desk.trader.trading_day == "20261124"
        assert list(desk.trader.book.orders) == ["EXT.20261124.1.5.9"]
