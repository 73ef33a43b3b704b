"""How a value is kept, so that SQLite and MySQL hold exactly the same.

The migrations build on these too: what is here may grow, but never change its meaning.
"""

from decimal import Decimal
from typing import Any, TypedDict

import orjson
from sqlalchemy import BigInteger, DateTime, Dialect, LargeBinary, Numeric, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

DIGITS, PLACES = 18, 4
STEP = Decimal(1).scaleb(-PLACES)
# The first amount that does not fit.
LIMIT = Decimal(10) ** (DIGITS - PLACES)


class TableOptions(TypedDict):
    """What MySQL is told about a table."""

    mysql_engine: str
    mysql_charset: str
    mysql_collate: str


# For every table: transactions, and text as people sort it.
TABLE_OPTIONS = TableOptions(mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_unicode_ci")


class Money(TypeDecorator[Decimal]):
    """Yuan to a hundredth of a cent, exact: DECIMAL(18,4), and whole steps of 0.0001 on SQLite.

    SQLite has no decimals: its NUMERIC is a double.
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose what the engine keeps."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(DIGITS, PLACES))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        """Give what the engine is told."""
        if value is None or dialect.name != "sqlite":
            return value
        return int(value.quantize(STEP).scaleb(PLACES))

    def process_result_value(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | None:
        """Give the amount back."""
        if isinstance(value, int):
            return Decimal(value).scaleb(-PLACES)
        return value


def name(length: int) -> String:
    """Make a name that is told apart byte by byte, as CTP and our callers do.

    The tables' own collation would take the orders "A1" and "a1" for one.
    """
    return String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql")


def moment() -> DateTime:
    """Make a point in time, UTC, to the microsecond."""
    return DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def words() -> Text:
    """Make a text for people, as long as 16 MiB on MySQL."""
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


def blob() -> LargeBinary:
    """Make bytes, as many as 16 MiB on MySQL."""
    return LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


class Document(TypeDecorator[dict[str, Any]]):
    """A JSON object as text, its keys sorted: MariaDB's JSON, MySQL's and SQLite's are three types."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose what the engine keeps."""
        return dialect.type_descriptor(mysql.MEDIUMTEXT() if dialect.name == "mysql" else Text())

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        """Give what the engine is told."""
        return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        """Give the object back."""
        return None if value is None else orjson.loads(value)
