"""The market front: who has subscribed to what, and the snapshots they are sent.

A login is needed, but nothing about it is checked. Subscribing sends the newest snapshot at once.
"""

import itertools
import logging
from collections.abc import Callable, Sequence

from ctp_front import records, refusals, tids, wire
from ctp_front.connection import Connection
from ctp_front.layout import record
from ctp_front.orders import Refusal
from ctp_front.wire import Message

log = logging.getLogger(__name__)

# A client that has not taken a replayed batch after so long is dropped: the replay goes on.
_PATIENCE_SECONDS = 10.0

_SPECIFIC_INSTRUMENT = 0x2441


class MarketFront:
    """Every client of the market front."""

    def __init__(self, trading_day: Callable[[], str]) -> None:
        self._trading_day = trading_day
        self._session_ids = itertools.count(1)
        self._subscribed: dict[Connection, set[str]] = {}
        self._newest: dict[str, bytes] = {}
        self._unknown: set[int] = set()

    @property
    def sessions(self) -> int:
        """How many are logged in."""
        return len(self._subscribed)

    def publish(self, batch: Sequence[tuple[str, bytes]]) -> None:
        """Send snapshots, given with their symbols, to whom they concern."""
        self._newest.update(batch)
        for connection, symbols in list(self._subscribed.items()):
            wanted = b"".join([packet for symbol, packet in batch if symbol in symbols])
            if wanted:
                connection.send(wanted)

    def drop(self) -> int:
        """Break every connection, and give how many there were."""
        for connection in list(self._subscribed):
            connection.drop("on command")
        return len(self._subscribed)

    async def drain(self) -> None:
        """Wait until every client has taken most of what it was sent."""
        for connection in list(self._subscribed):
            await connection.drain(_PATIENCE_SECONDS)

    async def handle(self, connection: Connection) -> None:
        """Serve one client until it is gone."""
        try:
            async for message in connection.messages():
                self._answer(connection, message)
        finally:
            self._subscribed.pop(connection, None)

    def _answer(self, connection: Connection, message: Message) -> None:
        if message.tid == tids.LOGIN:
            self._login(connection, message)
        elif message.tid == tids.LOGOUT:
            self._subscribed.pop(connection, None)
            _reply(connection, message, [records.info(), *(wire.field(*field) for field in message.fields)])
        elif connection not in self._subscribed:
            _reply(connection, message, [records.info(refusals.not_logged_in())])
        elif message.tid in (tids.SUBSCRIBE, tids.UNSUBSCRIBE):
            self._subscribe(connection, message)
        else:
            self._refuse(connection, message, refusals.unsupported())

    def _login(self, connection: Connection, message: Message) -> None:
        self._subscribed.setdefault(connection, set())
        answer = record("RspUserLogin").make(
            TradingDay=self._trading_day(),
            SystemName="ARBIG",
            FrontID=records.FRONT_ID,
            SessionID=next(self._session_ids),
        )
        _reply(connection, message, [records.info(), answer])
        log.info("logged in", extra=connection.facts)

    def _subscribe(self, connection: Connection, message: Message) -> None:
        symbols = [_symbol(payload) for fid, payload in message.fields if fid == _SPECIFIC_INSTRUMENT]
        wanted = self._subscribed[connection]
        for index, symbol in enumerate(symbols):
            echo = record("SpecificInstrument", "mduser").make(InstrumentID=symbol)
            _reply(connection, message, [records.info(), echo], last=index == len(symbols) - 1)
        if message.tid == tids.UNSUBSCRIBE:
            wanted.difference_update(symbols)
        else:
            wanted.update(symbols)
            connection.send(b"".join(self._newest[symbol] for symbol in symbols if symbol in self._newest))
        log.info("subscriptions", extra={**connection.facts, "symbols": ",".join(sorted(wanted))})

    def _refuse(self, connection: Connection, message: Message, refusal: Refusal) -> None:
        if message.tid not in self._unknown:
            self._unknown.add(message.tid)
            log.warning("unknown request", extra={**connection.facts, "tid": f"{message.tid:#x}"})
        _reply(connection, message, [records.info(refusal)])


def _symbol(payload: bytes) -> str:
    named = record("SpecificInstrument", "mduser").decode(payload)
    return str(named["InstrumentID"] or named["OldInstrumentID"])


def _reply(connection: Connection, message: Message, fields: list[bytes], *, last: bool = True) -> None:
    tid = tids.reply(message.tid)
    connection.send(wire.encode(tid, fields, series=message.series, request_id=message.request_id, last=last))
