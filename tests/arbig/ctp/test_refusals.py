"""What may be asked again, and what must not."""

from types import ModuleType

import pytest

from arbig.ctp.client import Client
from arbig.ctp.errors import CtpError


@pytest.mark.parametrize("error", [7, 8, 60, 90])
def test_a_login_that_the_front_is_not_ready_for_may_be_tried_again(error: int) -> None:
    """At the edges of a session fronts answer so, and are right a minute later."""
    assert CtpError(error, "").transient


@pytest.mark.parametrize("error", [3, 4, 11, 12, 49, 63, 64, 75, 131, 140, 141, 143, 144])
def test_a_login_that_is_refused_for_what_it_says_is_not_repeated(error: int) -> None:
    """Each try would bring the account nearer to being locked."""
    assert not CtpError(error, "").transient


async def test_a_query_without_a_link_is_not_repeated() -> None:
    """-1 does not pass by waiting: whoever asks begins again with the next login."""
    asked: list[int] = []

    class Api:
        def ReqQryOrder(self, _: object, request_id: int) -> int:  # noqa: N802
            asked.append(request_id)
            return -1

    client = Client(ModuleType("vendor"), Api(), lambda _: None)
    with pytest.raises(CtpError, match="no connection to the front"):
        await client.query("ReqQryOrder", None)
    assert len(asked) == 1
