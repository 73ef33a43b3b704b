"""The filters of the lists as conditions; every value that a caller gives is a bound parameter."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, String, Table, func, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from arbig.store.v1.store_pb2 import SORT_ORDER_OLDEST_FIRST
from store_svc.checks import Fields
from store_svc.tables.words import words


def equal(request: Any, table: Any, *names: str) -> list[ColumnElement[bool]]:
    """Give the conditions of those fields that the request gives a value, which the columns must have."""
    given = [(table.c[name], value) for name in names if (value := getattr(request, name))]
    # MySQL takes a text for the same one with blanks behind it.
    exactly = [func.instr(column, value) > 0 for column, value in given if value.endswith(" ")]
    return [column == value for column, value in given] + exactly


def among(column: ColumnElement[str], described: Any, numbers: Iterable[int]) -> list[ColumnElement[bool]]:
    """Give the condition that a column has one of an enum's words; none for no numbers."""
    # Each once: a caller may repeat one until the statement is too long for the database.
    wanted = [words(described)[one] for one in sorted(set(numbers))]
    return [column.in_(wanted)] if wanted else []


def within(request: Any, table: Any) -> list[ColumnElement[bool]]:
    """Give the conditions of a range of trading days; raises InvalidField for a day that is none."""
    Fields(request).days("first_trading_day", "last_trading_day")
    day, first, last = table.c.trading_day, request.first_trading_day, request.last_trading_day
    if first and first == last:
        return [day == first]
    return ([day >= first] if first else []) + ([day <= last] if last else [])


def found_by_day(query: Select[Any], request: Any, table: Table) -> Select[Any]:
    """Let MySQL find a range of days by its index, and sort then.

    It would rather walk along the whole list to find a page of it, past all that is newer. Where
    the list begins with days of the range that is right, and it may choose.
    """
    oldest_first = request.sort == SORT_ORDER_OLDEST_FIRST
    if not (request.first_trading_day if oldest_first else request.last_trading_day):
        return query
    return query.with_hint(table, f"USE INDEX ({table.name}_trading_day_newest)", "mysql")


class without_case(GenericFunction[str]):  # noqa: N801 - SQLAlchemy's way to name a function
    """A text in which A-Z are a-z, and which is compared byte by byte."""

    type = String()
    inherit_cache = True


@compiles(without_case)
def _lowered(element: without_case, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"lower({compiler.process(element.clauses, **kwargs)})"


@compiles(without_case, "mysql")
def _lowered_in_bytes(element: without_case, compiler: SQLCompiler, **kwargs: Any) -> str:
    # Its LOWER makes É an é too. Taken for Hebrew, whose bytes are letters that have one case, the
    # bytes of a text stay as they are, but for A-Z.
    text = f"CAST({compiler.process(element.clauses, **kwargs)} AS BINARY)"
    return f"CAST(lower(CONVERT({text} USING hebrew)) AS BINARY)"


def contains(text: str, *columns: Column[str]) -> list[ColumnElement[bool]]:
    """Give the condition that one of the columns has the text in it; none for an empty one.

    Not LIKE: SQLite ends its pattern at a NUL.
    """
    return [or_(*(func.instr(without_case(column), without_case(text)) > 0 for column in columns))] if text else []
