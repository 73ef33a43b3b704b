"""What a database has already: a migration that was killed half way is finished at the next start.

MySQL commits each statement of a migration by itself.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from arbig.errors import ConfigError
from store_svc.tables.columns import TABLE_OPTIONS


def make_table(name: str, columns: Sequence[sa.Column[Any]]) -> None:
    """Make a table, if it is not there; raises ConfigError where it is another program's."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *columns, **TABLE_OPTIONS)
    elif has_columns(name) != {column.name for column in columns}:
        raise ConfigError(f'store.database: it has a table "{name}" that is not ours; name an empty database')


def drop_table(name: str) -> None:
    """Take a table away, with its rows, if it is there."""
    if sa.inspect(op.get_bind()).has_table(name):
        op.drop_table(name)


def has_columns(table: str) -> set[str]:
    """Give the names of a table's columns."""
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def make_index(name: str, table: str, columns: Sequence[str], *, unique: bool = False) -> None:
    """Make an index, if it is not there."""
    if name not in _indexes(table):
        op.create_index(name, table, list(columns), unique=unique)


def drop_index(name: str, table: str) -> None:
    """Take an index away, if it is there: MySQL has no IF EXISTS for it."""
    if name in _indexes(table):
        op.drop_index(name, table)


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
