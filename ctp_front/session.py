"""One client of the trade front, and how it is answered.

Replies are numbered inside their series from the connection on, when they are sent: an answer that
was held back, or never given, leaves no hole.
"""

from collections.abc import Callable, Sequence

from ctp_front import records, tids, wire
from ctp_front.connection import Connection
from ctp_front.faults import Answer
from ctp_front.orders import Refusal, SessionKey
from ctp_front.wire import Message

Send = Callable[[Connection, bytes], None]


class Session:
    """One client; it has a key while it is logged in."""

    def __init__(self, connection: Connection, send: Send) -> None:
        self.connection = connection
        self.key: SessionKey | None = None
        self.last_order_ref = 0
        self.answer = Answer.GIVEN  # what becomes of the answer to the present request
        self._send = send
        self._sequences: dict[int, int] = {}
        self._late: list[Callable[[], None]] = []

    def reply(self, message: Message, rows: Sequence[bytes], *also: bytes) -> None:
        """Answer with one packet a row, each with what is told `also`; without rows, with RspInfo alone."""
        info = records.info()
        self._give(message, tids.reply(message.tid), [[info, row, *also] for row in rows] or [[info]])

    def refuse(self, message: Message, refusal: Refusal, echo: bytes = b"") -> None:
        """Answer with an error, and what was asked."""
        fields = [records.info(refusal), echo] if echo else [records.info(refusal)]
        self._give(message, tids.reply(message.tid), [fields])

    def fail(self, message: Message, refusal: Refusal) -> None:
        """Answer with an error that belongs to no kind of request: OnRspError."""
        self._give(message, tids.ERROR, [[records.info(refusal)]])

    def release(self) -> None:
        """Give the answers that were held back."""
        late, self._late = self._late, []
        for give in late:
            give()

    def _give(self, message: Message, tid: int, packets: list[list[bytes]]) -> None:
        if self.answer == Answer.LATE:
            self._late.append(lambda: self._send_all(message, tid, packets))
        elif self.answer != Answer.NEVER:
            self._send_all(message, tid, packets)

    def _send_all(self, message: Message, tid: int, packets: list[list[bytes]]) -> None:
        last = len(packets) - 1
        data = [self._packet(message, tid, fields, last=at == last) for at, fields in enumerate(packets)]
        self._send(self.connection, b"".join(data))

    def _packet(self, message: Message, tid: int, fields: list[bytes], *, last: bool) -> bytes:
        # The login names the library's own count too, but may miss the reply that came just before it.
        sequence = self._sequences[message.series] = self._sequences.get(message.series, 0) + 1
        return wire.encode(
            tid, fields, series=message.series, sequence=sequence, request_id=message.request_id, last=last
        )
