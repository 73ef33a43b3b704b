"""The trade front: each client from its login to its logout, and what it may ask.

Whatever is sent goes through the floor, which commits the books first. A password is enciphered by
the vendor's library and cannot be checked; the broker and the user are.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ctp_front import account_records, records, refusals, tids, wire
from ctp_front.account_records import Owner
from ctp_front.connection import Connection
from ctp_front.floor import QUICK, Floor
from ctp_front.layout import record
from ctp_front.orders import Moment, Refusal, SessionKey
from ctp_front.queries import Queries
from ctp_front.wire import Message

log = logging.getLogger(__name__)


@dataclass
class Session:
    """One client of the trade front; it has a key once it is logged in."""

    connection: Connection
    key: SessionKey | None = None
    last_order_ref: int = 0
    sequences: dict[int, int] = field(default_factory=dict)

    def next_sequence(self, series: int) -> int:
        """Give the number of the next reply in a series, counted from the connection on.

        The login names the library's own count too, but may miss the reply that came just before it.
        """
        self.sequences[series] = self.sequences.get(series, 0) + 1
        return self.sequences[series]


class TradeFront:
    """Every client of the trade front."""

    def __init__(self, floor: Floor, now: Callable[[], Moment]) -> None:
        self._floor = floor
        self._now = now
        self._queries = Queries(floor.exchange, floor.broker_id)
        self._sessions: set[Connection] = set()
        self._unknown: set[int] = set()
        self._requests: dict[int, Callable[[Session, SessionKey, Message], None]] = {
            tids.SETTLEMENT_CONFIRM: self._confirm,
            tids.ORDER_INSERT: self._insert,
            tids.ORDER_ACTION: self._cancel,
            tids.LOGOUT: self._logout,
        }

    @property
    def sessions(self) -> int:
        """How many are logged in."""
        return len(self._sessions)

    async def handle(self, connection: Connection) -> None:
        """Serve one client until it is gone."""
        session = Session(connection)
        try:
            async for message in connection.messages():
                self._answer(session, message)
        finally:
            self._leave(connection)

    def _answer(self, session: Session, message: Message) -> None:
        request = self._requests.get(message.tid)
        if message.tid == tids.AUTHENTICATE:
            self._authenticate(session, message)
        elif message.tid == tids.LOGIN:
            self._login(session, message)
        elif session.key is None:
            self._refuse(session, message, refusals.not_logged_in())
        elif request is not None:
            request(session, session.key, message)
        elif message.tid in self._queries:
            self._reply(session, message, self._queries.answer(session.key.account_id, message))
        else:
            self._unknown_request(session, message)

    # From the login to the logout.

    def _authenticate(self, session: Session, message: Message) -> None:
        # Without IsResult the library asks again at once, for ever.
        answer = record("AuthenticationInfo").make(BrokerID=self._floor.broker_id, IsResult=1)
        self._reply(session, message, [answer])

    def _login(self, session: Session, message: Message) -> None:
        asked = _asked(message, "ReqUserLogin")
        user = asked["UserID"]
        if not user or asked["BrokerID"] != self._floor.broker_id:
            log.warning("login refused", extra={**session.connection.facts, "user": user, "broker": asked["BrokerID"]})
            self._refuse(session, message, refusals.invalid_login())
            return
        account = self._floor.open_account(user)
        session.key = SessionKey(user, records.FRONT_ID, self._floor.ledger.next_session())
        answer = self._login_answer(session.key, str(account.max_order_ref))
        self._reply(session, message, [answer])
        starts = _starts(message)
        self._floor.follow(session.connection, user, starts.get(wire.PRIVATE, 0), starts.get(wire.PUBLIC, QUICK))
        self._sessions.add(session.connection)
        facts = {"account": user, "session": session.key.session_id, "private": starts.get(wire.PRIVATE, 0)}
        log.info("logged in", extra={**session.connection.facts, **facts})

    def _login_answer(self, key: SessionKey, max_order_ref: str) -> bytes:
        now = self._now().time
        return record("RspUserLogin").make(
            TradingDay=self._floor.exchange.trading_day,
            LoginTime=now,
            BrokerID=self._floor.broker_id,
            UserID=key.account_id,
            SystemName="ARBIG",
            FrontID=key.front_id,
            SessionID=key.session_id,
            MaxOrderRef=max_order_ref,
            SHFETime=now,
            DCETime=now,
            CZCETime=now,
            FFEXTime=now,
            INETime=now,
            GFEXTime=now,
        )

    def _logout(self, session: Session, key: SessionKey, message: Message) -> None:
        session.key = None
        self._leave(session.connection)
        self._reply(
            session, message, [record("UserLogout").make(BrokerID=self._floor.broker_id, UserID=key.account_id)]
        )
        log.info("logged out", extra={**session.connection.facts, "account": key.account_id})

    def _leave(self, connection: Connection) -> None:
        self._sessions.discard(connection)
        self._floor.unfollow(connection)

    # What a session asks for.

    def _confirm(self, session: Session, key: SessionKey, message: Message) -> None:
        trading_day = self._floor.exchange.trading_day
        account = self._floor.exchange.account(key.account_id)
        account.confirmed = trading_day
        self._floor.ledger.save_account(account)
        answer = account_records.confirmation(
            Owner(self._floor.broker_id, key.account_id), trading_day, self._now().time
        )
        self._reply(session, message, [answer])

    def _insert(self, session: Session, key: SessionKey, message: Message) -> None:
        asked = _asked(message, "InputOrder")
        try:
            _check_owner(key, asked, self._floor.broker_id)
            request = records.order_request(asked)
            self._take_order_ref(session, key, request.order_ref)
            reports = self._floor.exchange.insert(key, request, self._now())
        except Refusal as refusal:
            echo = record("InputOrder").encode(asked)
            self._refuse(session, message, refusal, echo)
            self._floor.tell(key.account_id, tids.ERR_ORDER_INSERT, [records.info(refusal), echo])
            return
        self._floor.report(reports)

    def _take_order_ref(self, session: Session, key: SessionKey, text: str) -> None:
        """Check that references go up inside a session, and keep the account's largest for its next login."""
        if not text.strip().isdecimal():
            raise refusals.bad_field("报单引用")
        reference = int(text)
        if reference <= session.last_order_ref:
            raise refusals.repeated_order_ref()
        session.last_order_ref = reference
        account = self._floor.exchange.account(key.account_id)
        if reference > account.max_order_ref:
            account.max_order_ref = reference
            self._floor.ledger.save_account(account)

    def _cancel(self, session: Session, key: SessionKey, message: Message) -> None:
        asked = _asked(message, "InputOrderAction")
        try:
            _check_owner(key, asked, self._floor.broker_id)
            request = records.cancel_request(asked)
            reports = self._floor.exchange.cancel(key.account_id, request, asked["UserID"], self._now())
        except Refusal as refusal:
            if not refusal.by_exchange:  # CTP has passed the cancel on: its answer was none
                self._refuse(session, message, refusal, record("InputOrderAction").encode(asked))
            told = [records.info(refusal), records.order_action(asked, refusal)]
            self._floor.tell(key.account_id, tids.ERR_ORDER_ACTION, told)
            return
        self._floor.report(reports)

    def _unknown_request(self, session: Session, message: Message) -> None:
        if message.tid not in self._unknown:
            self._unknown.add(message.tid)
            log.warning("unknown request", extra={**session.connection.facts, "tid": f"{message.tid:#x}"})
        # Unanswered, it would keep the library from sending any further query.
        self._refuse(session, message, refusals.unsupported())

    # How it is answered.

    def _reply(self, session: Session, message: Message, rows: Sequence[bytes]) -> None:
        """Answer with one packet a row; without rows, with RspInfo alone."""
        last = len(rows) - 1
        info = records.info()
        packets = [self._packet(session, message, [info, row], last=at == last) for at, row in enumerate(rows)]
        self._floor.send(session.connection, b"".join(packets) or self._packet(session, message, [info]))

    def _refuse(self, session: Session, message: Message, refusal: Refusal, echo: bytes = b"") -> None:
        fields = [records.info(refusal), echo] if echo else [records.info(refusal)]
        self._floor.send(session.connection, self._packet(session, message, fields))

    def _packet(self, session: Session, message: Message, fields: list[bytes], *, last: bool = True) -> bytes:
        return wire.encode(
            tids.reply(message.tid),
            fields,
            series=message.series,
            sequence=session.next_sequence(message.series),
            request_id=message.request_id,
            last=last,
        )


def _asked(message: Message, name: str) -> dict[str, Any]:
    payload = message.field(record(name).fid)
    if payload is None:
        raise wire.WireError(f"request {message.tid:#x} without its {name}")
    return record(name).decode(payload)


def _starts(message: Message) -> dict[int, int]:
    """Give where the login wants each series to begin."""
    kind = record("Dissemination")
    read = [kind.decode(payload) for fid, payload in message.fields if fid == kind.fid]
    return {one["SequenceSeries"]: one["SequenceNo"] & QUICK for one in read}


def _check_owner(key: SessionKey, asked: dict[str, Any], broker_id: str) -> None:
    if (asked["BrokerID"], asked["InvestorID"]) != (broker_id, key.account_id):
        raise refusals.no_privilege()
