"""RecordService: what was, asked over gRPC."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.errors import NotFound
from arbig.pages import DEFAULT_SIZE, MOST
from arbig.server import Context
from arbig.store.v1 import store_pb2 as pb
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.database import Database
from store_svc.lists import Order, as_asked, page
from store_svc.records import queries
from store_svc.tables import records, views
from store_svc.tables.records import Record

NAME = "arbig.store.v1.RecordService"
M = TypeVar("M", bound=Message)
ACCOUNT_SUMMARY = Record(pb.AccountSummary, views.ACCOUNT_SUMMARY)
DAILY_TRADE_SUMMARY = Record(pb.DailyTradeSummary, views.DAILY_TRADE_SUMMARY)
TRIGGER_SUMMARY = Record(pb.TriggerSummary, views.STRATEGY_TRIGGER_SUMMARY)


class Stored(Protocol):
    """How far a stream is stored, and what keeps it from being stored further."""

    @property
    def stored(self) -> Cursor | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


class Events(Stored, Protocol):
    """The recorded journal."""

    @property
    def set_aside(self) -> int: ...  # noqa: D102
    @property
    def revision(self) -> str: ...  # noqa: D102


class Ticks(Stored, Protocol):
    """The recorded ticks."""

    @property
    def archive_reason(self) -> str: ...  # noqa: D102


class Kept(Protocol):
    """The backups."""

    @property
    def time(self) -> Timestamp | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


class RecordService:
    """Answers from the database; the contract says what."""

    def __init__(self, database: Database, events: Events, ticks: Ticks, backups: Kept) -> None:
        self._database = database
        self._events = events
        self._ticks = ticks
        self._backups = backups

    async def ListOrders(self, request: pb.ListOrdersRequest, _: Context) -> pb.ListOrdersResponse:  # noqa: N802
        """Orders, by the number of their first event."""
        order = as_asked(request, queries.NEWEST_ORDERS)
        found, token = await self._page(request, queries.listed_orders(request), order, records.ORDER)
        return pb.ListOrdersResponse(orders=found, next_page_token=token)

    async def GetOrder(self, request: pb.GetOrderRequest, _: Context) -> pb.GetOrderResponse:  # noqa: N802
        """One order."""
        return pb.GetOrderResponse(order=await self._one(request, records.ORDER))

    async def ListTrades(self, request: pb.ListTradesRequest, _: Context) -> pb.ListTradesResponse:  # noqa: N802
        """Trades, by their numbers."""
        order = as_asked(request, queries.NEWEST_TRADES)
        found, token = await self._page(request, queries.listed_trades(request), order, records.TRADE)
        return pb.ListTradesResponse(trades=found, next_page_token=token)

    async def GetTrade(self, request: pb.GetTradeRequest, _: Context) -> pb.GetTradeResponse:  # noqa: N802
        """One trade."""
        return pb.GetTradeResponse(trade=await self._one(request, records.TRADE))

    async def ListPositions(self, request: pb.ListPositionsRequest, _: Context) -> pb.ListPositionsResponse:  # noqa: N802
        """Position sides as they last were."""
        query = queries.listed_positions(request)
        found, token = await self._page(request, query, records.POSITION.key, records.POSITION, MOST)
        return pb.ListPositionsResponse(positions=found, next_page_token=token)

    async def GetPosition(self, request: pb.GetPositionRequest, _: Context) -> pb.GetPositionResponse:  # noqa: N802
        """One position side as it last was."""
        return pb.GetPositionResponse(position=await self._one(request, records.POSITION))

    async def ListAccounts(self, request: pb.ListAccountsRequest, _: Context) -> pb.ListAccountsResponse:  # noqa: N802
        """Accounts as they last were."""
        query = queries.listed_accounts(request)
        found, token = await self._page(request, query, records.ACCOUNT.key, records.ACCOUNT, MOST)
        return pb.ListAccountsResponse(accounts=found, next_page_token=token)

    async def GetAccount(self, request: pb.GetAccountRequest, _: Context) -> pb.GetAccountResponse:  # noqa: N802
        """One account as it last was."""
        return pb.GetAccountResponse(account=await self._one(request, records.ACCOUNT))

    async def ListAccountSummaries(  # noqa: N802
        self, request: pb.ListAccountSummariesRequest, _: Context
    ) -> pb.ListAccountSummariesResponse:
        """Each account with what it holds."""
        rows = await self._rows(queries.account_summaries(request))
        return pb.ListAccountSummariesResponse(summaries=map(ACCOUNT_SUMMARY.from_row, rows))

    async def ListDailyTradeSummaries(  # noqa: N802
        self, request: pb.ListDailyTradeSummariesRequest, _: Context
    ) -> pb.ListDailyTradeSummariesResponse:
        """Trades, added up by trading day and account."""
        query = queries.daily_trade_summaries(request)
        found, token = await self._page(request, query, ["-trading_day", "account_id"], DAILY_TRADE_SUMMARY)
        return pb.ListDailyTradeSummariesResponse(summaries=found, next_page_token=token)

    async def ListTriggerSummaries(  # noqa: N802
        self, request: pb.ListTriggerSummariesRequest, _: Context
    ) -> pb.ListTriggerSummariesResponse:
        """Triggers, counted by trading day and strategy."""
        query = queries.trigger_summaries(request)
        found, token = await self._page(request, query, ["-trading_day", "strategy"], TRIGGER_SUMMARY)
        return pb.ListTriggerSummariesResponse(summaries=found, next_page_token=token)

    async def GetStatus(self, request: pb.GetStatusRequest, _: Context) -> pb.GetStatusResponse:  # noqa: N802
        """How the service is; asks no database."""
        return pb.GetStatusResponse(
            ready=not self._events.reason,
            reason=self._events.reason,
            events=self._events.stored,
            ticks=self._ticks.stored,
            database=self._database.label,
            ticks_reason=self._ticks.reason,
            archive_reason=self._ticks.archive_reason,
            set_aside=self._events.set_aside,
            revision=self._events.revision,
            backup_time=self._backups.time,
            backup_reason=self._backups.reason,
        )

    async def _page(
        self, request: Any, query: Select[Any], order: Order, record: Record[M], size: int = DEFAULT_SIZE
    ) -> tuple[list[M], str]:
        return await self._database.ask(page(request, query, order, record.from_row, size))

    async def _one(self, request: Any, record: Record[M]) -> M:
        rows = await self._rows(queries.named(request, record.table))
        if not rows:
            kind = record.message.DESCRIPTOR.name
            name = ", ".join(f"{field.name} {value}" for field, value in request.ListFields())
            raise NotFound(f"no {kind.lower()} is stored of {name}", f"NO_SUCH_{kind.upper()}", record.key[-1])
        return record.from_row(rows[0])

    async def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        async def read(connection: AsyncConnection) -> Sequence[RowMapping]:
            rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
            return rows

        return await self._database.ask(read)
