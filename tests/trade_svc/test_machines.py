"""The order book of record and the position ledger, driven by machines that know the truth."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import DAY
from trade_svc.orders import FINAL, OrderBook, derive, memo_of
from trade_svc.positions import PositionError, Positions, SideKey, count
from trade_svc.reports import OrderReport, SessionKey

NOW = Timestamp(seconds=1)
GOLD = SideKey("au2604", "SHFE", pb.POSITION_SIDE_LONG)


class BookMachine(RuleBasedStateMachine):
    """An exchange that does what it likes with one order, and tells of it late, twice, and in any order."""

    told = Bundle("told")

    def __init__(self) -> None:
        super().__init__()
        self.book = OrderBook()
        self.order = pb.Order(
            client_order_id="one",
            symbol="au2604",
            exchange="SHFE",
            volume=6,
            trading_day=DAY,
            front_id=1,
            session_id=77,
            order_ref="5",
            state=pb.ORDER_STATE_PENDING_NEW,
        )
        self.book.add(self.order)
        self.traded = 0
        self.accepted = self.ended = self.refused = False
        self.trades: list[pb.Trade] = []
        self.ends: list[tuple[int, int]] = []

    def _report(self, status: str, submit: str = "3", **changed: Any) -> OrderReport:
        return OrderReport(
            session=SessionKey(1, 77, "5"),
            exchange="SHFE",
            order_sys_id="" if status == "a" or submit == "4" else "   131",
            memo=memo_of("one"),
            status=status,
            submit_status=submit,
            traded=self.traded,
            text="",
            cancelled_by="",
            order=pb.Order(symbol="au2604", volume=6, trading_day=DAY, exchange="SHFE"),
        )._replace(**changed)

    @rule(target=told)
    def accept(self) -> object:
        """CTP has it."""
        return self._report("a", "0", traded=0)

    @rule(target=told)
    def rest(self) -> object:
        """Let it rest, or tell what it is."""
        if self.refused or self.ended:
            return self._report("a", "0", traded=0)
        self.accepted = True
        return self._report("1" if self.traded else "3")

    @rule(target=told, volume=st.integers(1, 3))
    def fill(self, volume: int) -> object:
        """Trade some lots."""
        if self.refused or self.ended or self.traded + volume > 6:
            return self._report("a", "0", traded=0)
        self.accepted = True
        self.traded += volume
        trade = pb.Trade(
            trading_day=DAY,
            exchange="SHFE",
            trade_id=str(len(self.trades)),
            direction=pb.DIRECTION_BUY,
            order_sys_id="   131",
            symbol="au2604",
            price=800.0,
            volume=volume,
        )
        self.trades.append(trade)
        self.ended = self.traded == 6
        return trade

    @rule(target=told)
    def end(self) -> object:
        """Cancel the rest; at SHFE that is said before the trades are."""
        if self.refused:
            return self._report("5", "4")
        if self.traded < 6:
            self.accepted = self.ended = True
            return self._report("5")
        return self._report("0")

    @rule(target=told)
    def refuse(self) -> object:
        """Refuse it, where it was not taken."""
        if self.accepted:
            return self._report("a", "0", traded=0)
        self.refused = True
        return self._report("5", "4")

    @rule(one=told)
    def hear(self, one: OrderReport | pb.Trade) -> None:
        """Something is heard, perhaps again."""
        before = (self.order.state, self.order.filled_volume)
        if isinstance(one, pb.Trade):
            copied = pb.Trade()
            copied.CopyFrom(one)
            self.book.trade(copied, NOW)
        else:
            self.book.apply(one, NOW)
        if before[0] in FINAL:
            self.ends.append((before[0], self.order.state))

    @rule()
    def lose(self) -> None:
        """Break the link."""
        self.book.lose_link(NOW)

    @invariant()
    def nothing_is_made_up(self) -> None:
        """No lots that were not traded, and no end that did not happen."""
        assert self.order.filled_volume <= self.traded
        if self.order.state == pb.ORDER_STATE_FILLED:
            assert self.traded == 6
        if self.order.state == pb.ORDER_STATE_CANCELLED:
            assert self.ended
        if self.order.state == pb.ORDER_STATE_REJECTED:
            assert self.refused

    @invariant()
    def the_state_follows_from_what_is_known(self) -> None:
        """Look at all states but what was done about them."""
        if self.order.state != pb.ORDER_STATE_UNKNOWN:
            assert self.order.state == derive(self.order)

    def teardown(self) -> None:
        """At last everything is heard: then the book is right."""
        for trade in self.trades:
            copied = pb.Trade()
            copied.CopyFrom(trade)
            self.book.trade(copied, NOW)
        self.book.apply(self.end() if self.ended or self.refused else self.rest(), NOW)  # type: ignore[arg-type]
        for trade in self.book.book_orphans():
            raise AssertionError(f"an orphan was left: {trade}")
        assert self.order.filled_volume == self.traded
        wanted = (
            pb.ORDER_STATE_REJECTED
            if self.refused
            else pb.ORDER_STATE_FILLED
            if self.traded == 6
            else pb.ORDER_STATE_CANCELLED
            if self.ended
            else pb.ORDER_STATE_PARTIALLY_FILLED
            if self.traded
            else pb.ORDER_STATE_ACCEPTED
        )
        assert self.order.state == wanted


class LedgerMachine(RuleBasedStateMachine):
    """Lots of one side against a plain list of them."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = Positions()
        self.yesterday: list[float] = []
        self.today: list[float] = []
        self.won = 0.0
        self.number = 0

    def _trade(self, offset: pb.Offset.ValueType, volume: int, price: float) -> pb.Trade:
        self.number += 1
        direction = pb.DIRECTION_BUY if offset == pb.OFFSET_OPEN else pb.DIRECTION_SELL
        return pb.Trade(
            symbol="au2604", exchange="SHFE", direction=direction, offset=offset, volume=volume, price=price,
            trade_id=str(self.number),
        )  # fmt: skip

    @rule(volume=st.integers(1, 5), price=st.integers(700, 900))
    def open(self, volume: int, price: int) -> None:
        """Lots are opened."""
        self.positions.apply(self._trade(pb.OFFSET_OPEN, volume, price))
        self.today += [float(price)] * volume

    @rule(volume=st.integers(1, 5), price=st.integers(700, 900), of_today=st.booleans())
    def close(self, volume: int, price: int, of_today: bool) -> None:
        """Lots are closed, the oldest of their kind first; what is not there cannot be."""
        lots = self.today if of_today else self.yesterday
        trade = self._trade(pb.OFFSET_CLOSE_TODAY if of_today else pb.OFFSET_CLOSE, volume, price)
        if volume > len(lots):
            try:
                self.positions.apply(trade)
            except PositionError:
                return
            raise AssertionError("lots were closed that were not there")
        self.positions.apply(trade)
        self.won += sum(price - cost for cost in lots[:volume])
        del lots[:volume]

    @invariant()
    def the_ledger_is_the_list(self) -> None:
        """Lots, what they cost and what was won."""
        holding = self.positions.holding(GOLD)
        assert (count(holding.yesterday), count(holding.today)) == (len(self.yesterday), len(self.today))
        assert sum(lot.cost_price * lot.volume for lot in holding.lots) == sum(self.yesterday + self.today)
        assert holding.won == self.won


TestBook = BookMachine.TestCase
TestLedger = LedgerMachine.TestCase
TestBook.settings = TestLedger.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
