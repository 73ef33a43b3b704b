"""Random rows of every table: the extremes of each column, and what people might call things."""

import random
import string
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Integer, LargeBinary, Table

from store_svc.tables.columns import LIMIT, STEP, Document, Money
from store_svc.tables.schema import METADATA

LETTERS = string.ascii_letters + string.digits + "._:-"
TEXTS = (
    "",
    " ",
    "平仓失败：资金不足",
    "🥇 au2604 🥇",
    "'; DROP TABLE orders; --",
    "a\nb\tc\r\n",
    'quo"te\\back',
    "%s %(x)s",
)
# Each begins as the first does: MySQL compares keys as if blanks followed.
NEIGHBOURS = ("a", "a!", "a b", "a0", "a\x7f", "aé", "a金", "a🥇", " a")
MOST = LIMIT - STEP


def rows(table: Table, count: int, seed: int) -> list[dict[str, Any]]:
    """Make rows of a table that differ in every unique column."""
    dice = random.Random(f"{table.name} {seed}")
    return [{column.name: _value(column, number, dice) for column in table.c} for number in range(count)]


def every_table(count: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Make rows of every table but the sequences, which are there."""
    return {name: rows(table, count, seed) for name, table in METADATA.tables.items() if name != "sequences"}


def _value(column: Column[Any], number: int, dice: random.Random) -> Any:
    if column.nullable and dice.random() < 0.3:
        return None
    if column.primary_key or "seq" in column.name or column.name == "log_id":
        return _unique(column, number, dice)
    return _any(column, dice)


def _unique(column: Column[Any], number: int, dice: random.Random) -> Any:
    if isinstance(column.type, Integer):
        return number + 2**62 if number % 2 else number
    length = column.type.length or 64  # type: ignore[attr-defined]
    # Told apart by case alone, now and then.
    name = dice.choice(["order", "Order", "ORDER", "é", "金"]) + f"-{number}-" + "".join(dice.choices(LETTERS, k=4))
    if number < len(NEIGHBOURS):
        name = NEIGHBOURS[number]
    return name[:length] if length >= 24 else f"{number:0{min(length, 8)}d}"


def _money(dice: random.Random) -> Decimal:
    digits = dice.choice([dice.randrange(1, 10**18), dice.randrange(10**8)])
    return dice.choice([MOST, -MOST, Decimal(0), STEP, -STEP, Decimal(digits) * STEP])


def _moment(dice: random.Random) -> datetime:
    return datetime(2026, 3, 9) + timedelta(microseconds=dice.randrange(10**11) * dice.choice([1, 1_000_000]))  # noqa: DTZ001


# By the column's type, the most special first.
_VALUES: dict[type, Callable[[random.Random], Any]] = {
    Money: _money,
    Document: lambda dice: dice.choice([{}, {"b": [1, None, "🥇"], "a": {"é": 1e-7}, "n": 1 / 3}]),
    Double: lambda dice: dice.choice([0.0, 450.02, 1 / 3, 1e-300, 1.7e308, dice.random() * 10 ** dice.randrange(9)]),
    Boolean: lambda dice: dice.random() < 0.5,
    BigInteger: lambda dice: dice.choice([0, 2**63 - 1, -(2**63), dice.randrange(2**40)]),
    Integer: lambda dice: dice.choice([0, 2**31 - 1, -(2**31), dice.randrange(1000)]),
    DateTime: _moment,
    LargeBinary: lambda dice: dice.choice([b"", bytes(range(256)), dice.randbytes(5000)]),
}


def _any(column: Column[Any], dice: random.Random) -> Any:
    for kind, value in _VALUES.items():
        if isinstance(column.type, kind):
            return value(dice)
    return dice.choice([*TEXTS, "x" * 300])[: column.type.length or 300]  # type: ignore[attr-defined]
