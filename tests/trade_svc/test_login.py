"""How the trade service gets from a connection to the day's books, and when it stops trying."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from arbig.config import Ctp
from arbig.ctp.client import Client
from arbig.ctp.errors import CtpError
from arbig.ctp.spi import Link
from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import DAY, Desk, desk_in
from trade_svc.gateway import Gateway
from trade_svc.main import why_not_ready
from trade_svc.session import Session
from trade_svc.tries import LoginTries

LOGIN = {"TradingDay": DAY, "FrontID": 1, "SessionID": 1, "MaxOrderRef": ""}


class Wire(Client):
    """Stands for the connection: answers requests as it is told, and notes the readiness at each."""

    def __init__(self, desk: Desk, **answers: Any) -> None:
        super().__init__(Any, None, lambda _: None)  # type: ignore[arg-type]
        self.asked: list[tuple[str, str]] = []
        self._desk = desk
        self._answers = {"ReqUserLogin": [LOGIN], **answers}
        self.take(Link(up=True))

    def struct(self, name: str, **values: Any) -> Any:
        """Give what would be sent."""
        return values

    def pace_queries(self) -> None:
        """Note that the rate was asked for; here there is none."""
        self._note("GetFrontInfo")
        self._query_seconds = 0.0

    async def request(self, method: str, struct: Any) -> list[dict[str, Any]]:
        """Answer."""
        self._note(method)
        answer = self._answers.get(method, [])
        if isinstance(answer, CtpError):
            raise answer
        rows: list[dict[str, Any]] = answer
        return rows

    def _note(self, method: str) -> None:
        readiness = pb.Readiness.Name(self._desk.trader.readiness).removeprefix("READINESS_")
        self.asked.append((method, readiness))


@contextlib.asynccontextmanager
async def keeping(session: Session) -> AsyncIterator[asyncio.Task[None]]:
    """Keep a session for as long as the context lasts."""
    task = asyncio.create_task(session.keep())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def session_of(desk: Desk, wire: Wire, directory: Path) -> Session:
    gateway = Gateway(wire, Ctp())
    return Session(desk.trading, gateway, LoginTries(directory / "refused.json", gateway.credentials, 2))


@pytest.mark.parametrize("confirmed", [True, False])
async def test_each_step_of_the_login_is_a_state_of_its_own(tmp_path: Path, *, confirmed: bool) -> None:
    """Who looks at it sees which step the front does not answer; a confirmed settlement is not called unconfirmed."""
    async with desk_in(tmp_path, log_in=False) as desk:
        rows = [{"ConfirmDate": DAY}] if confirmed else []
        wire = Wire(desk, ReqQrySettlementInfoConfirm=rows)
        async with keeping(session_of(desk, wire, tmp_path)), asyncio.timeout(5):
            while desk.trader.readiness != pb.READINESS_READY:
                await asyncio.sleep(0.01)
    steps = [
        ("ReqAuthenticate", "CONNECTED"),
        ("ReqUserLogin", "AUTHENTICATED"),
        ("GetFrontInfo", "AUTHENTICATED"),
        ("ReqQrySettlementInfoConfirm", "LOGGED_IN"),
        ("ReqSettlementInfoConfirm", "SETTLEMENT_UNCONFIRMED"),
        ("ReqQryInstrument", "LOADING"),
    ]
    assert wire.asked[: len(steps) - confirmed] == [step for step in steps if not confirmed or "_UNC" not in step[1]]


async def test_a_login_that_was_refused_too_often_is_not_sent_by_a_restarted_service(tmp_path: Path) -> None:
    """Each start tries once, until the budget of the day is spent; then none asks the front for anything."""
    async with desk_in(tmp_path, log_in=False) as desk:
        wires = [Wire(desk, ReqUserLogin=CtpError(3, "wrong password")) for _ in range(3)]
        for wire in wires:
            await session_of(desk, wire, tmp_path).keep()
            assert desk.trader.readiness == pb.READINESS_LOCKED_OUT
        assert [len(wire.asked) for wire in wires] == [2, 2, 0]
        assert "refused 2 logins today, the last by CTP error 3 INVALID_LOGIN: wrong password" in desk.trader.reason
        assert str(tmp_path / "refused.json") in desk.trader.reason


async def test_a_login_that_a_later_try_can_mend_is_not_counted(tmp_path: Path) -> None:
    """The front was not open yet, or busy: that says nothing of the password."""
    async with desk_in(tmp_path, log_in=False) as desk:
        wire = Wire(desk, ReqUserLogin=CtpError(7, "not yet"))
        async with keeping(session_of(desk, wire, tmp_path)), asyncio.timeout(5):
            while desk.trader.readiness != pb.READINESS_DISCONNECTED or not wire.asked:
                await asyncio.sleep(0.01)
    assert not (tmp_path / "refused.json").exists()


async def test_a_login_that_succeeds_forgets_the_refusals(tmp_path: Path) -> None:
    """One refusal of yesterday's typing must not count against tomorrow's."""
    async with desk_in(tmp_path, log_in=False) as desk:
        await session_of(desk, Wire(desk, ReqUserLogin=CtpError(3, "no")), tmp_path).keep()
        assert (tmp_path / "refused.json").exists()
        async with keeping(session_of(desk, Wire(desk), tmp_path)), asyncio.timeout(5):
            while desk.trader.readiness != pb.READINESS_READY:
                await asyncio.sleep(0.01)
    assert not (tmp_path / "refused.json").exists()


async def test_the_health_check_says_the_readiness_and_its_reason(tmp_path: Path) -> None:
    """Nothing but READY is healthy."""
    async with desk_in(tmp_path) as desk:
        assert why_not_ready(desk.trader) == ""
        desk.trader.set_readiness(pb.READINESS_LOCKED_OUT, "wrong password")
        assert why_not_ready(desk.trader) == "LOCKED_OUT: wrong password"
