"""Events of the journal that no table can hold: kept as they came, with the reason.

They are listed for a person, and forgotten when the journal is read again from before them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbig.pages import MOST
from arbig.store.v1.admin_pb2 import ListSetAsideRequest, SetAside
from arbig.stream.v1.stream_pb2 import Cursor
from store_svc.lists import page
from store_svc.tables.schema import set_aside


async def count(connection: AsyncConnection) -> int:
    """Give how many there are."""
    found: int = (await connection.execute(select(func.count()).select_from(set_aside))).scalar_one()
    return found


def listed(request: ListSetAsideRequest) -> Callable[[AsyncConnection], Awaitable[tuple[list[SetAside], str]]]:
    """Make what reads a page of them, the oldest first; raises InvalidField for a page that is none."""
    key = [column.name for column in set_aside.primary_key]
    return page(request, select(set_aside), key, _message, MOST)


def _message(row: Any) -> SetAside:
    cursor = Cursor(epoch=row["epoch"], seq=row["seq"])
    return SetAside(cursor=cursor, kind=row["kind"], reason=row["reason"], time=row["time"], event=row["event"])


async def forget(connection: AsyncConnection, stream: str, epoch: int) -> int | None:
    """Forget those of a stream's epoch, and give the first one's seq; None if there is none."""
    ours = (set_aside.c.stream == stream, set_aside.c.epoch == epoch)
    first: int | None = (await connection.execute(select(func.min(set_aside.c.seq)).where(*ours))).scalar_one()
    await connection.execute(set_aside.delete().where(*ours))
    return first
