"""How fast a client may be: orders, cancels and queries a second, and sessions of a user.

Orders and cancels are counted apart, for the account; queries for the session. A second is one of
the exchange's clock, so that a replay and a test need no waiting.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple

from ctp_front import refusals
from ctp_front.orders import Moment, Refusal


class Limits(NamedTuple):
    """What is allowed; 0 is any number."""

    orders_per_second: int = 0
    cancels_per_second: int = 0
    queries_per_second: int = 0
    sessions: int = 0


class FlowControl:
    """Counts what each account and session does in the present second."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._second: tuple[str, str] = ("", "")
        self._counts: dict[Hashable, int] = {}

    @property
    def queries_per_second(self) -> int:
        """How many queries a session may send in a second; 0 is any number."""
        return self._limits.queries_per_second

    def count_order(self, account_id: str, now: Moment) -> None:
        """Raise the refusal of one order too many."""
        self._count(("order", account_id), self._limits.orders_per_second, now, refusals.too_many_orders)

    def count_cancel(self, account_id: str, now: Moment) -> None:
        """Raise the refusal of one cancel too many."""
        self._count(("cancel", account_id), self._limits.cancels_per_second, now, refusals.too_many_orders)

    def count_query(self, session_id: int, now: Moment) -> None:
        """Raise the refusal of one query too many."""
        self._count(("query", session_id), self._limits.queries_per_second, now, refusals.too_many_queries)

    def check_sessions(self, logged_in: int) -> None:
        """Raise the refusal of a login where the user is logged in so often already."""
        if self._limits.sessions and logged_in >= self._limits.sessions:
            raise refusals.too_many_sessions()

    def _count(self, key: Hashable, limit: int, now: Moment, refusal: Callable[[], Refusal]) -> None:
        if not limit:
            return
        if self._second != now[:2]:
            self._second = (now.day, now.time)
            self._counts.clear()
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] > limit:
            raise refusal()
