"""Between the exchange and its clients: what happens is on disk before anyone hears of it.

All that leaves the trade front waits in the outbox until the ledger is committed, once for all that
happened in one turn of the loop. Each account has a private flow, numbered from 1 every trading day,
that every session of the account gets and can have replayed; the public flow tells what is open.
What was ordered to go wrong with callbacks goes wrong here.

The library takes a flow without holes and without repeats only, and stops hearing anything after a
wrong number. Against this front it keeps its count of a trading day, in memory and in its flow
directory, even where it asks for everything (RESTART): a client must use RESUME, and begin with an
empty flow directory to hear the whole day.
"""

import asyncio
import logging
from collections.abc import Mapping

from ctp_front import hours, instrument_records, records, tids, wire
from ctp_front.account import Account
from ctp_front.connection import Connection
from ctp_front.depth import Depth
from ctp_front.exchange import Exchange
from ctp_front.faults import Faults
from ctp_front.hours import CLOSED, CONTINUOUS, Change, Timetable
from ctp_front.instrument import Instrument
from ctp_front.ledger import Ledger
from ctp_front.orders import Moment, Report

log = logging.getLogger(__name__)

# Where a session begins to follow a flow.
QUICK = 0xFFFFFFFF


class Floor:
    """The exchange, its ledger, and the flows."""

    def __init__(
        self, exchange: Exchange, ledger: Ledger, broker_id: str, faults: Faults, *, keeps_hours: bool
    ) -> None:
        self.exchange = exchange
        self.faults = faults
        self._keeps_hours = keeps_hours
        self._timetable = self._new_timetable()
        self._now: Moment | None = None
        self.ledger = ledger
        self.broker_id = broker_id
        self._flow_lengths = ledger.flow_lengths()
        self._public: list[bytes] = []
        # Of each account: who is told, and from beyond which number on.
        self._followers: dict[str, dict[Connection, int]] = {}
        # How long the flows were before they were cleared.
        self._cleared = ledger.cleared_lengths()
        self._outbox: list[tuple[Connection, bytes]] = []
        self._due = asyncio.Event()

    def open_market(self, now: Moment) -> None:
        """Tell everyone what trades: as the hours are, or everything."""
        self._timetable = self._new_timetable()
        if self._keeps_hours:
            self.pass_time(now)
        else:
            self.open_all(now)

    def open_all(self, now: Moment) -> None:
        """Let everything trade, whatever the hours, until the clock says otherwise."""
        for product in self._products():
            self._set_status(product, Change(now.time, CONTINUOUS))

    def pass_time(self, now: Moment) -> None:
        """Open and close what the exchange's clock has come to."""
        if self._keeps_hours:
            for product, change in self._timetable.pass_to(now):
                self._set_status(product, change)
        elif self._now and now > self._now and hours.place(now.time) < hours.place(self._now.time):
            # Another evening, perhaps of a weekend: a status holds for a trading day.
            self.open_all(now)
        self._now = now

    # What clients do.

    def open_account(self, account_id: str) -> Account:
        """Give an investor's account; one that is new is kept from now on."""
        is_new = account_id not in self.exchange.accounts
        account = self.exchange.account(account_id)
        if is_new:
            self.ledger.open_account(account)
        return account

    def follow(self, connection: Connection, account_id: str, private: int, public: int) -> None:
        """Send the flows from these sequence numbers on: 0 is all of them, QUICK none of the past."""
        self.release(account_id)
        known = max(self._flow_lengths.get(account_id, 0), self._cleared.get(account_id, 0))
        # A number beyond the end is another day's.
        after = private if private <= known else 0
        if private != QUICK:
            self.send(connection, b"".join(self.ledger.flow(account_id, after)))
        if public != QUICK:
            self.send(connection, b"".join(self._public[public if public <= len(self._public) else 0 :]))
        self._followers.setdefault(account_id, {})[connection] = after

    def unfollow(self, connection: Connection) -> None:
        """Send a client nothing more."""
        for followers in self._followers.values():
            followers.pop(connection, None)

    def send(self, connection: Connection, packets: bytes) -> None:
        """Send when everything that happened is on disk."""
        self._outbox.append((connection, packets))
        self._due.set()

    async def keep_flushing(self) -> None:
        """Flush once for all that happened in a turn of the loop; fails where the ledger does."""
        while True:
            await self._due.wait()
            self.flush()

    def flush(self) -> None:
        """Commit, then send what waits."""
        self._due.clear()
        self.ledger.commit()
        outbox, self._outbox = self._outbox, []
        for connection, packets in outbox:
            connection.send(packets)

    # What the exchange does.

    def apply(self, depth: Depth) -> None:
        """Let a snapshot fill what it reaches."""
        reports = self.exchange.apply(depth)
        if reports:
            self.report(reports)

    def report(self, reports: list[Report], *, silent: int = 0) -> None:
        """Keep orders and trades, and tell them to the sessions of their account, but for the last `silent`."""
        self.ledger.save(reports)
        for report in reports[: len(reports) - silent]:
            tid, field = records.report(self.broker_id, report)
            self.tell(report.account_id, tid, [field])

    def tell(self, account_id: str, tid: int, fields: list[bytes]) -> None:
        """Tell an account something, unless something was ordered to go wrong with it."""
        for callback in self.faults.pass_on(account_id, (tid, fields)):
            self._append(account_id, *callback)

    def release(self, account_id: str) -> None:
        """Tell an account what was held back."""
        for callback in self.faults.release(account_id):
            self._append(account_id, *callback)

    def _append(self, account_id: str, tid: int, fields: list[bytes]) -> None:
        """Put one message into an account's private flow."""
        sequence = self._flow_lengths.get(account_id, 0) + 1
        self._flow_lengths[account_id] = sequence
        packet = wire.encode(tid, fields, series=wire.PRIVATE, sequence=sequence)
        self.ledger.append_flow(account_id, sequence, packet)
        for connection, after in self._followers.get(account_id, {}).items():
            if sequence > after:
                self.send(connection, packet)

    def change_day(self, trading_day: str, settlements: Mapping[str, float], now: Moment) -> None:
        """Settle, and open the next trading day; clients are disconnected, so that they log in to it."""
        log.info("settling", extra={"trading_day": self.exchange.trading_day, "next": trading_day})
        self.report(self.exchange.expire(now))
        last = self._now or now  # `now` may be the next day's already
        for product in self._products():
            if self.exchange.status(product) != CLOSED:
                self._set_status(product, Change(last.time, CLOSED))
        self.exchange.settle(trading_day, settlements)
        self.ledger.begin_day(trading_day, self.exchange.accounts.values())
        self.flush()
        self._flow_lengths.clear()
        self._cleared.clear()
        self._public.clear()
        self._disconnect()
        self.open_market(now)

    def restart(self, *, clear_flow: bool) -> None:
        """Disconnect every client, as a restart of CTP does; where it clears the flow, sessions lose their names.

        The private flows then begin again, with each order and trade as it is now. A library that
        resumes from a number the new flow has not reached yet hears nothing before: so it is with CTP.
        """
        if clear_flow:
            longest = {one: max(length, self._cleared.get(one, 0)) for one, length in self._flow_lengths.items()}
            self._cleared, self._flow_lengths = {**self._cleared, **longest}, {}
            self.ledger.clear_flow(self._cleared)
            self.report(self.exchange.rename_orders(records.FRONT_ID, self.ledger.next_session()))
        self.flush()
        self._disconnect()

    def _disconnect(self) -> None:
        for connection in {one for followers in self._followers.values() for one in followers}:
            connection.close()
        self._followers.clear()

    def _products(self) -> dict[str, Instrument]:
        return {told.product.name: told for told in self.exchange.instruments.values()}

    def _new_timetable(self) -> Timetable:
        return Timetable(self._products())

    def _set_status(self, product: str, change: Change) -> None:
        self.exchange.set_status(product, change.status)
        field = instrument_records.status(self._products()[product], change.status, change.time)
        packet = wire.encode(tids.INSTRUMENT_STATUS, [field], series=wire.PUBLIC, sequence=len(self._public) + 1)
        self._public.append(packet)
        for followers in self._followers.values():
            for connection in followers:
                self.send(connection, packet)
