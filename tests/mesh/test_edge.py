"""The edge of the whole mesh: plain HTTP to the page, the REST paths, and an order."""

import uuid

import aiohttp

from tests.mesh.harness import Mesh


async def test_rest_page_and_order_through_one_port(mesh: Mesh) -> None:
    """What the README shows with curl."""
    async with aiohttp.ClientSession(mesh.ready["edge"].rstrip("/")) as session:
        async with session.get("/") as reply:
            assert "ARBIG" in await reply.text()
        async with session.get("/v1/market/snapshot") as reply:
            tick = (await reply.json())["ticks"][0]
        order = {
            "client_order_id": f"rest-{uuid.uuid4().hex}",
            "symbol": tick["symbol"],
            "direction": "DIRECTION_BUY",
            "offset": "OFFSET_OPEN",
            "price": tick["lowerLimitPrice"],
            "volume": 1,
        }
        async with session.post("/v1/trade/orders", json=order) as reply:
            assert (await reply.json())["order"]["clientOrderId"] == order["client_order_id"]
        async with session.post("/v1/trade/orders", json={**order, "volume": 2}) as reply:
            assert reply.status == 409
            assert "volume was 1, now 2" in await reply.text()
        async with session.post(f"/v1/trade/orders/{order['client_order_id']}:cancel", json={}) as reply:
            assert reply.status == 200
        async with session.ws_connect("/ws") as socket:
            assert (await socket.receive_json(timeout=10))["op"] == "hello"
