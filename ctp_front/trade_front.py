"""The trade front: each client from its login to its logout, and what it may ask.

Whatever is sent goes through the floor, which commits the books first. A password is enciphered by
the vendor's library and cannot be checked; the broker and the user are.
"""

import logging
from collections.abc import Callable
from typing import Any

from ctp_front import account_records, records, refusals, tids, wire
from ctp_front.account_records import Owner
from ctp_front.connection import Connection
from ctp_front.faults import Answer, Faults, RefusalForm
from ctp_front.floor import QUICK, Floor
from ctp_front.flow_control import FlowControl
from ctp_front.layout import record
from ctp_front.orders import INSERT_REJECTED, Moment, Order, Refusal, Report, SessionKey
from ctp_front.queries import Queries
from ctp_front.session import Session
from ctp_front.wire import Message

log = logging.getLogger(__name__)


class TradeFront:
    """Every client of the trade front."""

    def __init__(self, floor: Floor, now: Callable[[], Moment], control: FlowControl, faults: Faults) -> None:
        self._floor = floor
        self._now = now
        self._control = control
        self._faults = faults
        self._queries = Queries(floor.exchange, floor.broker_id)
        self._clients: dict[Connection, Session] = {}
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
        return sum(1 for session in self._clients.values() if session.key is not None)

    async def handle(self, connection: Connection) -> None:
        """Serve one client until it is gone."""
        session = self._clients[connection] = Session(connection, self._floor.send)
        try:
            async for message in connection.messages():
                self._hear(session, message)
        finally:
            del self._clients[connection]
            self._floor.unfollow(connection)

    def drop(self, account_id: str) -> int:
        """Break the connections of an account, and give how many there were."""
        mine = self._sessions_of(account_id)
        for session in mine:
            session.connection.drop("on command")
        return len(mine)

    def release(self, account_id: str) -> None:
        """Give the answers that were held back from an account."""
        for session in self._sessions_of(account_id):
            session.release()

    def _sessions_of(self, account_id: str) -> list[Session]:
        return [one for one in self._clients.values() if one.key is not None and one.key.account_id == account_id]

    def _hear(self, session: Session, message: Message) -> None:
        """Answer a request, unless something was ordered to go wrong with it."""
        fault = self._faults.answer(_account_of(session, message), message.tid)
        session.answer = fault.answer
        if fault.answer == Answer.ERROR and fault.refusal is not None:
            session.fail(message, fault.refusal)
        elif fault.answer != Answer.UNHEARD:
            self._answer(session, message)

    def _answer(self, session: Session, message: Message) -> None:
        request = self._requests.get(message.tid)
        if message.tid == tids.AUTHENTICATE:
            self._authenticate(session, message)
        elif message.tid == tids.LOGIN:
            self._login(session, message)
        elif session.key is None:
            session.refuse(message, refusals.not_logged_in())
        elif request is not None:
            request(session, session.key, message)
        elif message.tid in self._queries:
            self._query(session, session.key, message)
        else:
            self._unknown_request(session, message)

    # From the login to the logout.

    def _authenticate(self, session: Session, message: Message) -> None:
        # Without IsResult the library asks again at once, for ever.
        answer = record("AuthenticationInfo").make(BrokerID=self._floor.broker_id, IsResult=1)
        session.reply(message, [answer])

    def _login(self, session: Session, message: Message) -> None:
        asked = _asked(message, "ReqUserLogin")
        user = asked["UserID"]
        try:
            self._check_login(user, asked["BrokerID"])
        except Refusal as refusal:
            facts = {"user": user, "broker": asked["BrokerID"], "error_id": refusal.error_id}
            log.warning("login refused", extra={**session.connection.facts, **facts})
            # Without a record the library would not pass the refusal on.
            session.refuse(message, refusal, record("RspUserLogin").make(UserID=user))
            return
        account = self._floor.open_account(user)
        session.key = SessionKey(user, records.FRONT_ID, self._floor.ledger.next_session())
        answer = self._login_answer(session.key, str(account.max_order_ref))
        session.reply(message, [answer], records.query_rate(self._control.queries_per_second))
        starts = _starts(message)
        self._floor.follow(session.connection, user, starts.get(wire.PRIVATE, 0), starts.get(wire.PUBLIC, QUICK))
        facts = {"account": user, "session": session.key.session_id, "private": starts.get(wire.PRIVATE, 0)}
        log.info("logged in", extra={**session.connection.facts, **facts})

    def _check_login(self, user: str, broker_id: str) -> None:
        if not user or broker_id != self._floor.broker_id:
            raise refusals.invalid_login()
        self._faults.check_login()
        self._control.check_sessions(len(self._sessions_of(user)))

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
        self._floor.unfollow(session.connection)
        session.reply(message, [record("UserLogout").make(BrokerID=self._floor.broker_id, UserID=key.account_id)])
        log.info("logged out", extra={**session.connection.facts, "account": key.account_id})

    # What a session asks for.

    def _confirm(self, session: Session, key: SessionKey, message: Message) -> None:
        trading_day = self._floor.exchange.trading_day
        account = self._floor.exchange.account(key.account_id)
        account.confirmed = trading_day
        self._floor.ledger.save_account(account)
        answer = account_records.confirmation(
            Owner(self._floor.broker_id, key.account_id), trading_day, self._now().time
        )
        session.reply(message, [answer])

    def _query(self, session: Session, key: SessionKey, message: Message) -> None:
        try:
            self._control.count_query(key.session_id, self._now())
        except Refusal as refusal:
            session.fail(message, refusal)
            return
        session.reply(message, self._queries.answer(key.account_id, message))

    def _insert(self, session: Session, key: SessionKey, message: Message) -> None:
        asked = _asked(message, "InputOrder")
        try:
            _check_owner(key, asked, self._floor.broker_id)
            request = records.order_request(asked)
            self._take_order_ref(session, key, request.order_ref)
            self._control.count_order(key.account_id, self._now())
            reports = self._floor.exchange.insert(key, request, self._now())
        except Refusal as refusal:
            session.refuse(message, refusal, record("InputOrder").encode(asked))
            self._tell_insert_error(key.account_id, refusal, asked)
            return
        self._report_insert(key.account_id, reports, asked)

    def _report_insert(self, account_id: str, reports: list[Report], asked: dict[str, Any]) -> None:
        """Report what became of an order; a refusal by the exchange has several forms."""
        last, form = reports[-1], self._faults.form(account_id)
        if not isinstance(last, Order) or last.submit_status != INSERT_REJECTED or form == RefusalForm.RETURN:
            self._floor.report(reports)
            return
        self._floor.report(reports, silent=1 if form == RefusalForm.ERROR else 0)
        # The front words it without what the order's status says before it.
        text = last.message[last.message.index(last.exchange) :]
        self._tell_insert_error(account_id, Refusal(last.error_id, text), asked)

    def _tell_insert_error(self, account_id: str, refusal: Refusal, asked: dict[str, Any]) -> None:
        fields = [records.info(refusal), record("InputOrder").encode(asked)]
        self._floor.tell(account_id, tids.ERR_ORDER_INSERT, fields)

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
            self._control.count_cancel(key.account_id, self._now())
            reports = self._floor.exchange.cancel(key.account_id, request, asked["UserID"], self._now())
        except Refusal as refusal:
            if not refusal.by_exchange:  # CTP has passed the cancel on: its answer was none
                session.refuse(message, refusal, record("InputOrderAction").encode(asked))
            told = [records.info(refusal), records.order_action(asked, refusal)]
            self._floor.tell(key.account_id, tids.ERR_ORDER_ACTION, told)
            return
        self._floor.report(reports)

    def _unknown_request(self, session: Session, message: Message) -> None:
        if message.tid not in self._unknown:
            self._unknown.add(message.tid)
            log.warning("unknown request", extra={**session.connection.facts, "tid": f"{message.tid:#x}"})
        # Unanswered, it would keep the library from sending any further query.
        session.refuse(message, refusals.unsupported())


def _asked(message: Message, name: str) -> dict[str, Any]:
    payload = message.field(record(name).fid)
    if payload is None:
        raise wire.WireError(f"request {message.tid:#x} without its {name}")
    return record(name).decode(payload)


def _account_of(session: Session, message: Message) -> str:
    """Give whose request it is; a login says so itself, and before it nobody knows."""
    if session.key is not None:
        return session.key.account_id
    return str(_asked(message, "ReqUserLogin")["UserID"]) if message.tid == tids.LOGIN else ""


def _starts(message: Message) -> dict[int, int]:
    """Give where the login wants each series to begin."""
    kind = record("Dissemination")
    read = [kind.decode(payload) for fid, payload in message.fields if fid == kind.fid]
    return {one["SequenceSeries"]: one["SequenceNo"] & QUICK for one in read}


def _check_owner(key: SessionKey, asked: dict[str, Any], broker_id: str) -> None:
    if (asked["BrokerID"], asked["InvestorID"]) != (broker_id, key.account_id):
        raise refusals.no_privilege()
