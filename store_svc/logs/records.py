"""Log records: what may be written, how they get their numbers, and when they go."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.errors import InvalidField
from arbig.store.v1 import log_pb2 as pb
from store_svc import sequences
from store_svc.checks import Fields
from store_svc.filters import contains, equal
from store_svc.sequences import LOGS
from store_svc.tables.records import Record, Row
from store_svc.tables.schema import system_logs
from store_svc.tables.words import words

LOG = Record(pb.LogRecord, system_logs)
MOST = 1_000
# Rows removed in one transaction.
PRUNE_ROWS = 1_000
# How far a clock may be ahead before its records no longer count as young.
AHEAD = timedelta(days=1)


def prepare(records: Iterable[pb.LogRecord]) -> None:
    """Check records to write, and give those without an id one; raises InvalidField."""
    for number, record in enumerate(records):
        if number == MOST:
            raise InvalidField("records", f"more than {MOST:,}")
        given = Fields(record, f"records[{number}].")
        record.log_id = record.log_id or uuid.uuid4().hex
        given.name("log_id")
        given.name("service")
        given.time("time", required=True)
        given.choice("level")
        given.text("module", 200)
        given.text("message", 8000, required=True)
        given.document("details")


def said_by(request: pb.ListLogsRequest | pb.SubscribeLogsRequest) -> list[ColumnElement[bool]]:
    """Give the conditions that a list and a stream both have; raises InvalidField for a level that is none."""
    Fields(request).choice("min_level", required=False)
    columns = system_logs.c
    where = equal(request, system_logs, "service")
    if request.min_level > pb.LOG_LEVEL_DEBUG:
        levels = words(pb.LogLevel.DESCRIPTOR)
        where.append(columns.level.in_([word for number, word in levels.items() if number >= request.min_level]))
    return where


def listed(request: pb.ListLogsRequest) -> Select[Any]:
    """Select the records that fit; raises InvalidField for a filter that cannot be."""
    Fields(request).time("first_time", "end_time")
    columns = system_logs.c
    where = said_by(request) + equal(request, system_logs, "module")
    if request.HasField("first_time"):
        where.append(columns.time >= request.first_time.ToDatetime())
    if request.HasField("end_time"):
        where.append(columns.time < request.end_time.ToDatetime())
    return select(system_logs).where(*where, *contains(request.text, columns.message))


async def write(connection: AsyncConnection, records: Iterable[pb.LogRecord]) -> int:
    """Write the records that are not there yet, and say how many."""
    head = await sequences.lock(connection, LOGS)
    by_id: dict[str, Row] = {}
    for record in records:
        by_id.setdefault(record.log_id, LOG.row(record))
    there = set(await connection.scalars(select(system_logs.c.log_id).where(system_logs.c.log_id.in_(by_id))))
    new = [row for log_id, row in by_id.items() if log_id not in there]
    rows = [{**row, "seq": head + number} for number, row in enumerate(new, 1)]
    if rows:
        await connection.execute(system_logs.insert(), rows)
        await sequences.move(connection, LOGS, head + len(rows))
    return len(rows)


async def first_kept(connection: AsyncConnection, now: datetime, days: int) -> int:
    """Give the number of the oldest record that is not older than so many days.

    What goes is always the oldest by number, so that a follower who is behind can be told: a record
    of a clock that is slow stays as long as those around it, and one of a clock that is far ahead
    keeps none of them.
    """
    logs = system_logs.c
    young = logs.time >= now - timedelta(days=days), logs.time < now + AHEAD
    head = await sequences.head(connection, LOGS)
    found = await connection.scalar(select(logs.seq).where(*young).order_by(logs.seq).limit(1))
    return found or head.seq + 1


async def prune(connection: AsyncConnection, kept: int) -> bool:
    """Remove some of the records before `kept`, and say whether there were any."""
    oldest = await connection.scalar(select(func.min(system_logs.c.seq)))
    if oldest is None or oldest >= kept:
        return False
    await connection.execute(system_logs.delete().where(system_logs.c.seq < min(kept, oldest + PRUNE_ROWS)))
    return True
