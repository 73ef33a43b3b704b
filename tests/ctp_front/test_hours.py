"""When the exchange is open, and what that means for orders."""

import contextlib
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from arbig.config import Front
from ctp_front import hours
from ctp_front.exchange import Exchange
from ctp_front.faults import Faults
from ctp_front.floor import Floor
from ctp_front.hours import Change, Timetable
from ctp_front.ledger import Ledger
from ctp_front.orders import SELL, Moment, Order, Refusal, Trade
from ctp_front.prices import Generated
from tests.ctp_front.makers import FAK, FOK, NOW, SESSION, cancel, depth, exchange, request, told


def test_golds_day_is_the_one_that_the_exchange_lists() -> None:
    """Night and day open with an auction; the day has two breaks."""
    assert [tuple(change) for change in hours.timetable("au")] == [
        ("20:55:00", "3"),
        ("20:59:00", "5"),
        ("21:00:00", "2"),
        ("02:30:00", "1"),
        ("08:55:00", "3"),
        ("08:59:00", "5"),
        ("09:00:00", "2"),
        ("10:15:00", "1"),
        ("10:30:00", "2"),
        ("11:30:00", "1"),
        ("13:30:00", "2"),
        ("15:00:00", "6"),
    ]


@pytest.mark.parametrize(
    ("time", "status"),
    [("20:54:59", "1"), ("23:59:59", "2"), ("00:00:00", "2"), ("02:30:00", "1"), ("14:59:59", "2"), ("20:00:00", "6")],
)
def test_a_status_holds_until_the_next(time: str, status: str) -> None:
    """Over midnight too."""
    assert hours.status_at("au", time) == status


def test_no_change_is_lost_in_a_jump() -> None:
    """From the end of the night to the morning's start: closed, auction, match, open."""
    day = Timetable(["au"])
    assert day.pass_to(Moment("20261124", "02:29:59")) == [("au", ("02:29:59", "2"))]
    changes = day.pass_to(Moment("20261124", "09:00:00"))
    assert [change.status for _, change in changes] == ["1", "3", "5", "2"]
    assert day.pass_to(Moment("20261124", "09:00:01")) == []


def test_a_clock_that_is_set_back_tells_what_is_so() -> None:
    """On command the day may be played again."""
    day = Timetable(["au"])
    day.pass_to(Moment("20261124", "11:30:00"))
    assert day.pass_to(Moment("20261124", "10:00:00")) == [("au", ("10:00:00", "2"))]
    assert [change.status for _, change in day.pass_to(Moment("20261124", "10:20:00"))] == ["1"]


def test_products_open_and_close_in_the_order_of_time() -> None:
    """Rebar's night ends before gold's."""
    day = Timetable(["rb", "au"])
    day.pass_to(Moment("20261123", "22:00:00"))
    changes = day.pass_to(Moment("20261124", "03:00:00"))
    assert [(product, change.time) for product, change in changes] == [("rb", "23:00:00"), ("au", "02:30:00")]


def test_the_weekend_is_closed() -> None:
    """Friday's night ends on Saturday, and the same trading day goes on on Monday, without a night."""
    day = Timetable(["au"])
    day.pass_to(Moment("20261127", "21:00:00"))
    assert day.pass_to(Moment("20261128", "02:30:00")) == [("au", ("02:30:00", "1"))]
    for date, time in (("20261128", "09:00:00"), ("20261129", "21:00:00"), ("20261130", "01:00:00")):
        assert day.pass_to(Moment(date, time)) == []
    assert [change.status for _, change in day.pass_to(Moment("20261130", "09:00:00"))] == ["3", "5", "2"]
    assert Timetable(["au"]).pass_to(Moment("20261128", "10:00:00")) == [("au", ("10:00:00", "1"))]


def test_apples_have_no_night() -> None:
    """Their day begins with the morning's auction."""
    assert hours.status_at("AP", "22:00:00") == hours.NO_TRADING
    assert hours.timetable("AP")[0] == ("08:55:00", hours.AUCTION_ORDERING)


def _snapshots(hours_kept: str, *moments: tuple[str, str]) -> list[bool]:
    source = Generated(Front(hours=hours_kept), None)
    return [not source.is_quiet(Moment(day, time)) for day, time in moments]


def test_the_generator_shows_prices_while_gold_trades() -> None:
    """And one snapshot for each auction, whose match it is."""
    times = ["20:54:59", "20:55:00", "20:59:00", "20:59:01", "21:00:00"]
    assert _snapshots("keep", *(("20261124", time) for time in times)) == [False, False, True, False, True]
    assert _snapshots("keep", ("20261128", "10:00:00"), ("20261124", "10:20:00")) == [False, False]


def test_by_default_the_generator_never_stops() -> None:
    """A new user's first minute is alive, on a Saturday too."""
    assert _snapshots("auto", ("20261128", "10:00:00"), ("20261124", "10:20:00")) == [True, True]


EVENINGS = (
    ("20261128", "10:00:01"),
    ("20261128", "09:00:00"),  # shown on command
    ("20261128", "20:29:59"),
    ("20261128", "20:30:00"),
    ("20261129", "09:00:00"),
    ("20261129", "20:29:59"),
    ("20261129", "20:30:01"),
    ("20261130", "08:00:00"),
)


def test_what_never_closes_says_so_anew_every_evening(tmp_path: Path) -> None:
    """A status holds for a trading day; on a weekend no day begins."""
    with contextlib.closing(Ledger(tmp_path / "exchange.sqlite")) as ledger:
        floor = Floor(exchange(), ledger, "sim", Faults(), keeps_hours=False)
        floor.open_market(Moment("20261128", "10:00:00"))
        told = []
        for day, time in EVENINGS:
            floor.pass_time(Moment(day, time))
            told.append(len(floor._public))
    assert told == [1, 1, 1, 2, 2, 2, 3, 3]


def test_a_day_that_is_cut_off_closes_at_its_own_last_time(tmp_path: Path) -> None:
    """The snapshot that begins the next day is of the evening, which the old day has had."""
    with contextlib.closing(Ledger(tmp_path / "exchange.sqlite")) as ledger:
        floor = Floor(exchange(), ledger, "sim", Faults(), keeps_hours=True)
        floor.open_market(Moment("20260310", "09:30:00"))
        floor.pass_time(Moment("20260310", "10:05:07"))
        with mock.patch.object(floor, "_set_status") as said:
            floor.change_day("20260311", {}, Moment("20260310", "21:00:00"))
        changes = [call.args[1] for call in said.call_args_list]
        assert changes == [Change("10:05:07", hours.CLOSED), Change("21:00:00", hours.CONTINUOUS)]


def _market(status: str) -> Exchange:
    market = exchange()
    market.apply(depth(bids=[(799.98, 9)], asks=[(800.0, 9)], volume=100))
    market.set_status("au", status)
    return market


@pytest.mark.parametrize("status", [hours.NO_TRADING, hours.AUCTION_MATCH, hours.CLOSED])
def test_a_closed_exchange_refuses_orders_and_cancels(status: str) -> None:
    """The exchange says so itself, with its own number."""
    market = _market(hours.CONTINUOUS)
    *_, resting = market.insert(SESSION, request(price=790.0), NOW)
    assert isinstance(resting, Order)
    market.set_status("au", status)
    *_, order = market.insert(SESSION, request(), NOW)
    assert isinstance(order, Order)
    assert (order.status, order.submit_status, order.error_id, order.sys_id) == ("5", "4", 26, "")
    assert order.message == "已撤单报单被拒绝SHFE:当前状态禁止此项操作"
    with pytest.raises(Refusal) as refused:
        market.cancel("sim001", cancel(resting), "sim001", NOW)
    assert refused.value.by_exchange


def test_an_auction_gathers_orders() -> None:
    """They rest whatever is displayed, and can be cancelled."""
    market = _market(hours.AUCTION_ORDERING)
    *_, order = market.insert(SESSION, request(price=810.0), NOW)
    assert isinstance(order, Order)
    assert order.status == "3"
    assert market.apply(depth(asks=[(800.0, 9)], volume=200)) == []
    assert told(market.cancel("sim001", cancel(order), "sim001", NOW)) == "n c"


@pytest.mark.parametrize("kind", [FAK, FOK])
def test_an_auction_takes_no_fak_or_fok(kind: dict[str, Any]) -> None:
    """The exchange refuses it: there is nothing yet to trade with at once."""
    *_, order = _market(hours.AUCTION_ORDERING).insert(SESSION, request(**kind), NOW)
    assert isinstance(order, Order)
    assert (order.submit_status, order.error_id) == ("4", 26)


def test_the_match_fills_at_the_auctions_price() -> None:
    """What reaches it, the best price first, up to what was traded; the rest goes on resting."""
    market = _market(hours.AUCTION_ORDERING)
    for reference, price in (("1", 801.0), ("2", 803.0), ("3", 800.98)):
        market.insert(SESSION, request(price=price, volume=2, order_ref=reference), NOW)
    market.insert(SESSION, request(SELL, 800.0, order_ref="4"), NOW)
    market.set_status("au", hours.AUCTION_MATCH)
    reports = market.apply(depth(last=801.0, volume=103))
    assert told(reports) == "n f T n p T n f T"
    trades = [(trade.order_ref, trade.price, trade.volume) for trade in reports if isinstance(trade, Trade)]
    assert trades == [("2", 801.0, 2), ("1", 801.0, 1), ("4", 801.0, 1)]
    market.set_status("au", hours.CONTINUOUS)
    assert told(market.apply(depth(asks=[(800.9, 9)], volume=103))) == "p f T n f T"


def test_an_auction_without_trades_fills_nothing() -> None:
    """The last price is an older one."""
    market = _market(hours.AUCTION_ORDERING)
    market.insert(SESSION, request(price=810.0), NOW)
    market.set_status("au", hours.AUCTION_MATCH)
    assert market.apply(depth(last=800.0, volume=100)) == []
