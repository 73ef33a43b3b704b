"""The questions that RecordService's lists answer; every value a caller gives is a bound parameter."""

from typing import Any

from sqlalchemy import Select, Table, and_, select

from arbig.errors import NotFound
from arbig.store.v1 import store_pb2 as pb
from arbig.trade.v1.trade_pb2 import OrderState, PositionSide
from store_svc.checks import Fields
from store_svc.filters import among, contains, equal, found_by_day, within
from store_svc.lists import Order
from store_svc.tables import views
from store_svc.tables.records import Record, Unstorable
from store_svc.tables.schema import accounts, orders, positions, trades
from store_svc.tables.words import words

# The newest first, by the event that a row first came with; a journal that went back gives a number
# again, so their keys tell rows apart.
NEWEST_ORDERS: Order = ["-epoch", "-first_seq", *(f"-{column.name}" for column in orders.primary_key)]
NEWEST_TRADES: Order = ["-epoch", "-seq", *(f"-{column.name}" for column in trades.primary_key)]


def listed_orders(request: pb.ListOrdersRequest) -> Select[Any]:
    """Select the orders that fit; raises InvalidField for a filter that cannot be."""
    Fields(request).choices("states")
    where = equal(request, orders, "account_id", "symbol", "trading_day", "strategy") + within(request, orders)
    where += among(orders.c.state, OrderState.DESCRIPTOR, request.states)
    where += contains(request.text, orders.c.client_order_id, orders.c.status_text)
    return found_by_day(select(orders).where(*where), request, orders)


def listed_trades(request: pb.ListTradesRequest) -> Select[Any]:
    """Select the trades that fit; raises InvalidField for a filter that cannot be."""
    where = equal(request, trades, "account_id", "symbol", "trading_day", "client_order_id") + within(request, trades)
    query = found_by_day(select(trades).where(*where), request, trades)
    if not request.strategy:
        return query
    same = (trades.c[name] == orders.c[name] for name in orders.primary_key.columns.keys())  # noqa: SIM118
    return query.join(orders, and_(*same)).where(orders.c.strategy == request.strategy)


def listed_positions(request: pb.ListPositionsRequest) -> Select[Any]:
    """Select the position sides that fit; raises InvalidField for a filter that cannot be."""
    Fields(request).choice("side", required=False)
    where = equal(request, positions, "account_id", "symbol")
    if request.side:
        where.append(positions.c.side == words(PositionSide.DESCRIPTOR)[request.side])
    if request.open:
        where.append(positions.c.today + positions.c.yesterday > 0)
    return select(positions).where(*where)


def listed_accounts(request: pb.ListAccountsRequest) -> Select[Any]:
    """Select the accounts that fit."""
    return select(accounts).where(*equal(request, accounts, "account_id"))


def account_summaries(request: pb.ListAccountSummariesRequest) -> Select[Any]:
    """Select the accounts with what they hold."""
    view = views.ACCOUNT_SUMMARY
    return select(view).where(*equal(request, view, "account_id")).order_by(view.c.account_id)


def daily_trade_summaries(request: pb.ListDailyTradeSummariesRequest) -> Select[Any]:
    """Select the days' trades that fit; raises InvalidField for a filter that cannot be."""
    view = views.DAILY_TRADE_SUMMARY
    return select(view).where(*equal(request, view, "account_id"), *within(request, view))


def trigger_summaries(request: pb.ListTriggerSummariesRequest) -> Select[Any]:
    """Select the days' triggers that fit; raises InvalidField for a filter that cannot be."""
    view = views.STRATEGY_TRIGGER_SUMMARY
    return select(view).where(*equal(request, view, "strategy"), *within(request, view))


def named(request: Any, table: Table) -> Select[Any]:
    """Select the row that the request names; raises InvalidField for a name that is not whole, NotFound for none."""
    given = Fields(request)
    for field in request.DESCRIPTOR.fields:
        if field.enum_type:
            given.choice(field.name)
        else:
            given.text(field.name, table.c[field.name].type.length, required=True)
    try:
        name = Record(type(request), table).row(request)
    except Unstorable as error:
        raise NotFound(f"nothing is stored under such a name: {error}", "NO_SUCH_NAME") from error
    return select(table).where(*(table.c[column] == value for column, value in name.items()))
