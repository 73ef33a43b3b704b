"""What the trade service's journal has that the database has not."""

from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from grpc.aio import AioRpcError

from arbig.channel import open_channel
from arbig.config import Settings
from arbig.errors import Unavailable
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1.trade_pb2 import Event, GetStatusRequest, SubscribeEventsRequest
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from store_svc.database import Database
from store_svc.journal.set_aside import count
from store_svc.journal.writing import read_cursor
from store_svc.tool.show import Columns, Row

SECONDS = 5.0
COLUMNS = Columns(["seq", "time", "kind", "what", "state", "symbol", "price", "volume"])
_KINDS = ("order", "trade", "position", "account")


class Waiting(NamedTuple):
    """Events that are still to be stored."""

    stored: Cursor
    head: Cursor
    to_store: int
    set_aside: int
    # The first of them.
    events: list[Event]


async def waiting(settings: Settings, database: Database, limit: int) -> Waiting:
    """Ask the database and the journal; raises Unavailable where the trade service does not answer."""
    stored, set_aside = await database.read(read_cursor), await database.read(count)
    address = settings.address("trade")
    try:
        async with open_channel(address) as channel:
            trade: Any = TradeServiceStub(channel)
            head: Cursor = (await trade.GetStatus(GetStatusRequest(), timeout=SECONDS)).cursor
            behind = head.seq - stored.seq if stored.epoch == head.epoch else head.seq
            events = await _events(trade, stored, min(limit, behind))
    except AioRpcError as error:
        raise Unavailable(f"trade service at {address}: {error.details()}", "TRADE_UNAVAILABLE") from error
    return Waiting(stored, head, behind, set_aside, events)


async def _events(trade: Any, after: Cursor, wanted: int) -> list[Event]:
    """Read the first events after a place: they are there, so they come at once."""
    events: list[Event] = []
    call = trade.SubscribeEvents(SubscribeEventsRequest(after=after), timeout=SECONDS)
    while len(events) < wanted:
        events += (await call.read()).events
    call.cancel()
    return events[:wanted]


def summary(found: Waiting) -> dict[str, Any]:
    """Give all of it, by the names of the contract."""
    return {
        "stored": _cursor(found.stored),
        "head": _cursor(found.head),
        "to_store": found.to_store,
        "set_aside": found.set_aside,
        "events": [MessageToDict(event, preserving_proto_field_name=True) for event in found.events],
    }


def _cursor(cursor: Cursor) -> dict[str, int]:
    return {"epoch": cursor.epoch, "seq": cursor.seq}


def row(event: Event) -> Row:
    """Give an event as a line of a table."""
    kind = next((kind for kind in _KINDS if event.HasField(kind)), "")  # type: ignore[arg-type]
    what: dict[str, Any] = MessageToDict(getattr(event, kind), preserving_proto_field_name=True) if kind else {}
    name = what.get("client_order_id") if kind == "order" else what.get("trade_id") or what.get("side")
    state = what.get("state", "").removeprefix("ORDER_STATE_")
    given = {"seq": event.seq, "time": event.time.ToDatetime(), "kind": kind, "what": name, "state": state}
    return given | {column: what.get(column) for column in ("symbol", "price", "volume")}
