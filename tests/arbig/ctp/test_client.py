"""The vendor's callbacks as answers and pushes, in the order they came."""

import asyncio
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from arbig.ctp.client import Client
from arbig.ctp.errors import CtpError, DisconnectedError
from arbig.ctp.inbox import BATCH, Inbox
from arbig.ctp.nudge import Nudge
from arbig.ctp.spi import Answer, Link, Push, make_spi


class Api:
    """Stands for the library: notes requests, returns a code."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.requests: list[int] = []
        self.rate = 0

    def GetFrontInfo(self, info: Any) -> None:  # noqa: N802
        """Tell the front's rate."""
        info.QryFreq = self.rate

    def ReqQryOrder(self, struct: object, request_id: int) -> int:  # noqa: N802
        """Take a query."""
        self.requests.append(request_id)
        return self.codes.pop(0) if self.codes else 0


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def pushes() -> list[Push]:
    return []


@pytest.fixture
async def client(api: Api, pushes: list[Push]) -> Client:
    return Client(ModuleType("vendor"), api, pushes.append)


def answer(request_id: int, value: int, *, last: bool, error: int = 0) -> Answer:
    return Answer("OnRspQryOrder", {"value": value}, error, "no" if error else "", request_id, last)


async def test_rows_are_gathered_until_the_last(client: Client, api: Api) -> None:
    """An answer is complete at bIsLast, not before."""
    asking = asyncio.ensure_future(client.query("ReqQryOrder", None))
    await asyncio.sleep(0)
    client.take(answer(api.requests[0], 1, last=False))
    client.take(answer(api.requests[0], 2, last=True))
    assert await asking == [{"value": 1}, {"value": 2}]


async def test_an_empty_answer_is_no_rows(client: Client, api: Api) -> None:
    """CTP sends null data with bIsLast, not a zero row."""
    asking = asyncio.ensure_future(client.query("ReqQryOrder", None))
    await asyncio.sleep(0)
    client.take(Answer("OnRspQryOrder", None, 0, "", api.requests[0], last=True))
    assert await asking == []


async def test_an_answer_that_nobody_waits_for_is_a_push(client: Client, pushes: list[Push]) -> None:
    """OnRspOrderInsert is one: orders are not waited for."""
    client.take(answer(99, 1, last=True, error=31))
    assert [(push.name, push.error_id, push.request_id) for push in pushes] == [("OnRspQryOrder", 31, 99)]


async def test_nothing_is_taken_behind_a_callback_that_failed(api: Api) -> None:
    """The service ends on it: what came behind must not hide what is lost, in this batch or the next."""
    taken: list[str] = []

    def on_push(push: Push) -> None:
        if push.name == "bad":
            raise OSError("no space left")
        taken.append(push.name)

    client = Client(ModuleType("vendor"), api, on_push)
    client.take_all([Push("one", {}), Push("two", {})])
    with pytest.raises(OSError, match="no space"):
        client.take_all([Push("three", {}), Push("bad", {}), Push("four", {})])
    client.take_all([Push("five", {})])
    assert taken == ["one", "two", "three"]


async def test_nothing_is_taken_at_once_behind_what_could_not_be(client: Client) -> None:
    """The loop learns why, and the service ends on it: the vendor's thread would end the process without a word."""
    heard: list[Any] = []
    taken: list[str] = []

    def take(text: str) -> None:
        if text == "bad":
            raise OSError("no space left")
        taken.append(text)

    spi = make_spi(object, heard.append, {"OnRtnDepthMarketData": take}, simulation=False)
    for text in ("one", "bad", "two"):
        spi.OnRtnDepthMarketData(text)
    assert taken == ["one"]
    with pytest.raises(OSError, match="no space"):
        client.take_all(heard)


async def test_an_error_answer_is_raised(client: Client, api: Api) -> None:
    """With CTP's number and text."""
    asking = asyncio.ensure_future(client.query("ReqQryOrder", None))
    await asyncio.sleep(0)
    client.take(answer(api.requests[0], 1, last=True, error=3))
    with pytest.raises(CtpError, match="INVALID_LOGIN: no"):
        await asking


async def test_a_query_that_comes_too_soon_is_sent_again(client: Client, api: Api) -> None:
    """The API lets one a second through (-3), and one at a time (-2)."""
    api.codes = [-3, -2]
    asking = asyncio.ensure_future(client.query("ReqQryOrder", None))
    async with asyncio.timeout(5):
        while len(api.requests) < 3:
            await asyncio.sleep(0.01)
    client.take(answer(api.requests[-1], 1, last=True))
    assert await asking == [{"value": 1}]


@pytest.mark.parametrize(("told", "seconds"), [(4, 0.25), (0, 1.0)])
async def test_queries_keep_the_rate_that_the_front_tells(
    client: Client, api: Api, monkeypatch: pytest.MonkeyPatch, told: int, seconds: float
) -> None:
    """One a second where it tells none; the first goes at once."""
    client.structs.CThostFtdcFrontInfoField = SimpleNamespace  # type: ignore[attr-defined]
    api.rate = told
    client.pace_queries()
    waited: list[float] = []

    async def sleep(delay: float) -> None:
        waited.append(delay)

    monkeypatch.setattr("arbig.ctp.client.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    for number in range(3):
        asking = asyncio.ensure_future(client.query("ReqQryOrder", None))
        await asyncio.sleep(0)
        client.take(answer(api.requests[number], 1, last=True))
        await asking
    assert waited == pytest.approx([seconds, seconds], abs=0.1)


async def test_what_waits_for_an_answer_learns_that_the_link_broke(client: Client) -> None:
    """No answer will come on another connection."""
    client.take(Link(up=True))
    asking = asyncio.ensure_future(client.query("ReqQryOrder", None))
    await asyncio.sleep(0)
    client.take(Link(up=False, reason=0x1001))
    with pytest.raises(DisconnectedError, match="closed the connection"):
        await asking
    assert not client.up


async def test_a_misspelt_field_is_an_error(client: Client) -> None:
    """The binding itself takes it without a word."""

    class CThostFtdcQryOrderField:
        InvestorID = property(lambda _: "", lambda *_: None)

    client.structs.CThostFtdcQryOrderField = CThostFtdcQryOrderField  # type: ignore[attr-defined]
    client.struct("QryOrder", InvestorID="sim")
    with pytest.raises(AttributeError, match="InvestorId"):
        client.struct("QryOrder", InvestorId="sim")


class Info:
    """Stands for a vendor error struct."""

    ErrorID, ErrorMsg = 4040, "decode err"


@pytest.mark.parametrize(("simulation", "kind"), [(True, Link), (False, Answer)])
def test_error_4040_means_connected_in_simulation_only(simulation: bool, kind: type) -> None:
    """Live, it is a fault of the front."""
    heard: list[Any] = []
    spi = make_spi(object, heard.append, {}, simulation=simulation)
    spi.OnRspError(Info(), 0, True)
    assert [type(one) for one in heard] == [kind]


async def test_what_a_thread_puts_in_comes_out_in_order_on_the_loop() -> None:
    """All of it, in batches that let the loop do other work."""
    taken: list[list[int]] = []
    inbox: Inbox[int] = Inbox(taken.append)
    count = 3 * BATCH

    def talk() -> None:
        for number in range(count):
            inbox.put(number)

    thread = threading.Thread(target=talk)
    thread.start()
    async with asyncio.timeout(10):
        while sum(map(len, taken)) < count:
            await asyncio.sleep(0)
    thread.join()
    assert [number for batch in taken for number in batch] == list(range(count))
    assert max(map(len, taken)) <= BATCH


async def test_who_nudges_while_the_loop_works_has_it_work_again() -> None:
    """From any thread: what was left meanwhile must not wait for the next one."""
    done = asyncio.Event()
    worked: list[str] = []

    def nudge_elsewhere() -> None:
        thread = threading.Thread(target=nudge)
        thread.start()
        thread.join()

    def work() -> None:
        worked.append("all that was left")
        if len(worked) == 1:
            nudge_elsewhere()
        else:
            done.set()

    nudge = Nudge(work)
    nudge()
    nudge_elsewhere()
    async with asyncio.timeout(10):
        await done.wait()
    assert len(worked) == 2


async def test_a_nudge_that_is_closed_leaves_nothing_to_do() -> None:
    """What was asked for is done by then, and not again where all else is closed."""
    worked: list[str] = []
    nudge = Nudge(lambda: worked.append("all that was left"))
    nudge()
    nudge.close()
    assert len(worked) == 1
    nudge.close()
    await asyncio.sleep(0)
    assert len(worked) == 1
