"""A database with what tests put into it, and RecordService on it, without a network between."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from arbig.config import Settings, Store
from arbig.store.v1 import store_pb2 as pb
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.database import Database, open_database
from store_svc.journal.batch import Batch
from store_svc.journal.writing import write
from store_svc.records.service import RecordService
from store_svc.tables.migrate import migrate
from tests.store_svc.mesh import EPOCH, journal


class Streams:
    """What GetStatus is told: all is well."""

    stored = Cursor()
    reason = ""
    archive_reason = ""
    revision = ""
    set_aside = 0
    time = None


class Stored:
    """A migrated database and the service's answers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.head = 0
        self._service = RecordService(database, Streams(), Streams(), Streams())

    async def say(self, *messages: Message) -> None:
        """Store messages, each as the journal's next event."""
        batch = Batch(EPOCH, list(journal(messages, self.head)))
        await self.database.write(lambda on: write(on, batch))
        self.head += len(messages)

    async def ask(self, method: str, **fields: Any) -> Any:
        """Call a method with these fields."""
        return await getattr(self._service, method)(getattr(pb, f"{method}Request")(**fields), None)

    async def all(self, method: str, **fields: Any) -> list[Any]:
        """Give everything that a list has, page by page."""
        found: list[Any] = []
        while True:
            reply = await self.ask(method, **fields)
            found += items(reply)
            if not reply.next_page_token:
                return found
            fields["page_token"] = reply.next_page_token


def items(reply: Any) -> list[Any]:
    """Give what an answer lists."""
    field = next(field for field in reply.DESCRIPTOR.fields if field.message_type)
    return list(getattr(reply, field.name))


@contextlib.asynccontextmanager
async def storing(url: str, directory: Path) -> AsyncIterator[Stored]:
    """Open a database and make the tables."""
    settings = Settings(data=directory, store=Store(database=url))
    async with contextlib.aclosing(open_database(settings)) as database:
        await database.write(lambda on: on.run_sync(migrate), 60)
        yield Stored(database)
