"""How fast a client may be."""

from collections.abc import Callable

import pytest

from ctp_front.flow_control import FlowControl, Limits
from ctp_front.orders import Moment, Refusal

NOW, LATER = Moment("20261123", "10:00:00"), Moment("20261123", "10:00:01")


def _error(check: Callable[[], None]) -> int:
    try:
        check()
    except Refusal as refusal:
        return refusal.error_id
    return 0


def test_orders_and_cancels_are_counted_apart() -> None:
    """Each account has so many of each in a second: error 116."""
    control = FlowControl(Limits(orders_per_second=2, cancels_per_second=1))
    assert [_error(lambda: control.count_order("a", NOW)) for _ in range(3)] == [0, 0, 116]
    assert [_error(lambda: control.count_cancel("a", NOW)) for _ in range(2)] == [0, 116]
    assert _error(lambda: control.count_order("b", NOW)) == 0


def test_the_next_second_is_free() -> None:
    """Of the exchange's clock; half a second later is the same one."""
    control = FlowControl(Limits(orders_per_second=1))
    assert _error(lambda: control.count_order("a", NOW)) == 0
    assert _error(lambda: control.count_order("a", NOW._replace(millisec=500))) == 116
    assert _error(lambda: control.count_order("a", LATER)) == 0
    assert _error(lambda: control.count_order("a", NOW._replace(day="20261124"))) == 0


def test_queries_are_counted_by_session() -> None:
    """Error 90."""
    control = FlowControl(Limits(queries_per_second=1))
    assert [_error(lambda: control.count_query(1, NOW)) for _ in range(2)] == [0, 90]
    assert _error(lambda: control.count_query(2, NOW)) == 0


@pytest.mark.parametrize(("logged_in", "error"), [(1, 0), (2, 60), (3, 60)])
def test_a_user_has_so_many_sessions(logged_in: int, error: int) -> None:
    """Two here: error 60 for a third."""
    assert _error(lambda: FlowControl(Limits(sessions=2)).check_sessions(logged_in)) == error


def test_by_default_nothing_is_limited() -> None:
    """A new user is not slowed down."""
    control = FlowControl(Limits())
    for _ in range(1000):
        control.count_order("a", NOW)
        control.count_cancel("a", NOW)
        control.count_query(1, NOW)
    control.check_sessions(1000)
