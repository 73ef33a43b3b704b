"""What the conduct rules count: once each, in any order, and the same after a restart."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import DAY, desk_in, order_row, request
from trade_svc.conduct import ConductCounter

LIMITS = pb.RiskLimits(conduct_warning=0.8, max_cancels=5, large_cancel_volume=300, max_large_cancels=2)


def order(name: str, ms: int = 0, **changed: Any) -> pb.Order:
    """Give an order that was cancelled by its owner."""
    values: dict[str, Any] = {
        "symbol": "au2604",
        "volume": 1,
        "type": pb.ORDER_TYPE_LIMIT,
        "state": pb.ORDER_STATE_CANCELLED,
        "cancelled_by": "sim",
        "trading_day": DAY,
        "create_time": Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000),
    }
    return pb.Order(client_order_id=name, **{**values, **changed})


def trade(trade_id: str, direction: pb.Direction.ValueType, of: str) -> pb.Trade:
    return pb.Trade(
        trade_id=trade_id, direction=direction, symbol="au2604", trading_day=DAY, client_order_id=of, exchange="SHFE"
    )


def counted(*seen: pb.Order | pb.Trade) -> pb.Conduct:
    counter = ConductCounter(DAY)
    counter.see(seen)
    return counter.of("au2604", LIMITS)


def test_a_cancel_that_somebody_asked_for_counts_once() -> None:
    """However often it is reported."""
    assert counted(order("a"), order("a"), order("b")).cancels == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"type": pb.ORDER_TYPE_FAK},
        {"type": pb.ORDER_TYPE_FOK},
        {"type": pb.ORDER_TYPE_MARKET},
        {"cancelled_by": ""},
        {"state": pb.ORDER_STATE_FILLED},
        {"trading_day": "20261120"},
    ],
)
def test_what_the_exchange_ends_or_exempts_does_not_count(changed: dict[str, Any]) -> None:
    """SHFE does not count what a FAK or FOK leaves; the end of a day is nobody's cancel."""
    assert counted(order("a", **changed)).cancels == 0


def test_a_large_cancel_is_one_of_many_lots() -> None:
    """From the limit's own number on."""
    found = counted(order("a", volume=299), order("b", volume=300))
    assert (found.cancels, found.large_cancels) == (2, 1)
    part = counted(order("a", volume=400, filled_volume=101), order("b", volume=400, filled_volume=100))
    assert part.large_cancels == 1  # what was filled is not cancelled


async def test_a_restart_forgets_no_cancel(tmp_path: Path) -> None:
    """The counts are of the trading day, not of the process."""
    async with desk_in(tmp_path) as desk:
        await desk.trading.submit(request())
        await desk.trading.cancel("one")
        desk.hear("OnRtnOrder", order_row("5", ActiveUserID="sim"))
    async with desk_in(tmp_path, log_in=False) as desk:
        await desk.log_in(session=2, orders=[order_row("5", ActiveUserID="sim")])
        assert desk.trader.conduct.of("au2604", LIMITS).cancels == 1
        await desk.log_in(session=3, day="20261124", orders=[])
        assert desk.trader.conduct.of("au2604", LIMITS).cancels == 0


def test_a_self_trade_is_both_sides_of_one_trade() -> None:
    """They share its number; a trade with somebody else has one side here."""
    buy, sell = pb.DIRECTION_BUY, pb.DIRECTION_SELL
    assert counted(trade("1", buy, "a"), trade("1", sell, "b"), trade("2", buy, "c")).self_trades == 1
    fak = order("a", type=pb.ORDER_TYPE_FAK)
    assert counted(fak, trade("1", buy, "a"), trade("1", sell, "b")).self_trades == 0


def test_the_busiest_second_is_any_second() -> None:
    """Not one that begins with the clock's."""
    found = counted(order("a", 500), order("b", 900), order("c", 1499), order("d", 1500))
    assert found.orders_per_second == 3


def test_a_cancel_is_a_message_of_its_own() -> None:
    """Orders and cancels count together for the programme-trading rule."""
    sent = order("a", 0, cancel_time=Timestamp(nanos=300_000_000))
    assert counted(sent).orders_per_second == 2
    assert counted(order("b", 0, external=True)).orders_per_second == 0


@pytest.mark.parametrize(("cancels", "warned", "reached"), [(3, False, False), (4, True, False), (5, False, True)])
def test_a_limit_warns_before_it_is_reached(cancels: int, warned: bool, reached: bool) -> None:
    """At eight in ten, and at all of it."""
    found = counted(*(order(f"o{number}") for number in range(cancels)))
    assert (list(found.warnings), list(found.reached)) == (["max_cancels"] * warned, ["max_cancels"] * reached)


@given(st.lists(st.integers(0, 5_000), max_size=30), st.randoms())
def test_the_count_does_not_depend_on_the_order(times: list[int], chance: Any) -> None:
    """A restart sees the day's orders in another order, and ends with the same numbers."""
    seen = [order(f"o{number}", ms) for number, ms in enumerate(times)]
    shuffled = [*seen, *seen]
    chance.shuffle(shuffled)
    assert counted(*seen) == counted(*shuffled)
    most = max((sum(one <= other < one + 1000 for other in times) for one in times), default=0)
    assert counted(*seen).orders_per_second == most
