"""What strategies triggered, and what became of it.

A trigger's row is its newest state, under the number of its newest change. What is here runs in
one write transaction, and locks the stream first.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, RowMapping, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.errors import AlreadyExists, NotFound, Refused
from arbig.store.v1 import strategy_pb2 as pb
from store_svc import sequences
from store_svc.checks import Fields
from store_svc.filters import among, contains, equal, found_by_day, within
from store_svc.sequences import TRIGGERS
from store_svc.tables.records import Record, Row
from store_svc.tables.schema import accounts, strategy_triggers

TRIGGER = Record(pb.Trigger, strategy_triggers)
# The newest trading day that storage knows.
TRADING_DAY = select(func.coalesce(func.max(accounts.c.trading_day), ""))
_GIVEN_BY_US = ("seq", "trading_day", "create_time", "update_time")
_KEY = ("strategy", "trigger_id")


def check_new(trigger: pb.Trigger) -> None:
    """Check a trigger to record; raises InvalidField."""
    given = Fields(trigger, "trigger.")
    given.name(*_KEY)
    given.time("time", required=True)
    given.text("condition", 2000, required=True)
    given.amount("price")
    given.choice("signal")
    given.choice("action")
    _check_outcome(given)


def check_change(request: pb.UpdateTriggerRequest) -> None:
    """Check what became of a trigger; raises InvalidField."""
    given = Fields(request)
    given.name(*_KEY)
    _check_outcome(given)


def _check_outcome(given: Fields) -> None:
    given.choice("result", required=False)
    given.text("account_id", 50)
    given.text("client_order_id", 100)
    given.count("volume")
    given.text("error_message", 2000)
    given.time("execution_time")


def listed(request: pb.ListTriggersRequest) -> Select[Any]:
    """Select the triggers that fit; raises InvalidField for a filter that cannot be."""
    given, columns = Fields(request), strategy_triggers.c
    given.choices("results")
    given.choices("signals")
    where = equal(request, strategy_triggers, "strategy") + within(request, strategy_triggers)
    where += among(columns.result, pb.TriggerResult.DESCRIPTOR, request.results)
    where += among(columns.signal, pb.Signal.DESCRIPTOR, request.signals)
    where += contains(request.text, columns.condition, columns.error_message)
    return found_by_day(select(strategy_triggers).where(*where), request, strategy_triggers)


async def record(connection: AsyncConnection, given: pb.Trigger, now: datetime) -> pb.Trigger:
    """Record a trigger, or give it back where this call was made before; raises AlreadyExists."""
    head = await sequences.lock(connection, TRIGGERS)
    trigger = pb.Trigger()
    trigger.CopyFrom(given)
    for name in _GIVEN_BY_US:
        trigger.ClearField(name)  # type: ignore[arg-type]
    trigger.result = given.result or pb.TRIGGER_RESULT_PENDING
    content = _digest(TRIGGER.row(trigger))
    if there := await _find(connection, given.strategy, given.trigger_id):
        if there["content"] != content:
            raise AlreadyExists(f'"{given.trigger_id}" was recorded with other content', "TRIGGER_EXISTS", "trigger_id")
        return TRIGGER.from_row(there)
    trigger.seq = head + 1
    trigger.trading_day = await connection.scalar(TRADING_DAY) or ""
    trigger.create_time.FromDatetime(now)
    trigger.update_time.FromDatetime(now)
    row = {**TRIGGER.row(trigger), "first_seq": trigger.seq, "content": content}
    await connection.execute(strategy_triggers.insert(), row)
    await sequences.move(connection, TRIGGERS, trigger.seq)
    return TRIGGER.from_row(row)


async def change(connection: AsyncConnection, request: pb.UpdateTriggerRequest, now: datetime) -> pb.Trigger:
    """Say what became of a trigger; raises NotFound or Refused."""
    head = await sequences.lock(connection, TRIGGERS)
    there = await _find(connection, request.strategy, request.trigger_id)
    if there is None:
        raise NotFound(f'no trigger "{request.trigger_id}" of "{request.strategy}"', "NO_SUCH_TRIGGER", "trigger_id")
    wanted = _wanted(request)
    if there["result"] != "PENDING":
        _refuse_to_alter(there, wanted)
    if all(there[name] == value for name, value in wanted.items()):
        return TRIGGER.from_row(there)
    row = {**there, **wanted, "seq": head + 1, "update_time": now}
    await connection.execute(strategy_triggers.update().where(*_is(request.strategy, request.trigger_id)).values(row))
    await sequences.move(connection, TRIGGERS, head + 1)
    return TRIGGER.from_row(row)


def _refuse_to_alter(final: RowMapping, wanted: Row) -> None:
    """Let what is absent be told, but nothing be undone: the call may be an older one, made again."""
    for name, value in wanted.items():
        if final[name] not in (None, "", value):
            text = f'"{final["trigger_id"]}" ended with {final["result"]}: its {name} stays {final[name]}'
            raise Refused(text, "TRIGGER_FINAL")


async def _find(connection: AsyncConnection, strategy: str, trigger_id: str) -> RowMapping | None:
    query = select(strategy_triggers).where(*_is(strategy, trigger_id))
    return (await connection.execute(query)).mappings().one_or_none()


def _is(strategy: str, trigger_id: str) -> Iterator[ColumnElement[bool]]:
    yield strategy_triggers.c.strategy == strategy
    yield strategy_triggers.c.trigger_id == trigger_id


def _wanted(request: pb.UpdateTriggerRequest) -> Row:
    """Give the columns that the request gives a value."""
    given = {field.name: value for field, value in request.ListFields() if field.name not in _KEY}
    row = TRIGGER.row(pb.Trigger(**given))
    return {name: row[name] for name in given}


def _digest(row: Row) -> str:
    """Tell contents apart, over restarts and over columns that a later version adds."""
    said = {name: str(value) for name, value in row.items() if value not in (None, "")}
    return hashlib.blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
