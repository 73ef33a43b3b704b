"""What the front does on command, and what it makes of a bad command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.ctp_front.processes import Front, front, until, vendor
from tests.ctp_front.test_recording import row, write

BAD = [
    ("ShowDepth", {"symbol": "au2812"}, "symbol"),
    ("ShowDepth", {"symbol": "au2612", "time": "25:00:00"}, "time"),
    ("ShowDepth", {"symbol": "au2612", "traded": -1}, "traded"),
    ("ShowDepth", {"symbol": "au2612", "bids": [{"price": 800.0, "volume": 1}] * 6}, "bids"),
    ("ShowDepth", {"symbol": "au2612", "asks": [{"price": 800.0}]}, "asks"),
    ("ShowDepth", {"symbol": "au2612", "asks": [{"price": float("nan"), "volume": 1}]}, "asks"),
    ("ShowDepth", {"symbol": "au2612", "last": float("inf")}, "last"),
    ("DropConnections", {}, "front"),
    ("DisturbCallbacks", {}, "disturbance"),
    ("DisturbCallbacks", {"disturbance": 9}, "disturbance"),
    ("DisturbCallbacks", {"disturbance": 1, "callback": 9}, "callback"),
    ("SpoilAnswers", {}, "answer"),
    ("SpoilAnswers", {"answer": "ANSWER_ERROR"}, "error_id"),
    ("SpoilAnswers", {"answer": 1, "request": 9}, "request"),
    ("RefuseLogins", {}, "error_id"),
    ("SetRefusalForm", {}, "form"),
]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Run a front whose recording is one row."""
    directory = tmp_path_factory.mktemp("commands")
    recording = write(directory / "one.csv", row("10:00:00", "800.00"))
    with front(directory, replay=[str(recording)], speed="max") as made:
        until(lambda: made.status().published == 1, "the row")
        yield made


@pytest.mark.parametrize(("method", "values", "field"), BAD)
def test_a_bad_command_is_refused_with_its_field(
    exchange: Front, method: str, values: dict[str, Any], field: str
) -> None:
    """It does nothing."""
    with pytest.raises(grpc.RpcError, match=f'details = "{field}: ') as refused:
        exchange.command(method, **values)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_shown_depth_is_sent_to_who_has_subscribed(exchange: Front, tmp_path: Path) -> None:
    """With the book that was shown, and its time; what was not said is as it was."""
    with vendor("market", exchange.market, tmp_path) as client:
        client.wait("OnRspError")
        client.call("ReqUserLogin", "ReqUserLogin")
        client.wait("OnRspUserLogin")
        client.symbols("SubscribeMarketData", "au2612")
        client.wait("OnRtnDepthMarketData")
        exchange.command("ShowDepth", symbol="au2612", bids=[{"price": 799.0, "volume": 3}], time="10:01:00", traded=5)
        tick = client.wait("OnRtnDepthMarketData")["args"][0]
        assert (tick["BidPrice1"], tick["BidVolume1"], tick["LastPrice"]) == (799.0, 3, 800.0)
        assert (tick["UpdateTime"], tick["Volume"]) == ("10:01:00", 5)
        exchange.command("DropConnections", front="FRONT_MARKET")
        client.wait("OnFrontDisconnected")


def test_a_delay_ends_by_itself(exchange: Front, tmp_path: Path) -> None:
    """After the milliseconds of the command."""
    with vendor("trade", exchange.trade, tmp_path) as client:
        client.login()
        exchange.command("DisturbCallbacks", disturbance="DISTURBANCE_DELAY", count=2, milliseconds=50)
        client.order(1, 790.0, InstrumentID="au2612")
        client.wait("OnRtnOrder")


def test_a_day_that_was_changed_on_command_survives_a_kill(tmp_path: Path) -> None:
    """The generator goes on with it, though the real clock is behind."""
    with front(tmp_path) as exchange:
        today = exchange.status().trading_day
        trading_day = exchange.command("ChangeDay").trading_day
        exchange.kill()
        exchange.start()
        assert exchange.status().trading_day == trading_day > today
        published = exchange.status().published
        until(lambda: exchange.status().published > published, "a snapshot")
        with vendor("trade", exchange.trade, tmp_path) as client:
            client.login()
            assert {quote["TradingDay"] for quote in client.query("DepthMarketData")} == {trading_day}


def test_a_replay_opens_and_closes_by_recorded_time(tmp_path: Path) -> None:
    """And when the recording has ended, everything trades on its last prices."""
    rows = [row(time, day="20261124") for time in ("20:54:59", "20:55:00", "20:59:00", "21:00:00", "02:30:00")]
    settings = {"replay": [str(write(tmp_path / "a.csv", *rows))], "speed": "max", "hold": True}
    with front(tmp_path, **settings) as exchange, vendor("trade", exchange.trade, tmp_path) as client:
        client.connect()
        before = client.wait("OnRtnInstrumentStatus")["args"][0]
        assert before["InstrumentStatus"] == "1"
        exchange.go()
        changes = [client.wait("OnRtnInstrumentStatus")["args"][0] for _ in range(5)]
        assert [change["InstrumentStatus"] for change in changes] == ["3", "5", "2", "1", "2"]
        assert {change["InstrumentID"] for change in changes} == {"au"}
