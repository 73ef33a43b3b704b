"""The questions that the tables answer; every value a caller gives is a bound parameter."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, and_, or_, select

from store_svc.pages import Place
from store_svc.records import Record


def newest_first(record: Record[Any], filters: Mapping[str, str], before: Place | None, limit: int) -> Select[Any]:
    """Select the newest `limit` rows that lie before a place.

    Rows that arrive meanwhile are newer than every page, so they move none.
    """
    epoch, seq = (record.table.c[name] for name in record.first)
    query = _filtered(record, filters).order_by(epoch.desc(), seq.desc()).limit(limit)
    if before:
        query = query.where(and_(epoch <= before.epoch, or_(epoch < before.epoch, seq < before.seq)))
    return query


def by_key(record: Record[Any], filters: Mapping[str, str]) -> Select[Any]:
    """Select all rows, in the order of their keys."""
    return _filtered(record, filters).order_by(*record.table.primary_key)


def _filtered(record: Record[Any], filters: Mapping[str, str]) -> Select[Any]:
    wanted = [record.table.c[name] == value for name, value in filters.items() if value]
    return select(record.table).where(*wanted)
