"""The views: questions that people ask so often that the database answers them by name.

A view is dropped before the tables under it change and made again afterwards (`migrate.py`): so one
that asks something new needs a migration too, if only an empty one, to come to databases that are
there.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    MetaData,
    Select,
    Table,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    text,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from store_svc.tables.columns import PLACES
from store_svc.tables.schema import accounts, positions, strategy_triggers, trades

# A double on both engines: SQLite's money are whole numbers, which it would divide as such.
_ONE = literal_column("1e0", Double)


class average_money(GenericFunction[float]):  # noqa: N801 - SQLAlchemy's way to name a function
    """The average of amounts, as a double."""

    type = Double()
    inherit_cache = True


@compiles(average_money)
def _average(element: average_money, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"avg({compiler.process(element.clauses, **kwargs)}) * 1e0"


@compiles(average_money, "sqlite")
def _average_of_steps(element: average_money, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"avg({compiler.process(element.clauses, **kwargs)}) / 1e{PLACES}"


def _total(numbers: ColumnElement[int]) -> ColumnElement[int]:
    """Add whole numbers up: MySQL's sum of them is a decimal."""
    return cast(func.coalesce(func.sum(numbers), 0), BigInteger)


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return _total(case((condition, 1), else_=0))


def _account_summary() -> Select[Any]:
    held = positions.c.today + positions.c.yesterday
    whose = positions.c.account_id == accounts.c.account_id
    share = type_coerce(accounts.c.margin * _ONE / accounts.c.balance, Double)
    kept = ("balance", "available", "margin", "position_profit", "close_profit", "commission")
    return select(
        accounts.c.account_id,
        *(accounts.c[name] for name in kept),
        case((accounts.c.balance > literal_column("0"), share), else_=null()).label("risk_ratio"),
        select(func.count()).where(whose, held > 0).scalar_subquery().label("position_count"),
        select(_total(held)).where(whose).scalar_subquery().label("position_volume"),
        accounts.c.trading_day,
        accounts.c.update_time,
    )


def _daily_trade_summary() -> Select[Any]:
    def lots(direction: str) -> ColumnElement[int]:
        return _total(case((trades.c.direction == direction, trades.c.volume), else_=0))

    unknown = func.count() > func.count(trades.c.commission)
    return select(
        trades.c.account_id,
        trades.c.trading_day,
        func.count().label("trade_count"),
        lots("BUY").label("buy_volume"),
        lots("SELL").label("sell_volume"),
        case((unknown, null()), else_=func.sum(trades.c.commission)).label("commission"),
        func.min(trades.c.time).label("first_trade_time"),
        func.max(trades.c.time).label("last_trade_time"),
    ).group_by(trades.c.account_id, trades.c.trading_day)


def _strategy_trigger_summary() -> Select[Any]:
    triggers = strategy_triggers.c
    return select(
        triggers.strategy,
        triggers.trading_day,
        func.count().label("trigger_count"),
        _count_where(triggers.result == "SUCCESS").label("success_count"),
        _count_where(triggers.result == "FAILED").label("failed_count"),
        _count_where(triggers.signal != "HOLD").label("signal_count"),
        average_money(triggers.price).label("average_price"),
    ).group_by(triggers.strategy, triggers.trading_day)


VIEWS: Mapping[str, Select[Any]] = {
    "account_summary": _account_summary(),
    "daily_trade_summary": _daily_trade_summary(),
    "strategy_trigger_summary": _strategy_trigger_summary(),
}


def _typed(view: str) -> Table:
    """Name a view's columns and their types, as a table's: money comes back as money."""
    return Table(view, _METADATA, *(Column(one.name, one.type) for one in VIEWS[view].selected_columns))


# Not the tables' own, which Alembic would make.
_METADATA = MetaData()
ACCOUNT_SUMMARY = _typed("account_summary")
DAILY_TRADE_SUMMARY = _typed("daily_trade_summary")
STRATEGY_TRIGGER_SUMMARY = _typed("strategy_trigger_summary")


def drop_views(connection: Connection) -> None:
    """Take the views away, those that are there."""
    for view in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {view}")


def create_views(connection: Connection) -> None:
    """Make the views."""
    for view, query in VIEWS.items():
        body = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        # Not as a parameterised statement: a view keeps no parameters, and "%" is doubled in those.
        connection.execute(text(f"CREATE VIEW {view} AS {body}"))
