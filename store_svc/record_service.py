"""RecordService: what was, asked over gRPC."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.server import Context
from arbig.store.v1 import store_pb2 as pb
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc import records
from store_svc.database import Database
from store_svc.pages import Place, from_token, page_size, to_token
from store_svc.queries import by_key, newest_first
from store_svc.records import Record

NAME = "arbig.store.v1.RecordService"


class Stored(Protocol):
    """How far a stream is stored, and what keeps it from being stored further."""

    @property
    def stored(self) -> Cursor | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


class RecordService:
    """Answers from the database; the contract says what."""

    def __init__(self, database: Database, events: Stored, ticks: Stored) -> None:
        self._database = database
        self._events = events
        self._ticks = ticks

    async def ListOrders(self, request: pb.ListOrdersRequest, _: Context) -> pb.ListOrdersResponse:  # noqa: N802
        """Orders, the newest first."""
        orders, token = await self._page(records.ORDER, request)
        return pb.ListOrdersResponse(orders=orders, next_page_token=token)

    async def ListTrades(self, request: pb.ListTradesRequest, _: Context) -> pb.ListTradesResponse:  # noqa: N802
        """Trades, the newest first."""
        trades, token = await self._page(records.TRADE, request)
        return pb.ListTradesResponse(trades=trades, next_page_token=token)

    async def ListPositions(self, request: pb.ListPositionsRequest, _: Context) -> pb.ListPositionsResponse:  # noqa: N802
        """Position sides as they last were."""
        filters = {"account_id": request.account_id, "symbol": request.symbol}
        rows = await self._rows(by_key(records.POSITION, filters))
        return pb.ListPositionsResponse(positions=map(records.POSITION.from_row, rows))

    async def ListAccounts(self, request: pb.ListAccountsRequest, _: Context) -> pb.ListAccountsResponse:  # noqa: N802
        """Accounts as they last were."""
        rows = await self._rows(by_key(records.ACCOUNT, {}))
        return pb.ListAccountsResponse(accounts=map(records.ACCOUNT.from_row, rows))

    async def GetStatus(self, request: pb.GetStatusRequest, _: Context) -> pb.GetStatusResponse:  # noqa: N802
        """How the service is; asks no database."""
        return pb.GetStatusResponse(
            ready=not self._events.reason,
            reason=self._events.reason,
            events=self._events.stored,
            ticks=self._ticks.stored,
            database=self._database.label,
            ticks_reason=self._ticks.reason,
        )

    async def _page(
        self, record: Record[Any], request: pb.ListOrdersRequest | pb.ListTradesRequest
    ) -> tuple[list[Any], str]:
        size = page_size(request.page_size)
        filters = {
            "account_id": request.account_id,
            "symbol": request.symbol,
            "trading_day": request.trading_day,
        }
        rows = await self._rows(newest_first(record, filters, from_token(request.page_token, request), size + 1))
        token = to_token(Place(*(rows[size - 1][name] for name in record.first)), request) if len(rows) > size else ""
        return [record.from_row(row) for row in rows[:size]], token

    async def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        return await self._database.read(lambda on: _fetched(on, query))


async def _fetched(connection: AsyncConnection, query: Select[Any]) -> Sequence[RowMapping]:
    rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
    return rows
