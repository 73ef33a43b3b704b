"""The first tables: accounts, positions, orders, trades, and how far each stream is stored."""

from typing import Any

import sqlalchemy as sa

from store_svc.tables.columns import Money, moment, name
from store_svc.tables.migrations.there import drop_table, make_index, make_table

revision = "0001"
down_revision = None

INDEXES = {
    "positions_symbol": ("positions", ("symbol",)),
    "orders_newest": ("orders", ("epoch", "first_seq")),
    "orders_account_newest": ("orders", ("account_id", "epoch", "first_seq")),
    "orders_symbol_newest": ("orders", ("symbol", "epoch", "first_seq")),
    "orders_trading_day_newest": ("orders", ("trading_day", "epoch", "first_seq")),
    "trades_newest": ("trades", ("epoch", "seq")),
    "trades_account_newest": ("trades", ("account_id", "epoch", "seq")),
    "trades_symbol_newest": ("trades", ("symbol", "epoch", "seq")),
    "trades_trading_day_newest": ("trades", ("trading_day", "epoch", "seq")),
}


def tables() -> dict[str, list[sa.Column[Any]]]:
    """Give the columns of each table."""
    return {
        "streams": [
            sa.Column("name", name(50), primary_key=True),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("seq", sa.BigInteger, nullable=False),
        ],
        "accounts": [
            sa.Column("account_id", name(50), primary_key=True),
            sa.Column("balance", Money, nullable=False),
            sa.Column("available", Money, nullable=False),
            sa.Column("margin", Money, nullable=False),
            sa.Column("frozen_margin", Money, nullable=False),
            sa.Column("frozen_commission", Money, nullable=False),
            sa.Column("commission", Money, nullable=False),
            sa.Column("close_profit", Money, nullable=False),
            sa.Column("position_profit", Money, nullable=False),
            sa.Column("pre_balance", Money, nullable=False),
            sa.Column("trading_day", name(8), nullable=False),
            sa.Column("update_time", moment()),
        ],
        "positions": [
            sa.Column("account_id", name(50), primary_key=True),
            sa.Column("symbol", name(80), primary_key=True),
            sa.Column("side", name(24), primary_key=True),
            sa.Column("exchange", name(16), nullable=False),
            sa.Column("today", sa.Integer, nullable=False),
            sa.Column("yesterday", sa.Integer, nullable=False),
            sa.Column("today_frozen", sa.Integer, nullable=False),
            sa.Column("yesterday_frozen", sa.Integer, nullable=False),
            sa.Column("open_price", sa.Double),
            sa.Column("trading_day", name(8), nullable=False),
        ],
        "orders": [
            sa.Column("account_id", name(50), primary_key=True),
            sa.Column("client_order_id", name(100), primary_key=True),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("first_seq", sa.BigInteger, nullable=False),
            sa.Column("symbol", name(80), nullable=False),
            sa.Column("exchange", name(16), nullable=False),
            sa.Column("direction", name(24), nullable=False),
            sa.Column("offset", name(24), nullable=False),
            sa.Column("type", name(24), nullable=False),
            sa.Column("price", Money, nullable=False),
            sa.Column("volume", sa.Integer, nullable=False),
            sa.Column("filled_volume", sa.Integer, nullable=False),
            sa.Column("average_price", sa.Double),
            sa.Column("state", name(24), nullable=False),
            sa.Column("status_text", sa.String(255), nullable=False),
            sa.Column("error_id", sa.Integer),
            sa.Column("trading_day", name(8), nullable=False),
            sa.Column("create_time", moment()),
            sa.Column("update_time", moment()),
            sa.Column("strategy", name(100), nullable=False),
            sa.Column("submit_mid_price", Money),
            sa.Column("order_sys_id", name(32), nullable=False),
            sa.Column("front_id", sa.Integer, nullable=False),
            sa.Column("session_id", sa.Integer, nullable=False),
            sa.Column("order_ref", name(32), nullable=False),
            sa.Column("external", sa.Boolean, nullable=False),
            sa.Column("reported_volume", sa.Integer, nullable=False),
            sa.Column("venue_status", name(8), nullable=False),
        ],
        "trades": [
            sa.Column("account_id", name(50), primary_key=True),
            sa.Column("trading_day", name(8), primary_key=True),
            sa.Column("exchange", name(16), primary_key=True),
            sa.Column("trade_id", name(32), primary_key=True),
            sa.Column("direction", name(24), primary_key=True),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("seq", sa.BigInteger, nullable=False),
            sa.Column("client_order_id", name(100), nullable=False),
            sa.Column("order_sys_id", name(32), nullable=False),
            sa.Column("symbol", name(80), nullable=False),
            sa.Column("offset", name(24), nullable=False),
            sa.Column("price", Money, nullable=False),
            sa.Column("volume", sa.Integer, nullable=False),
            sa.Column("time", moment()),
        ],
    }


def upgrade() -> None:
    """Make the tables."""
    for table, columns in tables().items():
        make_table(table, columns)
    for index, (table, names) in INDEXES.items():
        make_index(index, table, names)


def downgrade() -> None:
    """Take the tables away, with their rows."""
    for table in reversed(tables()):
        drop_table(table)
