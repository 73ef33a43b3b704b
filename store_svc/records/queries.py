"""The questions that RecordService's lists answer; every value a caller gives is a bound parameter."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, select

from arbig.store.v1 import store_pb2 as pb
from arbig.trade.v1.trade_pb2 import OrderState, PositionSide
from store_svc.checks import Fields
from store_svc.lists import contains
from store_svc.tables import views
from store_svc.tables.records import Record
from store_svc.tables.schema import accounts, orders, positions, trades
from store_svc.tables.words import words


def listed_orders(request: pb.ListOrdersRequest) -> Select[Any]:
    """Select the orders that fit; raises InvalidField for a filter that cannot be."""
    Fields(request).choices("states")
    where = _equal(request, orders, "account_id", "symbol", "trading_day", "strategy") + within(request, orders)
    if request.states:
        where.append(orders.c.state.in_(words(OrderState.DESCRIPTOR)[one] for one in request.states))
    where += contains(request.text, orders.c.client_order_id, orders.c.status_text)
    return select(orders).where(*where)


def listed_trades(request: pb.ListTradesRequest) -> Select[Any]:
    """Select the trades that fit; raises InvalidField for a filter that cannot be."""
    where = _equal(request, trades, "account_id", "symbol", "trading_day", "client_order_id") + within(request, trades)
    query = select(trades).where(*where)
    if not request.strategy:
        return query
    same = (trades.c[name] == orders.c[name] for name in orders.primary_key.columns.keys())  # noqa: SIM118
    return query.join(orders, and_(*same)).where(orders.c.strategy == request.strategy)


def listed_positions(request: pb.ListPositionsRequest) -> Select[Any]:
    """Select the position sides that fit; raises InvalidField for a filter that cannot be."""
    Fields(request).choice("side", required=False)
    where = _equal(request, positions, "account_id", "symbol")
    if request.side:
        where.append(positions.c.side == words(PositionSide.DESCRIPTOR)[request.side])
    if request.open:
        where.append(positions.c.today + positions.c.yesterday > 0)
    return select(positions).where(*where)


def listed_accounts(request: pb.ListAccountsRequest) -> Select[Any]:
    """Select the accounts that fit."""
    return select(accounts).where(*_equal(request, accounts, "account_id"))


def account_summaries(request: pb.ListAccountSummariesRequest) -> Select[Any]:
    """Select the accounts with what they hold."""
    view = views.ACCOUNT_SUMMARY
    return select(view).where(*_equal(request, view, "account_id")).order_by(view.c.account_id)


def daily_trade_summaries(request: pb.ListDailyTradeSummariesRequest) -> Select[Any]:
    """Select the days' trades that fit; raises InvalidField for a filter that cannot be."""
    view = views.DAILY_TRADE_SUMMARY
    return select(view).where(*_equal(request, view, "account_id"), *within(request, view))


def trigger_summaries(request: pb.ListTriggerSummariesRequest) -> Select[Any]:
    """Select the days' triggers that fit; raises InvalidField for a filter that cannot be."""
    view = views.STRATEGY_TRIGGER_SUMMARY
    return select(view).where(*_equal(request, view, "strategy"), *within(request, view))


def named(request: Any, table: Table) -> Select[Any]:
    """Select the row that the request names; raises InvalidField for a name that is not whole."""
    given = Fields(request)
    for field in request.DESCRIPTOR.fields:
        if field.enum_type:
            given.choice(field.name)
        else:
            given.text(field.name, table.c[field.name].type.length, required=True)
    name = Record(type(request), table).row(request)
    return select(table).where(*(table.c[column] == value for column, value in name.items()))


def within(request: Any, table: Any) -> list[ColumnElement[bool]]:
    """Give the conditions of a range of trading days; raises InvalidField for a day that is none."""
    Fields(request).days("first_trading_day", "last_trading_day")
    day = table.c.trading_day
    first = [day >= request.first_trading_day] if request.first_trading_day else []
    last = [day <= request.last_trading_day] if request.last_trading_day else []
    return first + last


def _equal(request: Any, table: Any, *names: str) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name in names if (value := getattr(request, name))]
