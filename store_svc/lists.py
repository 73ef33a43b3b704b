"""A page of a list, in the order of columns that tell its rows apart."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Select, and_, or_, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.errors import InvalidField
from arbig.pages import DEFAULT_SIZE, Place, from_token, page_size, to_token
from arbig.store.v1.store_pb2 import SORT_ORDER_OLDEST_FIRST
from store_svc.checks import Fields

M = TypeVar("M", bound=Message)
# The columns that sort a list; "-seq" falls. Together they tell the rows apart.
Order = Sequence[str]
# What a column of eight bytes holds.
LOWEST, HIGHEST = -(2**63), 2**63 - 1
# A page has fewer rows than were asked for where they would not fit into a message.
PAGE_BYTES = 3 << 20


def page(
    request: Any,
    query: Select[Any],
    order: Order,
    item: Callable[[Any], M],
    size: int = DEFAULT_SIZE,
) -> Callable[[AsyncConnection], Awaitable[tuple[list[M], str]]]:
    """Make what reads the page that the request asks for, and the token of the next one.

    Raises InvalidField for a page size or token that is none.
    """
    size = page_size(request.page_size, size)
    wanted = keyset(query, order, from_token(request.page_token, request), size + 1)

    async def read(connection: AsyncConnection) -> tuple[list[M], str]:
        found = await connection.execute(wanted)
        names = list(found.keys())
        rows = [dict(zip(names, row, strict=True)) for row in found]  # quicker to look into than mappings
        items = _fitting(map(item, rows[:size]))
        if len(items) == len(rows):
            return items, ""
        last = rows[len(items) - 1]
        return items, to_token(tuple(last[_name(one)] for one in order), request)

    return read


def keyset(query: Select[Any], order: Order, place: Place | None, limit: int | None) -> Select[Any]:
    """Select the first rows that come after a place.

    What arrives meanwhile moves none of them, as an offset would. Raises InvalidField for a place
    that is none: whoever knows how a token is made can make one.
    """
    columns = [query.selected_columns[_name(one)] for one in order]
    falls = [one.startswith("-") for one in order]
    if place is not None:
        if len(place) != len(columns) or not all(map(_can_be, place, columns)):
            raise InvalidField("page_token", "names no place in this list")
        query = query.where(_after(columns, falls, place))
    return query.order_by(*(one.desc() if fall else one for one, fall in zip(columns, falls, strict=True))).limit(limit)


def _can_be(value: object, column: ColumnElement[Any]) -> bool:
    """Whether a column may have the value."""
    if column.type.python_type is int:
        return type(value) is int and LOWEST <= value <= HIGHEST
    return isinstance(value, str) and value == value.encode(errors="ignore").decode()


def _after(columns: list[ColumnElement[Any]], falls: list[bool], place: Place) -> ColumnElement[bool]:
    equal = [column == value for column, value in zip(columns, place, strict=True)]
    beyond = [one < value if fall else one > value for one, fall, value in zip(columns, falls, place, strict=True)]
    spelled_out = or_(*(and_(*equal[:number], one) for number, one in enumerate(beyond)))
    if len(columns) == 1 or len(set(falls)) > 1:
        return spelled_out
    # SQLite finds the place in an index by the comparison of rows, MySQL by the one spelled out.
    row, there = tuple_(*columns), tuple_(*place)
    return and_(row < there if falls[0] else row > there, spelled_out)


def _name(one: str) -> str:
    return one.removeprefix("-")


def as_asked(request: Any, newest_first: Order) -> Order:
    """Give the order that the request asks for; raises InvalidField for one that is none."""
    Fields(request).choice("sort", required=False)
    order = undecided(request, newest_first)
    if request.sort != SORT_ORDER_OLDEST_FIRST:
        return order
    return [_name(one) if one.startswith("-") else f"-{one}" for one in order]


def undecided(request: Any, order: Order) -> Order:
    """Leave out of an order the columns that the request gives one value.

    MariaDB would sort by them, and no longer see that an index gives the rest in order.
    """
    return [one for one in order if not getattr(request, _name(one), "")]


def _fitting(items: Iterable[M]) -> list[M]:
    """Give the first items that fit into a message, one at least."""
    kept: list[M] = []
    size = 0
    for item in items:
        size += item.ByteSize()
        if kept and size > PAGE_BYTES:
            break
        kept.append(item)
    return kept
