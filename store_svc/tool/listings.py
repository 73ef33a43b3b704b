"""What `arbig db` lists, by which filters, and which columns matter most."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, exists, select

from store_svc.lists import contains
from store_svc.tables.migrate import migrated
from store_svc.tables.schema import (
    accounts,
    orders,
    positions,
    strategy_configs,
    strategy_triggers,
    system_logs,
    trades,
)
from store_svc.tool.show import Columns, Row

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Listing(NamedTuple):
    """A table to list: in which order, and what is shown of it."""

    table: Table
    order: Sequence[ColumnElement[Any]]
    columns: Columns
    text: Sequence[Column[str]] = ()


def _listing(
    table: Table, order: Sequence[ColumnElement[Any]], names: str, hidden: str = "", text: Sequence[Column[str]] = ()
) -> Listing:
    return Listing(table, order, Columns(names.split(), hidden.split()), text)


ACCOUNTS = _listing(
    accounts,
    [accounts.c.account_id],
    "account_id balance available margin position_profit close_profit commission trading_day update_time"
    " frozen_margin frozen_commission pre_balance",
)
POSITIONS = _listing(
    positions,
    [*positions.primary_key],
    "account_id symbol side today yesterday open_price today_frozen yesterday_frozen trading_day exchange",
)
ORDERS = _listing(
    orders,
    [orders.c.epoch.desc(), orders.c.first_seq.desc()],
    "client_order_id symbol direction offset price volume state filled_volume trading_day update_time account_id"
    " average_price strategy status_text error_id type create_time exchange order_sys_id external",
    "submit_mid_price front_id session_id order_ref reported_volume venue_status",
    [orders.c.client_order_id, orders.c.status_text],
)
TRADES = _listing(
    trades,
    [trades.c.epoch.desc(), trades.c.seq.desc()],
    "trade_id symbol direction offset price volume trading_day time client_order_id account_id commission"
    " exchange order_sys_id",
)
TRIGGERS = _listing(
    strategy_triggers,
    [strategy_triggers.c.first_seq.desc()],
    "time strategy signal action result price volume condition client_order_id error_message trading_day trigger_id"
    " account_id execution_time create_time update_time",
    "seq",
    [strategy_triggers.c.condition, strategy_triggers.c.error_message],
)
CONFIGS = _listing(
    strategy_configs,
    [strategy_configs.c.strategy],
    "strategy active version strategy_class parameters update_time description create_time",
    text=[strategy_configs.c.strategy, strategy_configs.c.strategy_class, strategy_configs.c.description],
)
LOGS = _listing(
    system_logs,
    [system_logs.c.seq.desc()],
    "time level message service module details",
    "seq log_id",
    [system_logs.c.message],
)


class Filters(NamedTuple):
    """What the rows must be; what is empty or None asks nothing."""

    # Column -> the value it must have, or one of several.
    equal: Mapping[str, str | Sequence[str] | None] = {}
    text: str | None = None
    first_day: str | None = None
    last_day: str | None = None
    # Anything else.
    more: Sequence[ColumnElement[bool]] = ()


def of_strategy(strategy: str | None) -> list[ColumnElement[bool]]:
    """Ask for the trades of a strategy's orders."""
    if not strategy:
        return []
    same = (orders.c.account_id == trades.c.account_id, orders.c.client_order_id == trades.c.client_order_id)
    return [exists().where(*same, orders.c.strategy == strategy)]


def with_lots(only: bool) -> list[ColumnElement[bool]]:
    """Ask for the position sides that have lots."""
    return [positions.c.today + positions.c.yesterday > 0] if only else []


def running(only: bool) -> list[ColumnElement[bool]]:
    """Ask for the strategies that should run."""
    return [strategy_configs.c.active] if only else []


def between(first: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    """Ask for the log records of a time."""
    time = system_logs.c.time
    return [*([time >= first] if first else ()), *([time < end] if end else ())]


def at_least(level: str | None) -> Sequence[str]:
    """Give a level and the graver ones."""
    return LEVELS[LEVELS.index(level) :] if level else ()


def query(listing: Listing, filters: Filters) -> Select[Any]:
    """Select the rows, in their order."""
    asked = select(listing.table).order_by(*listing.order).where(*filters.more)
    for name, value in filters.equal.items():
        if value:
            column = listing.table.c[name]
            asked = asked.where(column == value if isinstance(value, str) else column.in_(value))
    if filters.first_day:
        asked = asked.where(listing.table.c.trading_day >= filters.first_day)
    if filters.last_day:
        asked = asked.where(listing.table.c.trading_day <= filters.last_day)
    return asked.where(*contains(filters.text or "", *listing.text))


def read(connection: Connection, asked: Select[Any]) -> list[Row]:
    """Give the rows; raises Refused for a database without our tables."""
    migrated(connection)
    return [dict(row) for row in connection.execute(asked).mappings()]
