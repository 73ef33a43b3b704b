"""What `arbig db` lists, in which order, and which columns matter most."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select

from arbig.store.v1.log_pb2 import ListLogsRequest
from arbig.store.v1.store_pb2 import ListAccountsRequest, ListOrdersRequest, ListPositionsRequest, ListTradesRequest
from arbig.store.v1.strategy_pb2 import ListStrategiesRequest, ListTriggersRequest
from store_svc.lists import Order, keyset, undecided
from store_svc.logs import records as logs
from store_svc.records import queries
from store_svc.strategies import configs, triggers
from store_svc.tables.migrate import migrated
from store_svc.tool.show import Columns, Row


class Listing(NamedTuple):
    """What the services list too: what fits a request, in which order it comes, and what is shown of it."""

    request: Any
    fitting: Callable[[Any], Select[Any]]
    order: Order
    columns: Columns

    def query(self, filters: Mapping[str, Any], limit: int | None) -> Select[Any]:
        """Select the first rows; a filter is a field of the request, None asks nothing."""
        request = self.request(**filters)
        return keyset(self.fitting(request), undecided(request, self.order), None, limit)


def _columns(names: str, hidden: str = "") -> Columns:
    return Columns(names.split(), hidden.split())


ACCOUNTS = Listing(
    ListAccountsRequest,
    queries.listed_accounts,
    ["account_id"],
    _columns(
        "account_id balance available margin position_profit close_profit commission trading_day update_time"
        " frozen_margin frozen_commission pre_balance"
    ),
)
POSITIONS = Listing(
    ListPositionsRequest,
    queries.listed_positions,
    ["account_id", "symbol", "side"],
    _columns(
        "account_id symbol side today yesterday open_price today_frozen yesterday_frozen close_profit margin"
        " cost_price trading_day exchange",
    ),
)
ORDERS = Listing(
    ListOrdersRequest,
    queries.listed_orders,
    queries.NEWEST_ORDERS,
    _columns(
        "client_order_id symbol direction offset price volume state filled_volume trading_day update_time account_id"
        " average_price strategy status_text error_id type create_time exchange order_sys_id external",
        "submit_mid_price front_id session_id order_ref reported_volume venue_status refused cancelled_by cancel_time"
        " auto_offset",
    ),
)
TRADES = Listing(
    ListTradesRequest,
    queries.listed_trades,
    queries.NEWEST_TRADES,
    _columns(
        "trade_id symbol direction offset price volume trading_day time client_order_id account_id commission"
        " exchange order_sys_id",
    ),
)
TRIGGERS = Listing(
    ListTriggersRequest,
    triggers.listed,
    ["-first_seq"],
    _columns(
        "time strategy signal action result price volume condition client_order_id error_message trading_day"
        " trigger_id account_id execution_time create_time update_time",
        "seq",
    ),
)
CONFIGS = Listing(
    ListStrategiesRequest,
    configs.listed,
    ["strategy"],
    _columns("strategy active version strategy_class parameters update_time description create_time"),
)
LOGS = Listing(
    ListLogsRequest,
    logs.listed,
    ["-seq"],
    _columns("time level message service module details", "seq log_id"),
)


def read(connection: Connection, asked: Select[Any]) -> list[Row]:
    """Give the rows; raises Refused for a database without our tables."""
    migrated(connection)
    return [dict(row) for row in connection.execute(asked).mappings()]
