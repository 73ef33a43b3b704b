"""How an order ended, and what a position costs and won.

The new columns may be empty: of rows that are there nobody knows it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from store_svc.tables.columns import Money, moment, name
from store_svc.tables.migrations.there import has_columns

revision = "0004"
down_revision = "0003"


def added() -> dict[str, list[sa.Column[Any]]]:
    """Give the columns that each table gets."""
    return {
        "orders": [
            sa.Column("refused", sa.Boolean),
            sa.Column("cancelled_by", name(32)),
            sa.Column("cancel_time", moment()),
            sa.Column("auto_offset", sa.Boolean),
        ],
        "positions": [
            sa.Column("cost_price", sa.Double),
            sa.Column("margin", Money),
            sa.Column("close_profit", Money),
        ],
    }


def upgrade() -> None:
    """Add what is not there yet."""
    for table, columns in added().items():
        there = has_columns(table)
        for column in columns:
            if column.name not in there:
                op.add_column(table, column)


def downgrade() -> None:
    """Take them away, with what they hold."""
    for table, columns in added().items():
        there = has_columns(table)
        with op.batch_alter_table(table) as changed:
            for column in columns:
                if column.name in there:
                    changed.drop_column(column.name)
