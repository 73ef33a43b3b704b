"""Storage over real gRPC: it follows, keeps, and answers."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from arbig.channel import open_channel
from arbig.config import Settings, Store
from arbig.errors import ConfigError, from_rpc
from arbig.store.v1 import store_pb2 as pb
from arbig.trade.v1 import trade_pb2 as tr
from store_svc import engines
from store_svc.database import open_database
from store_svc.main import run
from store_svc.tables.migrate import head
from tests.servers import PASSWORD, Server, free_port
from tests.store_svc.mesh import Mesh, a_day, assert_everything_once, mesh, order, trade
from tests.store_svc.stored import storing


async def test_everything_of_the_journal_is_stored_once(database_url: str, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=database_url, batch=100) as made, made.trading(), made.storing():
        made.trade.publish(*a_day(300))
        await made.until_stored()
        made.trade.publish(*a_day(200, first=300))
        await made.until_stored()
        await assert_everything_once(made, 500)


async def test_what_was_published_while_storage_was_away_is_stored_later(database_url: str, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=database_url) as made, made.trading():
        async with made.storing():
            made.trade.publish(*a_day(10))
            await made.until_stored()
        made.trade.publish(*a_day(10, first=10))
        async with made.storing():
            await made.until_stored()
            await assert_everything_once(made, 20)


async def test_messages_come_back_as_they_were(database_url: str, tmp_path: Path) -> None:
    said: list[Message] = [
        order("full", average_price=450.02 / 3, error_id=-5, status_text="全部成交", submit_mid_price=450.01),
        order("bare", volume=0, price=0),
        trade("t1", client_order_id="full"),
        tr.Position(account_id="sim001", symbol="au2604", side=tr.POSITION_SIDE_SHORT, yesterday=2, open_price=1 / 3),
        tr.Account(account_id="sim001", balance=-1234567.8901, pre_balance=99_999_999_999_999.5),
    ]
    for message in said[:3]:
        for name in ("create_time", "update_time", "time"):
            if name in message.DESCRIPTOR.fields_by_name:
                getattr(message, name).FromMicroseconds(1_773_000_000_123_456)
    async with mesh(tmp_path, database=database_url) as made, made.trading(), made.storing():
        made.trade.publish(*said)
        await made.until_stored()
        assert await made.orders() == [said[1], said[0]]
        assert await made.trades() == [said[2]]
        assert (await made.store.ListPositions(pb.ListPositionsRequest())).positions == [said[3]]
        assert (await made.store.ListAccounts(pb.ListAccountsRequest())).accounts == [said[4]]


async def test_pages_neither_skip_nor_repeat_while_orders_arrive(database_url: str, tmp_path: Path) -> None:
    async with mesh(tmp_path, database=database_url) as made, made.trading(), made.storing():
        made.trade.publish(*(order(f"o{number}") for number in range(10)))
        await made.until_stored()
        first = await made.store.ListOrders(pb.ListOrdersRequest(account_id="sim001", page_size=4))
        made.trade.publish(order("new"), order("o3", state=tr.ORDER_STATE_CANCELLED))
        await made.until_stored()
        rest = await made.orders(account_id="sim001", page_size=3, page_token=first.next_page_token)
        assert [one.client_order_id for one in [*first.orders, *rest]] == [f"o{number}" for number in range(9, -1, -1)]


async def test_a_page_token_of_another_list_or_filter_is_refused(tmp_path: Path) -> None:
    async with mesh(tmp_path) as made, made.trading(), made.storing():
        made.trade.publish(*a_day(3))
        await made.until_stored()
        token = (await made.store.ListOrders(pb.ListOrdersRequest(page_size=1))).next_page_token
        calls: list[tuple[Any, Message]] = [
            (made.store.ListOrders, pb.ListOrdersRequest(page_token=token, symbol="au2604")),
            (made.store.ListTrades, pb.ListTradesRequest(page_token=token)),
            (made.store.ListOrders, pb.ListOrdersRequest(page_token=token[:-1])),
        ]
        for call, request in calls:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(request)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert from_rpc(refused.value)[1] == "page_token"


async def test_a_database_that_is_down_at_start_is_waited_for(own_mariadb: Server, tmp_path: Path) -> None:
    own_mariadb.kill()
    async with mesh(tmp_path, database=own_mariadb.url) as made, made.trading(), made.storing():
        made.trade.publish(*a_day(5))
        status = await made.until(lambda status: "Can't connect" in status.reason)
        assert not status.ready
        assert PASSWORD not in status.database
        assert await health(made) == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await made.store.ListOrders(pb.ListOrdersRequest(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert from_rpc(refused.value)[0] == "DATABASE_DOWN"
        await asyncio.to_thread(own_mariadb.start)
        await made.until_stored()
        await assert_everything_once(made, 5)
        async with asyncio.timeout(10):
            while await health(made) != health_pb2.HealthCheckResponse.SERVING:
                await asyncio.sleep(0.05)


async def health(made: Mesh) -> int:
    async with open_channel(made.settings.address("store")) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        return int(reply.status)


async def test_a_trade_service_that_is_away_is_the_reason(tmp_path: Path) -> None:
    async with mesh(tmp_path) as made, made.storing():
        status = await made.until(lambda status: "trade service" in status.reason)
        assert not status.ready
        async with made.trading():
            ready = await made.until(lambda status: status.ready)
            assert (ready.revision, ready.set_aside) == (head(), 0)


async def test_the_port_in_use_is_named(tmp_path: Path) -> None:
    async with mesh(tmp_path) as made, made.storing():
        await made.status()
        with pytest.raises(ConfigError, match="cannot listen on"):
            await run(made.settings)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "store.database: not a URL"),
        ("postgresql://host/name", 'store.database: "postgresql" is not one of'),
        ("mysql+aiomysql://user:hidden@host", "names no database"),
        ("sqlite+aiosqlite:////not/there/store.db", "/not/there is not a directory"),
        ("mysql://user:hidden@host:port/name", "store.database: not a URL"),
    ],
)
def test_a_database_url_that_cannot_work_is_named_without_its_password(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        open_database(Settings(data=tmp_path, store=Store(database=url)))
    assert "hidden" not in str(refused.value)


def test_a_missing_mysql_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "aiomysql", None)
    with pytest.raises(ConfigError, match=r"pip install 'arbig\[mysql\]'"):
        open_database(Settings(data=tmp_path, store=Store(database=f"mysql://host:{free_port()}/name")))


async def test_a_connection_that_died_while_nobody_asked_is_replaced(
    own_mariadb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PAUSE_SECONDS", 0.0)
    async with storing(own_mariadb.url, tmp_path) as stored:
        await stored.say(order("a"))
        await stored.ask("ListOrders")
        own_mariadb.kill()
        own_mariadb.start()
        assert len((await stored.ask("ListOrders")).orders) == 1
