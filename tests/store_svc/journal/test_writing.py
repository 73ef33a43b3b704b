"""One batch, one transaction; the same batch again changes nothing."""

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import select

from arbig.config import Settings, Store
from arbig.store.v1.admin_pb2 import ListSetAsideRequest, SetAside
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1 import trade_pb2 as tr
from store_svc.database import Database, open_database
from store_svc.journal import set_aside
from store_svc.journal.batch import Batch
from store_svc.journal.writing import MovedBack, read_cursor, rewind, store_again, write
from store_svc.tables import schema
from store_svc.tables.migrate import migrate
from tests.store_svc.mesh import journal, order, trade


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(Settings(data=tmp_path, store=Store(database=database_url)))
    await opened.write(lambda on: on.run_sync(migrate), 60)
    yield opened
    await opened.aclose()


def batch(*messages: Message, after: int = 0, epoch: int = 1) -> Batch:
    return Batch(epoch, list(journal(messages, after)))


async def rows(database: Database, table: Any) -> list[Any]:
    return list(await database.read(lambda on: on.execute(select(table).order_by(*table.primary_key))))


async def stored(database: Database, *batches: Batch) -> None:
    for one in batches:
        await database.write(lambda on, one=one: write(on, one))  # type: ignore[misc]


async def listed(database: Database) -> list[SetAside]:
    """Give all that was set aside, page by page."""
    found: list[SetAside] = []
    request = ListSetAsideRequest()
    while True:
        some, request.page_token = await database.read(set_aside.listed(request))
        found += some
        if not request.page_token:
            return found


async def test_a_batch_written_again_changes_nothing(database: Database) -> None:
    said = batch(order("a"), trade("t"), order("a", state=tr.ORDER_STATE_FILLED))
    await stored(database, said)
    before = [await rows(database, table) for table in (schema.orders, schema.trades, schema.streams)]
    await stored(database, said, Batch(1, said.events[:1]), Batch(1, said.events[1:]))
    assert [await rows(database, table) for table in (schema.orders, schema.trades, schema.streams)] == before
    assert await database.read(read_cursor) == Cursor(epoch=1, seq=3)


async def test_an_older_event_never_overwrites_a_newer_one(database: Database) -> None:
    old, new = order("a", filled_volume=1), order("a", filled_volume=2)
    await stored(database, batch(old, new), batch(old))
    assert [row.filled_volume for row in await rows(database, schema.orders)] == [2]


async def test_an_order_keeps_its_place_while_it_changes(database: Database) -> None:
    await stored(database, batch(order("a"), order("b"), order("a")), batch(order("a"), order("b"), after=3))
    assert [(row.client_order_id, row.first_seq) for row in await rows(database, schema.orders)] == [("a", 1), ("b", 2)]


async def test_ids_that_differ_only_by_case_are_two_orders(database: Database) -> None:
    await stored(database, batch(order("Grid-A"), order("grid-a"), order("grid-á")))
    assert len(await rows(database, schema.orders)) == 3


async def test_both_sides_of_a_self_trade_and_the_same_id_of_another_day_are_kept(database: Database) -> None:
    said = trade("7"), trade("7", direction=tr.DIRECTION_SELL), trade("7", trading_day="20260310")
    await stored(database, batch(*said))
    assert len(await rows(database, schema.trades)) == 3


async def test_a_trade_needs_no_order(database: Database) -> None:
    await stored(database, batch(trade("7", client_order_id="unknown")))
    assert len(await rows(database, schema.trades)) == 1


async def test_a_journal_that_began_anew_is_stored_beside_the_old(database: Database) -> None:
    await stored(database, batch(order("a"), order("b"), epoch=1), batch(order("b", volume=9), order("c"), epoch=2))
    found = await rows(database, schema.orders)
    assert [(row.client_order_id, row.epoch, row.volume) for row in found] == [("a", 1, 3), ("b", 1, 9), ("c", 2, 3)]
    assert await database.read(read_cursor) == Cursor(epoch=2, seq=2)


async def test_a_stream_that_was_rewound_is_stored_again(database: Database) -> None:
    await stored(database, batch(order("a"), order("b")))
    await database.write(rewind)
    await stored(database, batch(order("a", volume=5)))
    assert [row.volume for row in await rows(database, schema.orders)] == [5, 3]
    assert await database.read(read_cursor) == Cursor(epoch=1, seq=1)


async def test_an_event_that_no_table_can_hold_is_set_aside_and_the_rest_is_stored(database: Database) -> None:
    rich = tr.Account(account_id="sim001", balance=1e300)
    said = batch(order("a"), rich, trade("t"))
    await stored(database, said, said)
    assert len(await rows(database, schema.orders)) == len(await rows(database, schema.trades)) == 1
    assert await database.read(read_cursor) == Cursor(epoch=1, seq=3)
    (kept,) = await listed(database)
    assert (kept.cursor, kept.kind) == (Cursor(epoch=1, seq=2), "account")
    assert kept.reason == "balance 1e+300 does not fit: 100,000,000,000,000 and more yuan do not"
    assert tr.Event.FromString(kept.event).account == rich


async def test_the_last_state_that_can_be_kept_is_kept(database: Database) -> None:
    strange = order("a", status_text="x" * 256)
    await stored(database, batch(order("a"), order("a", filled_volume=2), strange))
    assert [row.filled_volume for row in await rows(database, schema.orders)] == [2]
    assert [one.cursor.seq for one in await listed(database)] == [3]


async def test_an_event_of_a_newer_contract_is_set_aside(database: Database) -> None:
    await stored(database, Batch(1, [tr.Event.FromString(b"\x08\x01\x7a\x01x")]))
    (kept,) = await listed(database)
    assert (kept.kind, kept.reason) == ("", "this version's contract has no such event")
    assert kept.event == b"\x08\x01\x7a\x01x"


async def test_more_is_set_aside_than_a_message_holds(database: Database) -> None:
    long = [order(f"o{number}", status_text="x" * 5000) for number in range(1_200)]
    await stored(database, batch(*long))
    assert [one.cursor.seq for one in await listed(database)] == list(range(1, 1_201))
    few, token = await database.read(set_aside.listed(ListSetAsideRequest(page_size=2)))
    assert [one.cursor.seq for one in few] == [1, 2]
    assert token


async def test_storing_again_begins_before_the_first_event_that_was_set_aside(database: Database) -> None:
    strange = order("b", price=math.nan)
    await stored(database, batch(order("a"), strange, order("c"), strange, order("a", filled_volume=3)))
    assert await database.write(store_again) == Cursor(epoch=1, seq=1)
    assert await database.read(set_aside.count) == 0
    await stored(database, batch(order("b"), order("c"), order("b"), order("a", filled_volume=3), after=1))
    found = [(row.client_order_id, row.first_seq) for row in await rows(database, schema.orders)]
    assert found == [("a", 1), ("b", 2), ("c", 3)]
    assert await database.write(store_again) == Cursor(epoch=1, seq=5)


async def test_what_an_older_journal_had_set_aside_stays(database: Database) -> None:
    strange = order("b", price=math.nan)
    await stored(database, batch(strange), batch(order("a"), order("b"), epoch=2))
    assert await database.write(store_again) == Cursor(epoch=2, seq=2)
    assert await database.read(set_aside.count) == 1


async def test_a_batch_that_would_leave_a_hole_is_not_written(database: Database) -> None:
    await stored(database, batch(order("a"), order("b"), order("c")))
    for hole in (batch(order("e"), after=4), batch(order("e"), after=4, epoch=2), Batch(1, [], 4)):
        with pytest.raises(MovedBack):
            await stored(database, hole)
    assert await database.read(read_cursor) == Cursor(epoch=1, seq=3)
    assert len(await rows(database, schema.orders)) == 3
