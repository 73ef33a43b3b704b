"""An operator's day with grpcurl, the real one: no client of ours in between."""

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from arbig.market.v1.market_pb2 import GetSnapshotRequest
from tests.mesh.harness import Clients, Mesh, until

GRPCURL = Path(sys.executable).parent / "grpcurl"


def grpcurl(address: str, method: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call a method as a person would; raises CalledProcessError with what grpcurl printed."""
    command = [str(GRPCURL), "-plaintext", "-d", json.dumps(request or {}), address, method]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    reply: dict[str, Any] = json.loads(done.stdout or "{}")
    return reply


def refused(address: str, method: str, request: dict[str, Any]) -> str:
    """Call a method that refuses, and give what grpcurl printed."""
    with pytest.raises(subprocess.CalledProcessError) as raised:
        grpcurl(address, method, request)
    return str(raised.value.stderr)


def test_reflection_lists_the_services(mesh: Mesh) -> None:
    """An operator needs no proto files."""
    for name, service in (
        ("market", "arbig.market.v1.MarketService"),
        ("trade", "arbig.trade.v1.TradeService"),
        ("store", "arbig.store.v1.RecordService"),
        ("front", "arbig.front.v1.FrontService"),
    ):
        done = subprocess.run(
            [GRPCURL, "-plaintext", mesh.address(name), "list"], check=True, capture_output=True, text=True
        )
        assert service in done.stdout
        assert grpcurl(mesh.address(name), "grpc.health.v1.Health/Check") == {"status": "SERVING"}


async def test_an_order_there_and_back(mesh: Mesh) -> None:
    """Submit, fill, position, account, storage; then close it again."""
    trade, store = mesh.address("trade"), mesh.address("store")
    symbol = grpcurl(mesh.address("market"), "arbig.market.v1.MarketService/ListInstruments")["instruments"][1][
        "symbol"
    ]
    number = uuid.uuid4().hex
    order = {
        "client_order_id": f"open-{number}",
        "symbol": symbol,
        "direction": "DIRECTION_BUY",
        "offset": "OFFSET_OPEN",
        "type": "ORDER_TYPE_MARKET",
        "volume": 2,
    }
    sent = grpcurl(trade, "arbig.trade.v1.TradeService/SubmitOrder", order)["order"]
    assert sent["client_order_id"] == order["client_order_id"]

    async def filled() -> bool:
        found = grpcurl(trade, "arbig.trade.v1.TradeService/GetOrder", {"client_order_id": f"open-{number}"})["order"]
        return bool(found["state"] == "ORDER_STATE_FILLED")

    await until("filled", filled)
    positions = grpcurl(trade, "arbig.trade.v1.TradeService/ListPositions", {"symbol": symbol})["positions"]
    assert any(one["side"] == "POSITION_SIDE_LONG" and one.get("today", 0) >= 2 for one in positions)

    async def margin() -> bool:
        account = grpcurl(trade, "arbig.trade.v1.TradeService/GetAccount")["account"]
        return bool(account.get("margin", 0) > 0)

    await until("margin", margin)

    async def stored() -> bool:
        trades = grpcurl(store, "arbig.store.v1.RecordService/ListTrades", {"symbol": symbol}).get("trades", [])
        return [one["volume"] for one in trades if one["client_order_id"] == f"open-{number}"] != []

    await until("stored", stored)
    closing = {
        **order,
        "client_order_id": f"close-{number}",
        "direction": "DIRECTION_SELL",
        "offset": "OFFSET_CLOSE_TODAY",
    }
    grpcurl(trade, "arbig.trade.v1.TradeService/SubmitOrder", closing)

    async def closed() -> bool:
        found = grpcurl(trade, "arbig.trade.v1.TradeService/GetOrder", {"client_order_id": f"close-{number}"})["order"]
        return bool(found["state"] == "ORDER_STATE_FILLED")

    await until("closed", closed)


async def test_a_resting_order_is_cancelled(mesh: Mesh, services: Clients) -> None:
    """And a second cancel is told that it is over."""
    trade = mesh.address("trade")
    symbol, low = await a_price_that_rests(services)
    name = f"rest-{uuid.uuid4().hex}"
    await services.submit(name, symbol, low)

    async def state(wanted: str) -> bool:
        found = grpcurl(trade, "arbig.trade.v1.TradeService/GetOrder", {"client_order_id": name})["order"]
        return bool(found["state"] == wanted)

    await until("accepted", lambda: state("ORDER_STATE_ACCEPTED"))
    grpcurl(trade, "arbig.trade.v1.TradeService/CancelOrder", {"client_order_id": name})
    await until("cancelled", lambda: state("ORDER_STATE_CANCELLED"))
    text = refused(trade, "arbig.trade.v1.TradeService/CancelOrder", {"client_order_id": name})
    assert "FailedPrecondition" in text
    assert "is CANCELLED already" in text
    assert "ORDER_FINAL" in text


async def a_price_that_rests(services: Clients) -> tuple[str, float]:
    """Give a symbol and its lowest price of the day: a buy there fills last of all."""
    tick = (await services.market.GetSnapshot(GetSnapshotRequest())).ticks[0]
    return tick.symbol, tick.lower_limit_price


async def test_the_same_submit_again_is_the_same_order(mesh: Mesh, services: Clients) -> None:
    """A retry sends nothing; other content under the id is refused and says what differs."""
    symbol, low = await a_price_that_rests(services)
    name = f"twice-{uuid.uuid4().hex}"
    first = await services.submit(name, symbol, low)
    again = await services.submit(name, symbol, low)
    assert (again.order_ref, again.create_time) == (first.order_ref, first.create_time)
    request = {"client_order_id": name, "symbol": symbol, "direction": "DIRECTION_BUY", "offset": "OFFSET_OPEN"}
    text = refused(
        mesh.address("trade"), "arbig.trade.v1.TradeService/SubmitOrder", {**request, "price": low, "volume": 2}
    )
    assert "AlreadyExists" in text
    assert "volume was 1, now 2" in text
    at_exchange = [one for one in (await services.books()).orders if one.session_key.endswith(f".{first.order_ref}")]
    assert len(at_exchange) == 1


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"symbol": "au9999"}, "NotFound", "au9999 is no instrument"),
        ({"price": 0.013}, "InvalidArgument", "no multiple of the price tick 0.02"),
        ({"price": "NaN"}, "InvalidArgument", "price: must be a positive number"),
        ({"volume": 0}, "InvalidArgument", "volume: must be at least 1, got 0"),
        ({"volume": 10**9}, "InvalidArgument", "1000000000 lots"),
        ({"client_order_id": ""}, "InvalidArgument", "client_order_id: is required"),
        ({"strategy": "x" * 5_000_000}, "ResourceExhausted", "larger than max"),
    ],
    ids=["unknown symbol", "off tick", "NaN", "no volume", "too much", "no id", "oversize"],
)
def test_bad_input_is_refused_by_name(mesh: Mesh, changed: dict[str, Any], code: str, words: str) -> None:
    """One clear error that names the field and the numbers."""
    symbol = grpcurl(mesh.address("market"), "arbig.market.v1.MarketService/GetSnapshot")["ticks"][0]["symbol"]
    order = {
        "client_order_id": uuid.uuid4().hex,
        "symbol": symbol,
        "direction": "DIRECTION_BUY",
        "offset": "OFFSET_OPEN",
        "price": 800.0,
        "volume": 1,
        **changed,
    }
    done = subprocess.run(
        [GRPCURL, "-plaintext", "-d", "@", mesh.address("trade"), "arbig.trade.v1.TradeService/SubmitOrder"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"Code: {code}" in done.stderr
    assert words in done.stderr


def test_status_says_what_each_service_does(mesh: Mesh) -> None:
    """What a person looks at first."""
    assert grpcurl(mesh.address("trade"), "arbig.trade.v1.TradeService/GetStatus")["readiness"] == "READINESS_READY"
    market = grpcurl(mesh.address("market"), "arbig.market.v1.MarketService/GetStatus")
    assert market["ready"]
    assert market["data_age_seconds"] < 30
    assert grpcurl(mesh.address("store"), "arbig.store.v1.RecordService/GetStatus")["ready"]
