"""LogService: log records, written, listed and followed over gRPC."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime

from arbig.server import Context
from arbig.store.v1 import log_pb2 as pb
from store_svc.clock import now
from store_svc.database import Database, DatabaseDown
from store_svc.lists import as_asked, page
from store_svc.logs import records
from store_svc.logs.records import LOG
from store_svc.sequences import LOGS
from store_svc.tables.schema import system_logs
from store_svc.tail import Stream, Tail

log = logging.getLogger(__name__)

NAME = "arbig.store.v1.LogService"
STREAM = Stream(LOGS, system_logs, LOG.from_row, pb.SubscribeLogsResponse, pruned=True)
PRUNE_SECONDS = 3600.0


class LogService:
    """The system log; the contract says what each call does."""

    def __init__(self, database: Database, days: int) -> None:
        self._database = database
        self._days = days
        self._logs = Tail(database, STREAM)

    async def run(self) -> None:
        """Remove what is older than it is kept, every hour."""
        while True:
            await asyncio.sleep(PRUNE_SECONDS)
            try:
                await self.prune(now())
            except DatabaseDown as error:
                log.warning("old log records are not removed", extra={"why": str(error)})

    async def prune(self, at: datetime) -> None:
        """Remove what is older than it is kept."""
        kept = await self._database.read(lambda on: records.first_kept(on, at, self._days))
        while await self._database.write(lambda on: records.prune(on, kept)):
            pass

    async def WriteLogs(self, request: pb.WriteLogsRequest, _: Context) -> pb.WriteLogsResponse:  # noqa: N802
        """Write records, all or none."""
        records.prepare(request.records)
        written = await self._logs.write(lambda on: records.write(on, request.records))
        return pb.WriteLogsResponse(written=written)

    async def ListLogs(self, request: pb.ListLogsRequest, _: Context) -> pb.ListLogsResponse:  # noqa: N802
        """List records, by their numbers."""
        listed = page(request, records.listed(request), as_asked(request, ["-seq"]), LOG.from_row)
        found, token = await self._database.ask(listed)
        return pb.ListLogsResponse(records=found, next_page_token=token)

    async def SubscribeLogs(self, request: pb.SubscribeLogsRequest, _: Context) -> AsyncIterator[bytes]:  # noqa: N802
        """Follow the records."""
        async for response in self._logs.follow(request, records.said_by(request)):
            yield response
