"""What the trade service's journal has that the database has not."""

from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from grpc.aio import EOF, AioRpcError

from arbig.channel import open_channel
from arbig.config import Settings
from arbig.errors import Unavailable
from arbig.stream.v1.stream_pb2 import Cursor
from arbig.trade.v1.trade_pb2 import (
    Account,
    Event,
    GetStatusRequest,
    Order,
    OrderState,
    Position,
    PositionSide,
    SubscribeEventsRequest,
    Trade,
)
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from store_svc.database import Database
from store_svc.journal.batch import kind_of
from store_svc.journal.set_aside import count
from store_svc.journal.writing import read_cursor
from store_svc.tables.words import words
from store_svc.tool.show import Columns, Row

SECONDS = 5.0
COLUMNS = Columns(["seq", "time", "kind", "what", "state", "symbol", "price", "volume"])
_ORDER_STATES, _SIDES = words(OrderState.DESCRIPTOR), words(PositionSide.DESCRIPTOR)


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
            behind = _behind(stored, head)
            after = stored if _goes_on(stored, head) else Cursor(epoch=head.epoch)
            events = await _events(trade, after, min(limit, behind))
    except AioRpcError as error:
        raise Unavailable(f"trade service at {address}: {error.details()}", "TRADE_UNAVAILABLE") from error
    return Waiting(stored, head, behind, set_aside, events)


def _behind(stored: Cursor, head: Cursor) -> int:
    """Count what is to be stored: all of a journal that began anew, or that went back."""
    return head.seq - stored.seq if _goes_on(stored, head) else head.seq


def _goes_on(stored: Cursor, head: Cursor) -> bool:
    return stored.epoch == head.epoch and stored.seq <= head.seq


async def _events(trade: Any, after: Cursor, wanted: int) -> list[Event]:
    """Read the first events after a place: they are there, so they come at once."""
    events: list[Event] = []
    call = trade.SubscribeEvents(SubscribeEventsRequest(after=after), timeout=SECONDS)
    while len(events) < wanted and (reply := await call.read()) is not EOF:
        events += reply.events
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
    kind = kind_of(event)
    what = getattr(event, kind) if kind else None
    given = {"seq": event.seq, "time": event.time.ToDatetime(), "kind": kind, "what": _name(what), "state": ""}
    if isinstance(what, Order):
        given["state"] = _ORDER_STATES.get(what.state, str(what.state))
    return given | {column: getattr(what, column, None) for column in ("symbol", "price", "volume")}


def _name(what: Order | Trade | Position | Account | None) -> str:
    match what:
        case Order():
            return what.client_order_id
        case Trade():
            return what.trade_id
        case Position():
            return _SIDES.get(what.side, str(what.side))
        case Account():
            return what.account_id
    return ""
