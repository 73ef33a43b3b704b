"""Rows of a long history, as many as a test wants: what the tables look like after some years."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store_svc.tables import schema

EPOCH = 1_760_000_000_000
ACCOUNTS = [f"sim00{number}" for number in range(5)]
SYMBOLS = [f"au26{month:02}" for month in range(1, 13)]
STRATEGIES = [f"spread-{number}" for number in range(7)]
LEVELS = ["DEBUG", "INFO", "INFO", "INFO", "WARNING", "ERROR"]
# What most orders end as; of the others there are few.
STATES = ["FILLED"] * 17 + ["CANCELLED"] * 2 + ["REJECTED"]
BEGAN = datetime(2026, 3, 9, 1)  # noqa: DTZ001 - UTC
Row = dict[str, Any]


def trading_day(number: int, count: int, days: int = 40) -> str:
    """Give the day on which the `number`th of `count` events fell."""
    return f"{BEGAN + timedelta(days=number * days // count):%Y%m%d}"


def order_rows(count: int) -> Iterator[Row]:
    """Make orders of some accounts, instruments and strategies."""
    for number in range(count):
        time = BEGAN + timedelta(seconds=number)
        yield {
            "account_id": ACCOUNTS[number % 5],
            "client_order_id": f"o{number}",
            "epoch": EPOCH,
            "first_seq": 5 * number + 1,
            "symbol": SYMBOLS[number % 12],
            "exchange": "SHFE",
            "direction": ("BUY", "SELL")[number % 2],
            "offset": ("OPEN", "CLOSE_TODAY")[number // 2 % 2],
            "type": "LIMIT",
            "price": Decimal("450.02") + number % 500,
            "volume": 1 + number % 9,
            "filled_volume": 1 + number % 9,
            "average_price": 450.02 + number % 500,
            "state": "ACCEPTED" if number % 500 == 0 else STATES[number % 20],
            "status_text": "全部成交报单已提交",
            "error_id": None,
            "trading_day": trading_day(number, count),
            "create_time": time,
            "update_time": time + timedelta(milliseconds=12),
            "strategy": STRATEGIES[number % 7],
            "submit_mid_price": Decimal("450.01"),
            "order_sys_id": f"{number:12}",
            "front_id": 1,
            "session_id": 17,
            "order_ref": str(number),
            "external": False,
            "reported_volume": 1 + number % 9,
            "venue_status": "0",
        }


def trade_rows(count: int) -> Iterator[Row]:
    """Make a trade of each order of as many orders."""
    for order in order_rows(count):
        same = ("account_id", "trading_day", "exchange", "direction", "client_order_id", "order_sys_id", "symbol")
        yield {
            **{name: order[name] for name in (*same, "offset", "price", "volume", "epoch")},
            "trade_id": order["order_ref"],
            "seq": order["first_seq"] + 2,
            "time": order["update_time"],
            "commission": Decimal("10.02"),
        }


def position_rows() -> Iterator[Row]:
    """Make both sides of many accounts' instruments."""
    for number, account in enumerate(f"sim{number:03}" for number in range(100)):
        for symbol in SYMBOLS:
            for side in ("LONG", "SHORT"):
                lots = {"today": number % 3, "yesterday": 1, "today_frozen": 0, "yesterday_frozen": 0}
                name = {"account_id": account, "symbol": symbol, "side": side, "exchange": "SHFE"}
                yield {**name, **lots, "open_price": 450.0, "trading_day": "20260309"}


def account_rows() -> Iterator[Row]:
    """Make the accounts."""
    names = {"account_id", "trading_day", "update_time"}
    for account in (f"sim{number:03}" for number in range(100)):
        money = {column.name: Decimal(1000) for column in schema.accounts.c if column.name not in names}
        yield {"account_id": account, **money, "trading_day": "20260309", "update_time": BEGAN}


def trigger_rows(count: int) -> Iterator[Row]:
    """Make triggers of each strategy."""
    for number in range(count):
        time = BEGAN + timedelta(seconds=number)
        yield {
            "strategy": STRATEGIES[number % 7],
            "trigger_id": f"t{number}",
            "first_seq": number + 1,
            "seq": number + 1,
            "content": f"{number:032}",
            "time": time,
            "trading_day": trading_day(number, count),
            "condition": f"spread above {number % 10}",
            "price": Decimal("450.02"),
            "signal": ("BUY", "SELL", "CLOSE_LONG", "HOLD")[number % 4],
            "action": ("BUY", "SELL", "CLOSE", "HOLD")[number % 4],
            "result": "PENDING" if number % 500 == 0 else ("SUCCESS", "SUCCESS", "FAILED", "IGNORED")[number % 4],
            "account_id": ACCOUNTS[number % 5],
            "client_order_id": f"o{number}",
            "volume": 1,
            "error_message": "",
            "execution_time": time,
            "create_time": time,
            "update_time": time,
        }


def config_rows() -> Iterator[Row]:
    """Make the configurations of many strategies, few of them active."""
    for number in range(1000):
        yield {
            "strategy": f"spread-{number}",
            "strategy_class": "strategies.Spread",
            "parameters": {"symbol": "au2604"},
            "active": number % 100 == 0,
            "description": "",
            "version": 1,
            "create_time": BEGAN,
            "update_time": BEGAN,
        }


def change_rows() -> Iterator[Row]:
    """Make what each configuration was when it was made, and after each of two changes."""
    for version in (1, 2, 3):
        for number, config in enumerate(config_rows(), 1000 * version - 999):
            kind = "UPDATED" if version > 1 else "CREATED"
            yield {**config, "version": version, "seq": number, "time": BEGAN, "kind": kind}


def log_rows(count: int) -> Iterator[Row]:
    """Make records of each service."""
    for number in range(count):
        yield {
            "seq": number + 1,
            "log_id": f"l{number}",
            "time": BEGAN + timedelta(seconds=number),
            "level": "CRITICAL" if number % 1000 == 0 else LEVELS[number % 6],
            "service": ("market", "trade", "store", "bridge")[number % 4],
            "module": f"module{number % 20}",
            "message": f"order accepted {number}",
            "details": {"number": number},
        }


def history(count: int) -> dict[Table, Iterator[Row]]:
    """Make the rows of every table that grows, `count` of each, and of those that do not."""
    return {
        schema.accounts: account_rows(),
        schema.positions: position_rows(),
        schema.orders: order_rows(count),
        schema.trades: trade_rows(count),
        schema.strategy_configs: config_rows(),
        schema.strategy_changes: change_rows(),
        schema.strategy_triggers: trigger_rows(count),
        schema.system_logs: log_rows(count),
    }


async def fill(connection: AsyncConnection, count: int) -> None:
    """Insert the rows, and say that they are there."""
    for table, rows in history(count).items():
        await connection.execute(insert(table), list(rows))
    await connection.execute(schema.sequences.update().values(epoch=EPOCH, seq=count))
