"""The tables: what the mesh remembers of accounts, positions, orders, trades, strategies and logs.

A column has the name of the message's field. Money and prices are exact decimals; an average is a
quotient that no decimal holds, and is kept as the double it came as. Words of an enum are kept
without their prefix ("BUY"), for people who read the tables.

`epoch` and `seq` (`first_seq`) name the event of the journal that a row first came with, and so
which row is newer; a journal that was lost and began anew has a later epoch.
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, String, Table

from store_svc.tables.columns import TABLE_OPTIONS, Document, Money, blob, moment, name, words

METADATA = MetaData()

# How far each followed stream is stored: moved in the transaction that stores its events. `digest`
# tells the last of them from an event of the same number in another copy of the journal.
streams = Table(
    "streams",
    METADATA,
    Column("name", name(50), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("digest", name(32)),
    **TABLE_OPTIONS,
)

# The streams whose events are born here: the number of the newest one. Who makes an event locks the
# row and takes the next number in the transaction that stores the event, so that numbers are
# committed in their order and a follower skips none.
sequences = Table(
    "sequences",
    METADATA,
    Column("name", name(50), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    **TABLE_OPTIONS,
)

# Events of the journal that no table can hold, with the reason.
set_aside = Table(
    "set_aside",
    METADATA,
    Column("stream", name(50), primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", name(24), nullable=False),
    Column("reason", words(), nullable=False),
    Column("time", moment(), nullable=False),
    Column("event", blob(), nullable=False),
    **TABLE_OPTIONS,
)

accounts = Table(
    "accounts",
    METADATA,
    Column("account_id", name(50), primary_key=True),
    Column("balance", Money, nullable=False),
    Column("available", Money, nullable=False),
    Column("margin", Money, nullable=False),
    Column("frozen_margin", Money, nullable=False),
    Column("frozen_commission", Money, nullable=False),
    Column("commission", Money, nullable=False),
    Column("close_profit", Money, nullable=False),
    Column("position_profit", Money, nullable=False),
    Column("pre_balance", Money, nullable=False),
    Column("trading_day", name(8), nullable=False),
    Column("update_time", moment()),
    **TABLE_OPTIONS,
)

positions = Table(
    "positions",
    METADATA,
    Column("account_id", name(50), primary_key=True),
    Column("symbol", name(80), primary_key=True),
    Column("side", name(24), primary_key=True),
    Column("exchange", name(16), nullable=False),
    Column("today", Integer, nullable=False),
    Column("yesterday", Integer, nullable=False),
    Column("today_frozen", Integer, nullable=False),
    Column("yesterday_frozen", Integer, nullable=False),
    Column("open_price", Double),
    Column("trading_day", name(8), nullable=False),
    Column("cost_price", Double),
    Column("margin", Money),
    Column("close_profit", Money),
    Index("positions_symbol", "symbol"),
    **TABLE_OPTIONS,
)

orders = Table(
    "orders",
    METADATA,
    Column("account_id", name(50), primary_key=True),
    Column("client_order_id", name(100), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("symbol", name(80), nullable=False),
    Column("exchange", name(16), nullable=False),
    Column("direction", name(24), nullable=False),
    Column("offset", name(24), nullable=False),
    Column("type", name(24), nullable=False),
    Column("price", Money, nullable=False),
    Column("volume", Integer, nullable=False),
    Column("filled_volume", Integer, nullable=False),
    Column("average_price", Double),
    Column("state", name(24), nullable=False),
    Column("status_text", String(255), nullable=False),
    Column("error_id", Integer),
    Column("trading_day", name(8), nullable=False),
    Column("create_time", moment()),
    Column("update_time", moment()),
    Column("strategy", name(100), nullable=False),
    Column("submit_mid_price", Money),
    Column("order_sys_id", name(32), nullable=False),
    Column("front_id", Integer, nullable=False),
    Column("session_id", Integer, nullable=False),
    Column("order_ref", name(32), nullable=False),
    Column("external", Boolean, nullable=False),
    Column("reported_volume", Integer, nullable=False),
    Column("venue_status", name(8), nullable=False),
    Column("refused", Boolean),
    Column("cancelled_by", name(32)),
    Column("cancel_time", moment()),
    Column("auto_offset", Boolean),
    Index("orders_newest", "epoch", "first_seq"),
    Index("orders_account_newest", "account_id", "epoch", "first_seq"),
    Index("orders_symbol_newest", "symbol", "epoch", "first_seq"),
    Index("orders_trading_day_newest", "trading_day", "epoch", "first_seq"),
    Index("orders_strategy_newest", "strategy", "epoch", "first_seq"),
    Index("orders_state_newest", "state", "epoch", "first_seq"),
    **TABLE_OPTIONS,
)

# No foreign key to orders: a trade may come first, or belong to an order of another terminal.
# Trade ids repeat from day to day, and both sides of a self-trade share one.
trades = Table(
    "trades",
    METADATA,
    Column("account_id", name(50), primary_key=True),
    Column("trading_day", name(8), primary_key=True),
    Column("exchange", name(16), primary_key=True),
    Column("trade_id", name(32), primary_key=True),
    Column("direction", name(24), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("client_order_id", name(100), nullable=False),
    Column("order_sys_id", name(32), nullable=False),
    Column("symbol", name(80), nullable=False),
    Column("offset", name(24), nullable=False),
    Column("price", Money, nullable=False),
    Column("volume", Integer, nullable=False),
    Column("time", moment()),
    Column("commission", Money),
    Index("trades_newest", "epoch", "seq"),
    Index("trades_account_newest", "account_id", "epoch", "seq"),
    Index("trades_symbol_newest", "symbol", "epoch", "seq"),
    Index("trades_trading_day_newest", "trading_day", "epoch", "seq"),
    Index("trades_order_newest", "client_order_id", "epoch", "seq"),
    **TABLE_OPTIONS,
)

strategy_configs = Table(
    "strategy_configs",
    METADATA,
    Column("strategy", name(64), primary_key=True),
    Column("strategy_class", String(200), nullable=False),
    Column("parameters", Document, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("description", words(), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", moment(), nullable=False),
    Column("update_time", moment(), nullable=False),
    Index("strategy_configs_active", "active", "strategy"),
    **TABLE_OPTIONS,
)

# Every change of a configuration, as it was after it; rows are never changed. No foreign key: the
# history stays when the strategy goes.
strategy_changes = Table(
    "strategy_changes",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", moment(), nullable=False),
    Column("kind", name(24), nullable=False),
    Column("strategy", name(64), nullable=False),
    Column("strategy_class", String(200), nullable=False),
    Column("parameters", Document, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("description", words(), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", moment(), nullable=False),
    Column("update_time", moment(), nullable=False),
    Index("strategy_changes_strategy_newest", "strategy", "seq"),
    **TABLE_OPTIONS,
)

# `first_seq` is the number it was recorded under, and stays; `seq` is that of its newest change.
# `content` is a digest of what was recorded: it tells a repeated call from another one.
strategy_triggers = Table(
    "strategy_triggers",
    METADATA,
    Column("strategy", name(64), primary_key=True),
    Column("trigger_id", name(64), primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("content", name(32), nullable=False),
    Column("time", moment(), nullable=False),
    Column("trading_day", name(8), nullable=False),
    Column("condition", words(), nullable=False),
    Column("price", Money),
    Column("signal", name(24), nullable=False),
    Column("action", name(24), nullable=False),
    Column("result", name(24), nullable=False),
    Column("account_id", name(50), nullable=False),
    Column("client_order_id", name(100), nullable=False),
    Column("volume", Integer),
    Column("error_message", words(), nullable=False),
    Column("execution_time", moment()),
    Column("create_time", moment(), nullable=False),
    Column("update_time", moment(), nullable=False),
    Index("strategy_triggers_newest", "first_seq", unique=True),
    Index("strategy_triggers_changed", "seq", unique=True),
    Index("strategy_triggers_strategy_newest", "strategy", "first_seq"),
    Index("strategy_triggers_strategy_changed", "strategy", "seq"),
    Index("strategy_triggers_trading_day_newest", "trading_day", "first_seq"),
    Index("strategy_triggers_result_newest", "result", "first_seq"),
    **TABLE_OPTIONS,
)

system_logs = Table(
    "system_logs",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("log_id", name(64), nullable=False),
    Column("time", moment(), nullable=False),
    Column("level", name(24), nullable=False),
    Column("service", name(64), nullable=False),
    Column("module", name(200), nullable=False),
    Column("message", words(), nullable=False),
    Column("details", Document),
    Index("system_logs_log_id", "log_id", unique=True),
    Index("system_logs_time", "time"),
    Index("system_logs_level_newest", "level", "seq"),
    Index("system_logs_service_newest", "service", "seq"),
    Index("system_logs_module_newest", "module", "seq"),
    **TABLE_OPTIONS,
)
