"""Strategies, their triggers, the system log, events set aside, and the commission of a trade."""

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

from store_svc.tables.columns import Document, Money, blob, moment, name, words
from store_svc.tables.migrations.there import drop_index, drop_table, has_columns, make_index, make_table

revision = "0002"
down_revision = "0001"

STREAMS = ("strategies", "triggers", "logs")
INDEXES: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "orders_strategy_newest": ("orders", ("strategy", "epoch", "first_seq"), False),
    "orders_state_newest": ("orders", ("state", "epoch", "first_seq"), False),
    "trades_order_newest": ("trades", ("client_order_id", "epoch", "seq"), False),
    "strategy_configs_active": ("strategy_configs", ("active", "strategy"), False),
    "strategy_changes_strategy_newest": ("strategy_changes", ("strategy", "seq"), False),
    "strategy_triggers_newest": ("strategy_triggers", ("first_seq",), True),
    "strategy_triggers_changed": ("strategy_triggers", ("seq",), True),
    "strategy_triggers_strategy_newest": ("strategy_triggers", ("strategy", "first_seq"), False),
    "strategy_triggers_strategy_changed": ("strategy_triggers", ("strategy", "seq"), False),
    "strategy_triggers_trading_day_newest": ("strategy_triggers", ("trading_day", "first_seq"), False),
    "strategy_triggers_result_newest": ("strategy_triggers", ("result", "first_seq"), False),
    "system_logs_log_id": ("system_logs", ("log_id",), True),
    "system_logs_time": ("system_logs", ("time",), False),
    "system_logs_level_newest": ("system_logs", ("level", "seq"), False),
    "system_logs_service_newest": ("system_logs", ("service", "seq"), False),
    "system_logs_module_newest": ("system_logs", ("module", "seq"), False),
}


def _config() -> list[sa.Column[Any]]:
    return [
        sa.Column("strategy_class", sa.String(200), nullable=False),
        sa.Column("parameters", Document, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("description", words(), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", moment(), nullable=False),
        sa.Column("update_time", moment(), nullable=False),
    ]


def tables() -> dict[str, list[sa.Column[Any]]]:
    """Give the columns of each new table."""
    return {
        "sequences": [
            sa.Column("name", name(50), primary_key=True),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("seq", sa.BigInteger, nullable=False),
        ],
        "set_aside": [
            sa.Column("stream", name(50), primary_key=True),
            sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("kind", name(24), nullable=False),
            sa.Column("reason", words(), nullable=False),
            sa.Column("time", moment(), nullable=False),
            sa.Column("event", blob(), nullable=False),
        ],
        "strategy_configs": [sa.Column("strategy", name(64), primary_key=True), *_config()],
        "strategy_changes": [
            sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("time", moment(), nullable=False),
            sa.Column("kind", name(24), nullable=False),
            sa.Column("strategy", name(64), nullable=False),
            *_config(),
        ],
        "strategy_triggers": [
            sa.Column("strategy", name(64), primary_key=True),
            sa.Column("trigger_id", name(64), primary_key=True),
            sa.Column("first_seq", sa.BigInteger, nullable=False),
            sa.Column("seq", sa.BigInteger, nullable=False),
            sa.Column("content", name(32), nullable=False),
            sa.Column("time", moment(), nullable=False),
            sa.Column("trading_day", name(8), nullable=False),
            sa.Column("condition", words(), nullable=False),
            sa.Column("price", Money),
            sa.Column("signal", name(24), nullable=False),
            sa.Column("action", name(24), nullable=False),
            sa.Column("result", name(24), nullable=False),
            sa.Column("account_id", name(50), nullable=False),
            sa.Column("client_order_id", name(100), nullable=False),
            sa.Column("volume", sa.Integer),
            sa.Column("error_message", words(), nullable=False),
            sa.Column("execution_time", moment()),
            sa.Column("create_time", moment(), nullable=False),
            sa.Column("update_time", moment(), nullable=False),
        ],
        "system_logs": [
            sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("log_id", name(64), nullable=False),
            sa.Column("time", moment(), nullable=False),
            sa.Column("level", name(24), nullable=False),
            sa.Column("service", name(64), nullable=False),
            sa.Column("module", name(200), nullable=False),
            sa.Column("message", words(), nullable=False),
            sa.Column("details", Document),
        ],
    }


def upgrade() -> None:
    """Make the new tables, the new column and the new indexes."""
    for table, columns in tables().items():
        make_table(table, columns)
    if "commission" not in has_columns("trades"):
        op.add_column("trades", sa.Column("commission", Money))
    for index, (table, names, unique) in INDEXES.items():
        make_index(index, table, names, unique=unique)
    _begin_streams()


def _begin_streams() -> None:
    sequences = sa.table("sequences", sa.column("name"), sa.column("epoch"), sa.column("seq"))
    begun = set(op.get_bind().scalars(sa.select(sequences.c.name)))
    rows = [{"name": one, "epoch": time.time_ns() // 1_000_000, "seq": 0} for one in STREAMS if one not in begun]
    op.bulk_insert(sequences, rows)


def downgrade() -> None:
    """Take the new tables away, with their rows, and the trades' commission."""
    for table in reversed(tables()):
        drop_table(table)
    for index, (table, _, _) in INDEXES.items():
        if table not in tables():
            drop_index(index, table)
    if "commission" in has_columns("trades"):
        with op.batch_alter_table("trades") as trades:
            trades.drop_column("commission")
