"""What a batch of journal events becomes: rows of the tables, and events that are set aside."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Literal, NamedTuple, cast

from arbig.trade.v1.trade_pb2 import Event
from store_svc.clock import now
from store_svc.tables import records
from store_svc.tables.records import Record, Row, Unstorable

STREAM = "trade"
# How many rows are made before others may go on: the database's answers are waited for meanwhile.
STEP = 30
RECORDS: dict[str, Record[Any]] = {
    "order": records.ORDER,
    "trade": records.TRADE,
    "position": records.POSITION,
    "account": records.ACCOUNT,
}
# Events of the journal that need no table: whoever wants them follows the journal.
PASSING: tuple[Literal["risk_limits", "trading_state", "reconciliation"], ...] = (
    "risk_limits",
    "trading_state",
    "reconciliation",
)
KEYS = {kind: attrgetter(*record.key) for kind, record in RECORDS.items()}


class Rows(NamedTuple):
    """The rows of each kind, and those of the table `set_aside`."""

    kinds: dict[str, list[Row]]
    aside: list[Row]


class Batch:
    """Events of one life of the journal, in their order; none asks only where the cursor is."""

    def __init__(self, epoch: int, events: list[Event], after: int = 0, refused: str = "") -> None:
        self.epoch = epoch
        self.events = events
        # The place before the first event.
        self.after = events[0].seq - 1 if events else after
        # Why the database takes none of the events, if that is so.
        self.refused = refused
        self._rows: Rows | None = None

    def since(self, seq: int) -> "Batch":
        """Give what of the batch comes after a place."""
        if seq <= self.after:
            return self
        return Batch(self.epoch, [event for event in self.events if event.seq > seq], seq, self.refused)

    def halves(self) -> list["Batch"]:
        """Cut the batch in two."""
        middle = len(self.events) // 2
        return [Batch(self.epoch, self.events[:middle]), Batch(self.epoch, self.events[middle:])]

    @property
    def rows(self) -> Rows:
        """A row of each key: its last event that can be kept, and the one it first came in."""
        if self._rows is None:
            for _ in self.prepare():
                pass
        return cast("Rows", self._rows)

    def prepare(self) -> Iterator[None]:
        """Make the rows in steps, between which others may go on."""
        rows = Rows({}, [])
        for kind, keys in self._by_key(rows.aside).items():
            made = rows.kinds[kind] = []
            for number, events in enumerate(keys.values(), 1):
                if row := self._row(kind, events, rows.aside):
                    made.append(row)
                if number % STEP == 0:
                    yield
            yield
        self._rows = rows

    def _by_key(self, aside: list[Row]) -> dict[str, dict[object, list[Event]]]:
        kinds: dict[str, dict[object, list[Event]]] = {kind: {} for kind in RECORDS}
        for event in self.events:
            kind = kind_of(event)
            if not kind and any(event.HasField(one) for one in PASSING):
                continue
            if self.refused or not kind:
                aside.append(self._aside(event, kind, self.refused or "this version's contract has no such event"))
                continue
            key, keys = KEYS[kind](getattr(event, kind)), kinds[kind]
            if key in keys:
                keys[key].append(event)
            else:
                keys[key] = [event]
        return kinds

    def _row(self, kind: str, events: list[Event], aside: list[Row]) -> Row | None:
        record = RECORDS[kind]
        for event in reversed(events):
            try:
                row = record.row(getattr(event, kind))
            except Unstorable as error:
                aside.append(self._aside(event, kind, str(error)))
            else:
                if record.first:
                    row.update(zip(record.first, (self.epoch, events[0].seq), strict=True))
                return row
        return None

    def _aside(self, event: Event, kind: str, reason: str) -> Row:
        place = {"stream": STREAM, "epoch": self.epoch, "seq": event.seq}
        return {**place, "kind": kind, "reason": reason, "time": now(), "event": event.SerializeToString()}


def kind_of(event: Event) -> str:
    """Give which of its messages an event carries; "" for one of a newer contract."""
    for kind in RECORDS:
        if event.HasField(kind):  # type: ignore[arg-type]
            return kind
    return ""
