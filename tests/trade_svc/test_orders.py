"""The order book of record against the official callback scenarios, in any order and repeated."""

import itertools
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.orders import OrderBook, memo_of
from trade_svc.reports import OrderReport, SessionKey

NOW = Timestamp(seconds=1)
DAY = "20261123"
LATER = SessionKey(1, 78, "")
SYS_ID = "         131"


def book_with(order_id: str = "one", volume: int = 10) -> OrderBook:
    book = OrderBook()
    book.add(
        pb.Order(
            client_order_id=order_id,
            symbol="au2604",
            exchange="SHFE",
            volume=volume,
            trading_day=DAY,
            front_id=1,
            session_id=77,
            order_ref="5",
            state=pb.ORDER_STATE_PENDING_NEW,
        )
    )
    return book


def report(status: str, traded: int = 0, submit: str = "3", **changed: Any) -> OrderReport:
    base = OrderReport(
        session=SessionKey(1, 77, "5"),
        exchange="SHFE",
        order_sys_id="" if status == "a" else SYS_ID,
        memo="",
        status=status,
        submit_status=submit,
        traded=traded,
        text="",
        cancelled_by="",
        order=pb.Order(symbol="au2604", volume=10, trading_day=DAY, exchange="SHFE"),
    )
    return base._replace(**changed)


def fill(trade_id: str, volume: int, price: float = 800.0) -> pb.Trade:
    return pb.Trade(
        trading_day=DAY,
        exchange="SHFE",
        trade_id=trade_id,
        direction=pb.DIRECTION_BUY,
        order_sys_id=SYS_ID,
        symbol="au2604",
        price=price,
        volume=volume,
    )


def feed(book: OrderBook, *happened: OrderReport | pb.Trade) -> list[str]:
    """Apply callbacks and give the states that the order went through."""
    states = []
    for one in happened:
        if isinstance(one, pb.Trade):
            copied = pb.Trade()
            copied.CopyFrom(one)
            book.trade(copied, NOW)
        else:
            book.apply(one, NOW)
        states.append(pb.OrderState.Name(book.orders["one"].state).removeprefix("ORDER_STATE_"))
    return [state for state, _ in itertools.groupby(states)]


U, N, F = report("a", submit="0"), report("3"), report("0", 10)


@pytest.mark.parametrize(
    ("callbacks", "states"),
    [
        ([U, N, N, F, fill("1", 10)], "SUBMITTED ACCEPTED FILLED"),
        ([U, U, F, fill("1", 10)], "SUBMITTED ACCEPTED FILLED"),
        ([U, N, N, report("5")], "SUBMITTED ACCEPTED CANCELLED"),
        (
            [U, N, N, report("1", 3), fill("1", 3), report("1", 3), F, fill("2", 7)],
            "SUBMITTED ACCEPTED PARTIALLY_FILLED FILLED",
        ),
        (
            [U, N, N, report("1", 4), fill("1", 4), report("1", 4), report("5", 4)],
            "SUBMITTED ACCEPTED PARTIALLY_FILLED CANCELLED",
        ),
        ([U, U, report("5", 4), report("5", 4), fill("1", 4)], "SUBMITTED ACCEPTED CANCELLED"),
        ([U, N, F, fill("1", 10)], "SUBMITTED ACCEPTED FILLED"),
        ([U, N, report("1", 4), fill("1", 4), report("5", 4)], "SUBMITTED ACCEPTED PARTIALLY_FILLED CANCELLED"),
        ([U, N, N, report("1", 4), fill("1", 4), report("5", 4)], "SUBMITTED ACCEPTED PARTIALLY_FILLED CANCELLED"),
        ([U, report("5", submit="4", order_sys_id="")], "SUBMITTED REJECTED"),
    ],
    ids=["rests, fills", "fills at once", "cancelled", "part, rest", "part, cancelled", "SHFE cancel before its trades",
         "DCE", "DCE FAK", "CZCE FAK", "refused by the exchange"],
)  # fmt: skip
def test_the_official_scenarios(callbacks: list[OrderReport | pb.Trade], states: str) -> None:
    """Each sequence of the vendor's manual goes through these states."""
    assert feed(book_with(), *callbacks) == states.split()


def test_all_traded_is_not_filled_before_its_trades_are_here() -> None:
    """An order report may run ahead of the trades; a close sent on it can fail."""
    book = book_with()
    assert feed(book, U, N, F)[-1] == "ACCEPTED"
    assert feed(book, fill("1", 4))[-1] == "PARTIALLY_FILLED"
    assert feed(book, fill("2", 6))[-1] == "FILLED"


@given(st.data())
def test_any_order_and_any_repetition_ends_the_same(data: st.DataObject) -> None:
    """Callbacks may come twice, late, or in any order."""
    happened: list[OrderReport | pb.Trade] = [U, N, report("1", 4), fill("1", 4), F, fill("2", 6)]
    again = data.draw(st.lists(st.sampled_from(range(len(happened)))))
    order = data.draw(st.permutations(list(range(len(happened))) + again))
    book = book_with()
    feed(book, *(happened[number] for number in order))
    ended = book.orders["one"]
    assert (ended.state, ended.filled_volume, ended.average_price) == (pb.ORDER_STATE_FILLED, 10, 800.0)


def test_a_repeated_report_is_no_event() -> None:
    """Followers hear of changes, not of repetitions."""
    book = book_with()
    assert book.apply(N, NOW)
    assert not book.apply(N, NOW)
    book.apply(F, NOW)
    assert not book.apply(N, NOW)
    assert book.trade(fill("1", 10), NOW)
    assert not book.trade(fill("1", 10), NOW)


def test_trade_ids_repeat_in_the_two_sides_of_a_self_trade() -> None:
    """Both are booked."""
    book = book_with()
    feed(book, U, N)
    sold = fill("1", 5)
    sold.direction = pb.DIRECTION_SELL
    feed(book, fill("1", 5), sold)
    assert len(book.trades) == 2


def test_a_trade_number_of_an_earlier_day_is_another_trade() -> None:
    """Exchanges begin to count anew each day."""
    book = book_with()
    feed(book, U, N, fill("1", 4))
    later = fill("1", 6)
    later.trading_day = "20261124"
    assert feed(book, later) == ["FILLED"]


def test_an_exchanges_number_names_an_order_of_that_exchange_alone() -> None:
    """Another exchange may have given the same number to another order."""
    book = book_with()
    feed(book, U, N)
    crude = report("3", exchange="INE", session=SessionKey(1, 78, "1"))
    crude.order.symbol, crude.order.exchange = "sc2701", "INE"
    book.apply(crude, NOW)
    traded = fill("1", 4)
    traded.exchange = "INE"
    (order, _) = book.trade(traded, NOW)
    assert (order.symbol if isinstance(order, pb.Order) else "") == "sc2701"
    assert book.orders["one"].filled_volume == 0


@pytest.mark.parametrize("status", ["2", "4", "5"])
def test_what_does_not_queue_any_more_is_cancelled(status: str) -> None:
    """CTP has three words for it; each waits for the trades that it counts."""
    assert feed(book_with(), U, N, report(status, 4), fill("1", 4)) == ["SUBMITTED", "ACCEPTED", "CANCELLED"]


def test_the_count_of_traded_lots_never_falls() -> None:
    """An older report that comes late would end the order before its last trades."""
    book = book_with()
    assert feed(book, U, report("5", 4), report("1", 2), fill("1", 2))[-1] == "PARTIALLY_FILLED"
    assert feed(book, fill("2", 2)) == ["CANCELLED"]


@pytest.mark.parametrize("who", ["sim", ""])
def test_who_cancelled_an_order_is_known(who: str) -> None:
    """CTP names the user; nobody is named where the exchange ended it, and a later report does not unsay it."""
    book = book_with()
    feed(book, U, N, report("5", cancelled_by=who), N, report("5"))
    assert book.orders["one"].cancelled_by == who


def test_a_trade_without_its_order_is_held_until_the_order_comes() -> None:
    """It is not lost, and not booked on nothing."""
    book = book_with()
    assert book.trade(fill("1", 4), NOW) == []
    changed = book.apply(report("1", 4), NOW)
    assert [type(one).__name__ for one in changed] == ["Order", "Trade"]
    assert book.orders["one"].filled_volume == 4


def test_a_trade_whose_order_nobody_knows_is_booked_after_the_query() -> None:
    """The position moved, whoever moved it."""
    book = OrderBook()
    book.trade(fill("1", 4), NOW)
    assert [trade.trade_id for trade in book.book_orphans()] == ["1"]
    assert not book.trade(fill("1", 4), NOW)


def test_an_order_of_another_terminal_is_adopted() -> None:
    """Its lots are ours all the same."""
    book = OrderBook()
    (order,) = book.apply(report("3"), NOW)
    assert isinstance(order, pb.Order)
    assert order.external
    assert order.client_order_id == f"EXT.{DAY}.1.77.5"


def test_the_memo_finds_the_order_when_the_session_ids_were_given_anew() -> None:
    """A flow clear at the broker hands out FrontID and SessionID again."""
    book = book_with()
    book.apply(report("3", session=SessionKey(2, 1, "9"), memo=memo_of("one")), NOW)
    assert list(book.orders) == ["one"]
    assert book.orders["one"].state == pb.ORDER_STATE_ACCEPTED


def test_a_refused_cancel_gives_the_order_back_its_state() -> None:
    """It works on as before."""
    book = book_with()
    feed(book, U, N)
    order = book.orders["one"]
    book.cancel_sent(order, NOW)
    assert feed(book, N) == ["PENDING_CANCEL"]
    assert book.cancel_refused(order, "CTP:not found", NOW)
    assert order.state == pb.ORDER_STATE_ACCEPTED


def test_a_report_of_a_refused_cancel_gives_the_order_back_its_state() -> None:
    """The exchange may say so by the order itself."""
    book = book_with()
    feed(book, U, N)
    book.cancel_sent(book.orders["one"], NOW)
    assert feed(book, report("3", submit="1")) == ["PENDING_CANCEL"]
    assert feed(book, report("3", submit="5")) == ["ACCEPTED"]


def test_a_fill_overtakes_the_cancel() -> None:
    """The exchange filled it before our cancel arrived."""
    book = book_with()
    feed(book, U, N)
    book.cancel_sent(book.orders["one"], NOW)
    assert feed(book, fill("1", 10)) == ["FILLED"]


def test_what_no_answer_came_for_is_unknown_when_the_link_breaks() -> None:
    """It may be at the exchange or not: nobody guesses."""
    book = book_with()
    assert [order.state for order in book.lose_link(NOW)] == [pb.ORDER_STATE_UNKNOWN]
    assert book.lose_link(NOW) == []


def test_an_order_that_rests_stays_known_when_the_link_breaks() -> None:
    """The exchange answered it."""
    book = book_with()
    feed(book, U, N)
    assert book.lose_link(NOW) == []


@pytest.mark.parametrize(("status", "state"), [("a", "UNKNOWN"), ("b", "SUBMITTED"), ("c", "CANCELLED")])
def test_a_condition_order_that_waits_for_its_price_is_known(status: str, state: str) -> None:
    """CTP has answered it, and how long the price takes nobody knows; what it makes then is another order."""
    book = OrderBook()
    (order,) = book.apply(report(status, order_sys_id="TJBD_1"), NOW)
    book.overdue(Timestamp(seconds=60), Timestamp(seconds=70))
    book.lose_link(NOW)
    assert isinstance(order, pb.Order)
    assert pb.OrderState.Name(order.state) == f"ORDER_STATE_{state}"
    assert list(book.working()) == ([] if state == "CANCELLED" else [order])


def test_presence_resolves_unknown_at_once() -> None:
    """A report is proof."""
    book = book_with()
    book.lose_link(NOW)
    assert feed(book, U) == ["SUBMITTED"]


def test_absence_from_a_later_sessions_query_means_never_sent() -> None:
    """The session that could have sent it is over."""
    book = book_with()
    book.lose_link(NOW)
    (order,) = book.resolve(DAY, LATER, NOW)
    assert order.state == pb.ORDER_STATE_REJECTED


def test_absence_proves_nothing_in_the_session_that_sent_the_order() -> None:
    """It may still be on its way."""
    book = book_with()
    assert book.resolve(DAY, SessionKey(1, 77, ""), NOW) == []


def test_an_order_of_an_earlier_day_stays_unknown() -> None:
    """No query shows it any more; the operator decides."""
    book = book_with()
    book.lose_link(NOW)
    book.begin_day("20261124")
    assert book.resolve("20261124", LATER, NOW) == []
    assert book.orders["one"].state == pb.ORDER_STATE_UNKNOWN


def test_a_final_order_of_an_earlier_day_is_forgotten_and_its_names_too() -> None:
    """Session ids and sys ids repeat on another day."""
    book = book_with()
    feed(book, U, report("5"))
    book.begin_day("20261124")
    assert not book.orders
    assert book.find(SessionKey(1, 77, "5"), "SHFE", SYS_ID, memo_of("one")) is None
