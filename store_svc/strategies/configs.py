"""How a strategy's configuration changes: each change is kept, and has a number in the stream.

What is here runs in one write transaction, and locks the stream first: of two callers who change a
strategy the second sees what the first made of it.
"""

from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import RowMapping, Select, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.errors import AlreadyExists, InvalidField, NotFound, Refused
from arbig.store.v1 import strategy_pb2 as pb
from store_svc import sequences
from store_svc.checks import Fields
from store_svc.filters import contains, equal
from store_svc.sequences import STRATEGIES
from store_svc.tables.records import Record, Row
from store_svc.tables.schema import strategy_changes, strategy_configs

CONFIG = Record(pb.StrategyConfig, strategy_configs)
# What a caller says when a strategy is added, and what may be updated afterwards.
CONTENT = ("strategy_class", "parameters", "active", "description")
UPDATABLE = ("strategy_class", "parameters", "description")
_KIND = "STRATEGY_CHANGE_KIND_"


class Seen(NamedTuple):
    """Which strategy a caller wants to change, and the version it saw; 0 means any."""

    strategy: str
    version: int


def change_from_row(row: RowMapping) -> pb.StrategyChange:
    """Give the change that a row of the history is."""
    return pb.StrategyChange(
        seq=row["seq"],
        time=row["time"],
        kind=pb.StrategyChangeKind.Value(_KIND + row["kind"]),
        strategy=row["strategy"],
        config=CONFIG.from_row(row),
    )


def newest_of_each(head: int) -> Select[Any]:
    """Select the newest change up to `head` of each strategy that there is, in order."""
    newest = (
        select(func.max(strategy_changes.c.seq).label("seq"))
        .where(strategy_changes.c.seq <= head, strategy_changes.c.strategy.in_(select(strategy_configs.c.strategy)))
        .group_by(strategy_changes.c.strategy)
        .subquery()
    )
    return (
        select(strategy_changes).join(newest, newest.c.seq == strategy_changes.c.seq).order_by(strategy_changes.c.seq)
    )


def listed(request: pb.ListStrategiesRequest) -> Select[Any]:
    """Select the configurations that fit."""
    columns = strategy_configs.c
    where = equal(request, strategy_configs, "strategy")
    where += [columns.active == true()] if request.active else []
    where += contains(request.text, columns.strategy, columns.strategy_class, columns.description)
    return select(strategy_configs).where(*where)


def check_content(config: pb.StrategyConfig, *fields: str) -> None:
    """Check what a caller gives of a configuration; raises InvalidField."""
    given = Fields(config, "config.")
    given.name("strategy")
    if "strategy_class" in fields:
        given.text("strategy_class", 200, required=True)
    if "parameters" in fields:
        given.document("parameters")
    if "description" in fields:
        given.text("description", 2000)


def check_update(request: pb.UpdateStrategyRequest) -> None:
    """Check an update; raises InvalidField."""
    paths = request.update_mask.paths
    if not paths:
        raise InvalidField("update_mask", "missing")
    for path in paths:
        if path not in UPDATABLE:
            raise InvalidField("update_mask", f'"{path}" is not one of {", ".join(UPDATABLE)}')
    check_content(request.config, *paths)
    if not request.expected_version:
        raise InvalidField("expected_version", "missing")


async def find(connection: AsyncConnection, strategy: str) -> pb.StrategyConfig:
    """Give a strategy's configuration; raises NotFound."""
    query = select(strategy_configs).where(strategy_configs.c.strategy == strategy)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f'no strategy "{strategy}"', "NO_SUCH_STRATEGY", "strategy")
    return CONFIG.from_row(row)


async def create(connection: AsyncConnection, config: pb.StrategyConfig, now: datetime) -> pb.StrategyConfig:
    """Add a strategy, or give it back where this call was made before; raises AlreadyExists."""
    head = await sequences.lock(connection, STRATEGIES)
    made = pb.StrategyConfig(**{field: getattr(config, field) for field in ("strategy", *CONTENT)})
    made.create_time.FromDatetime(now)
    mine = select(strategy_configs).where(strategy_configs.c.strategy == config.strategy)
    if there := (await connection.execute(mine)).mappings().one_or_none():
        created = await _past(connection, config.strategy, "CREATED")
        if not any(_same(CONFIG.row(made), row, CONTENT) for row in (there, created)):
            raise AlreadyExists(f'there is a strategy "{config.strategy}" with other content', "STRATEGY_EXISTS")
        return CONFIG.from_row(there)
    last = select(func.max(strategy_changes.c.version)).where(strategy_changes.c.strategy == config.strategy)
    made.version = await connection.scalar(last) or 0
    return await _change(connection, head, "CREATED", made, now)


async def update(connection: AsyncConnection, request: pb.UpdateStrategyRequest, now: datetime) -> pb.StrategyConfig:
    """Change the fields of the mask; raises NotFound or Refused."""
    fields = tuple(request.update_mask.paths)
    wanted = {field: getattr(request.config, field) for field in fields}
    seen = Seen(request.config.strategy, request.expected_version)
    return await _change_seen(connection, seen, "UPDATED", wanted, now)


async def set_active(connection: AsyncConnection, seen: Seen, now: datetime, *, active: bool) -> pb.StrategyConfig:
    """Activate or deactivate a strategy; raises NotFound or Refused."""
    kind = "ACTIVATED" if active else "DEACTIVATED"
    return await _change_seen(connection, seen, kind, {"active": active}, now)


async def delete(connection: AsyncConnection, seen: Seen, now: datetime) -> None:
    """Take a strategy away; raises Refused."""
    head = await sequences.lock(connection, STRATEGIES)
    mine = strategy_configs.c.strategy == seen.strategy
    row = (await connection.execute(select(strategy_configs).where(mine))).mappings().one_or_none()
    if row is None:
        return
    if seen.version not in (0, row["version"]):
        raise _version_changed(seen, row["version"])
    if row["active"]:
        raise Refused(f'strategy "{seen.strategy}" is active', "STRATEGY_ACTIVE")
    await connection.execute(strategy_configs.delete().where(mine))
    await _note(connection, head, "DELETED", dict(row), now)


async def _change_seen(
    connection: AsyncConnection, seen: Seen, kind: str, wanted: dict[str, Any], now: datetime
) -> pb.StrategyConfig:
    """Make a strategy's fields as wanted, if it is still what the caller saw or already so."""
    head = await sequences.lock(connection, STRATEGIES)
    config = await find(connection, seen.strategy)
    before = CONFIG.row(config)
    after = CONFIG.row(pb.StrategyConfig(**wanted))
    same = _same(before, after, tuple(wanted))
    if seen.version not in (0, config.version):
        # A repeated call: the next version is its own, and nobody changed that since.
        repeated = same and seen.version < config.version
        done = await _past(connection, seen.strategy, kind, seen.version + 1) if repeated else None
        if not _same(after, done, tuple(wanted)):
            raise _version_changed(seen, config.version)
    if same:
        return config
    changed = CONFIG.from_row({**before, **{field: after[field] for field in wanted}})
    return await _change(connection, head, kind, changed, now)


async def _change(
    connection: AsyncConnection, head: int, kind: str, config: pb.StrategyConfig, now: datetime
) -> pb.StrategyConfig:
    """Write a configuration as its next version."""
    config.version += 1
    config.update_time.FromDatetime(now)
    row = CONFIG.row(config)
    if kind == "CREATED":
        await connection.execute(strategy_configs.insert(), row)
    else:
        mine = strategy_configs.c.strategy == config.strategy
        await connection.execute(strategy_configs.update().where(mine).values(row))
    await _note(connection, head, kind, row, now)
    return config


async def _note(connection: AsyncConnection, head: int, kind: str, row: Row, now: datetime) -> None:
    """Write a change into the history, as the stream's next event."""
    await connection.execute(strategy_changes.insert(), {**row, "seq": head + 1, "time": now, "kind": kind})
    await sequences.move(connection, STRATEGIES, head + 1)


async def _past(connection: AsyncConnection, strategy: str, kind: str, version: int = 0) -> RowMapping | None:
    """Give the newest change of a kind, to the version if one is given."""
    changes = strategy_changes.c
    query = select(strategy_changes).where(changes.strategy == strategy, changes.kind == kind)
    if version:
        query = query.where(changes.version == version)
    return (await connection.execute(query.order_by(changes.seq.desc()).limit(1))).mappings().one_or_none()


def _same(one: Row | RowMapping, other: Row | RowMapping | None, fields: tuple[str, ...]) -> bool:
    return other is not None and _said(one, fields) == _said(other, fields)


def _said(row: Row | RowMapping, fields: tuple[str, ...]) -> bytes:
    # As JSON: to Python, True is 1.
    return orjson.dumps([row[field] for field in fields], option=orjson.OPT_SORT_KEYS)


def _version_changed(seen: Seen, version: int) -> Refused:
    text = f'strategy "{seen.strategy}" is at version {version}, not {seen.version}'
    return Refused(text, "VERSION_CHANGED")
