"""What the tables and views are, as the database has them."""

from typing import Any

from sqlalchemy import Connection, Inspector, func, inspect, select
from sqlalchemy.types import NullType, TypeEngine

from arbig.errors import NotFound
from arbig.store.v1.admin_pb2 import ColumnInfo, DescribeTablesResponse, IndexInfo, TableInfo
from store_svc.tables.migrate import migrated
from store_svc.tables.schema import METADATA
from store_svc.tables.views import VIEWS

NAMES = sorted([*METADATA.tables, *VIEWS])


def checked(name: str) -> list[str]:
    """Give the name of one of our tables, as a list; raises NotFound."""
    if name not in NAMES:
        raise NotFound(f'no table or view "{name}": there are {", ".join(NAMES)}', "NO_SUCH_TABLE")
    return [name]


def describe(connection: Connection, names: list[str]) -> DescribeTablesResponse:
    """Describe our tables and views of these names; raises Refused for a database without them."""
    revision, inspector = migrated(connection), inspect(connection)
    return DescribeTablesResponse(tables=[_table(connection, inspector, name) for name in names], revision=revision)


def _table(connection: Connection, inspector: Inspector, name: str) -> TableInfo:
    found = TableInfo(name=name, view=name in VIEWS, columns=_columns(connection, inspector, name))
    if not found.view:
        found.rows = connection.execute(select(func.count()).select_from(METADATA.tables[name])).scalar_one()
        indexes = map(_index, inspector.get_indexes(name))
        found.indexes.extend(sorted(indexes, key=lambda index: index.name))
    return found


def _columns(connection: Connection, inspector: Inspector, name: str) -> list[ColumnInfo]:
    key = [] if name in VIEWS else inspector.get_pk_constraint(name)["constrained_columns"]
    return [
        ColumnInfo(
            name=column["name"],
            type=_type(connection, column["type"]),
            nullable=column["nullable"],
            primary_key=column["name"] in key,
        )
        for column in inspector.get_columns(name)
    ]


def _type(connection: Connection, kind: TypeEngine[Any]) -> str:
    # SQLite does not know what an expression of a view gives.
    return "" if isinstance(kind, NullType) else str(kind.compile(connection.dialect))


def _index(index: Any) -> IndexInfo:
    return IndexInfo(name=index["name"], columns=index["column_names"], unique=bool(index["unique"]))
