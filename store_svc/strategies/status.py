"""How a strategy does: what it triggered, and what the trades of its orders add up to."""

from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.store.v1 import strategy_pb2 as pb
from store_svc.strategies import configs
from store_svc.strategies.triggers import TRADING_DAY
from store_svc.tables.schema import orders, strategy_triggers, trades


async def status(connection: AsyncConnection, strategy: str) -> pb.GetStrategyStatusResponse:
    """Ask for it in one transaction; raises NotFound."""
    config = await configs.find(connection, strategy)
    day = await connection.scalar(TRADING_DAY) or ""
    counted = (await connection.execute(_counts(strategy, day))).one()
    ended = counted.succeeded + counted.failed
    return pb.GetStrategyStatusResponse(
        strategy=strategy,
        active=config.active,
        last_trigger_time=counted.last,
        trading_day=day,
        triggers_today=counted.today,
        success_rate=counted.succeeded / ended if ended else None,
        positions=await _positions(connection, strategy),
    )


async def _positions(connection: AsyncConnection, strategy: str) -> list[pb.StrategyPosition]:
    rows = await connection.execute(_held(strategy))
    return [
        # MySQL's sums are decimals.
        pb.StrategyPosition(account_id=account, symbol=symbol, long_volume=int(long), short_volume=int(short))
        for account, symbol, long, short in rows
    ]


def _counts(strategy: str, day: str) -> Select[*tuple[Any, ...]]:
    triggers = strategy_triggers.c
    return select(
        func.max(triggers.time).label("last"),
        func.count(case((triggers.trading_day == day, 1))).label("today"),
        func.count(case((triggers.result == "SUCCESS", 1))).label("succeeded"),
        func.count(case((triggers.result == "FAILED", 1))).label("failed"),
    ).where(triggers.strategy == strategy)


def _held(strategy: str) -> Select[Any]:
    """Select what is open: lots are bought open and sold close, or sold open and bought close."""
    long, short = _lots("BUY", "SELL"), _lots("SELL", "BUY")
    whose = (trades.c.account_id, trades.c.symbol)
    return (
        select(*whose, long, short)
        .join(
            orders,
            (orders.c.account_id == trades.c.account_id) & (orders.c.client_order_id == trades.c.client_order_id),
        )
        .where(orders.c.strategy == strategy)
        .group_by(*whose)
        .having((long != 0) | (short != 0))
        .order_by(*whose)
    )


def _lots(opens: str, closes: str) -> ColumnElement[int]:
    opened = (trades.c.direction == opens) & (trades.c.offset == "OPEN")
    closed = (trades.c.direction == closes) & (trades.c.offset != "OPEN")
    return func.sum(case((opened, trades.c.volume), (closed, -trades.c.volume), else_=0))
