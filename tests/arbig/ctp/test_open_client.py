"""How the library is set up: what it is told before it connects, and how it ends."""

import asyncio
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from arbig.config import Ctp
from arbig.ctp.client import open_client

RESTART, RESUME = 0, 1


class Api:
    """Stands for a TraderApi: notes what is called, in order."""

    def __init__(self) -> None:
        self.called: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.called.append((name, *args))

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """Give the calls of these names."""
        return [call for call in self.called if call[0] in names]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """Put a library in the place of the vendor's."""
    made, vendor = Api(), ModuleType("openctp_ctp")

    def create(flow: str, production: bool) -> Api:
        made.called.append(("Create", flow, production))
        return made

    trader = SimpleNamespace(
        CThostFtdcTraderSpi=type("Spi", (), {"OnRtnTrade": None}),
        CThostFtdcTraderApi=SimpleNamespace(CreateFtdcTraderApi=create),
    )
    monkeypatch.setattr(vendor, "tdapi", trader, raising=False)
    monkeypatch.setitem(sys.modules, "openctp_ctp", vendor)
    return made


async def opened(directory: Path, *, simulation: bool, fronts: str = "tcp://front:1", production: bool = True) -> None:
    ctp = Ctp(broker_id="9999", account_id="one", production=production)
    async with open_client("trade", directory, ctp, fronts, simulation=simulation, on_push=lambda _: None):
        pass


@pytest.mark.parametrize(("simulation", "topic"), [(False, RESTART), (True, RESUME)])
async def test_a_broker_tells_the_whole_day_again_at_each_login(
    simulation: bool, topic: int, api: Api, tmp_path: Path
) -> None:
    """The library's own count of what it has heard fails after a flow clear; the local front has its reason."""
    await opened(tmp_path, simulation=simulation)
    names = ("SubscribePrivateTopic", "SubscribePublicTopic", "RegisterFront", "Init")
    assert api.of(*names) == [
        ("SubscribePrivateTopic", topic),
        ("SubscribePublicTopic", topic),
        ("RegisterFront", "tcp://front:1"),
        ("Init",),
    ]


@pytest.mark.parametrize("simulation", [False, True])
async def test_the_flow_directory_is_there_and_in_simulation_empty(simulation: bool, api: Api, tmp_path: Path) -> None:
    """Without one the library crashes; with an old one it would not hear the day again from the local front."""
    old = tmp_path / "flow" / "9999.one" / "old.con"
    old.parent.mkdir(parents=True)
    old.touch()
    await opened(tmp_path, simulation=simulation)
    assert api.of("Create") == [("Create", f"{tmp_path}/flow/9999.one/", True)]
    assert old.parent.is_dir()
    assert old.exists() is not simulation


async def test_a_flow_of_another_account_is_left_alone(api: Api, tmp_path: Path) -> None:
    """Two accounts on one would corrupt each other's."""
    other = tmp_path / "flow" / "9999.two" / "private.con"
    other.parent.mkdir(parents=True)
    other.touch()
    await opened(tmp_path, simulation=True)
    assert other.exists()
    assert [call[1] for call in api.of("Create")] == [f"{tmp_path}/flow/9999.one/"]


async def test_the_library_may_choose_of_several_fronts(api: Api, tmp_path: Path) -> None:
    """It turns to another one where the first does not answer."""
    await opened(tmp_path, simulation=False, fronts="tcp://a:1,tcp://b:2")
    assert [call[1] for call in api.of("RegisterFront")] == ["tcp://a:1", "tcp://b:2"]


async def test_an_evaluation_front_is_no_production(api: Api, tmp_path: Path) -> None:
    """The library takes another key for it."""
    await opened(tmp_path, simulation=False, production=False)
    assert [call[2] for call in api.of("Create")] == [False]


async def test_the_library_is_released_without_a_listener(api: Api, tmp_path: Path) -> None:
    """Leaving without Release crashes, Join hangs, and a callback meanwhile would find nobody."""
    await opened(tmp_path, simulation=False)
    assert api.of("RegisterSpi")[-1] == ("RegisterSpi", None)
    assert api.called[-1] == ("Release",)
    assert not api.of("Join")


async def test_nothing_comes_behind_the_end(api: Api, tmp_path: Path) -> None:
    """What a push is to change may be closed by then, and the library is gone; the next login tells it again."""
    came: list[Any] = []
    async with open_client("trade", tmp_path, Ctp(), "tcp://front:1", simulation=True, on_push=came.append):
        spi = api.of("RegisterSpi")[0][1]
        spi.OnRtnTrade(object())
        await asyncio.sleep(0)
        assert len(came) == 1
        spi.OnRtnTrade(object())
    await asyncio.sleep(0)
    assert len(came) == 1
