"""Between the exchange and its clients: what happens is on disk before anyone hears of it.

All that leaves the trade front waits in the outbox until the ledger is committed, once for all that
happened in one turn of the loop. Each account has a private flow, numbered from 1 every trading day,
that every session of the account gets and can have replayed; the public flow tells what is open.

The library takes a flow without holes and without repeats only, and stops hearing anything after a
wrong number. Against this front it keeps its count of a trading day, in memory and in its flow
directory, even where it asks for everything (RESTART): a client must use RESUME, and begin with an
empty flow directory to hear the whole day.
"""

import asyncio
import logging
from collections.abc import Mapping

from ctp_front import instrument_records, records, tids, wire
from ctp_front.account import Account
from ctp_front.connection import Connection
from ctp_front.depth import Depth
from ctp_front.exchange import Exchange
from ctp_front.ledger import Ledger
from ctp_front.orders import Moment, Report

log = logging.getLogger(__name__)

_CONTINUOUS, _CLOSED = "2", "6"

# Where a session begins to follow a flow.
QUICK = 0xFFFFFFFF


class Floor:
    """The exchange, its ledger, and the flows."""

    def __init__(self, exchange: Exchange, ledger: Ledger, broker_id: str) -> None:
        self.exchange = exchange
        self.ledger = ledger
        self.broker_id = broker_id
        self._flow_lengths = ledger.flow_lengths()
        self._public: list[bytes] = []
        self._followers: dict[str, set[Connection]] = {}
        self._outbox: list[tuple[Connection, bytes]] = []
        self._due = asyncio.Event()

    def open_market(self, now: Moment) -> None:
        """Tell everyone that all products trade."""
        self._tell_status(_CONTINUOUS, now)

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
        if private != QUICK:
            # A number beyond the end is another day's.
            after = private if private <= self._flow_lengths.get(account_id, 0) else 0
            self.send(connection, b"".join(self.ledger.flow(account_id, after)))
        if public != QUICK:
            self.send(connection, b"".join(self._public[public if public <= len(self._public) else 0 :]))
        self._followers.setdefault(account_id, set()).add(connection)

    def unfollow(self, connection: Connection) -> None:
        """Send a client nothing more."""
        for followers in self._followers.values():
            followers.discard(connection)

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

    def report(self, reports: list[Report]) -> None:
        """Keep orders and trades, and tell them to the sessions of their account."""
        self.ledger.save(reports)
        for report in reports:
            tid, field = records.report(self.broker_id, report)
            self.tell(report.account_id, tid, [field])

    def tell(self, account_id: str, tid: int, fields: list[bytes]) -> None:
        """Put one message into an account's private flow."""
        sequence = self._flow_lengths.get(account_id, 0) + 1
        self._flow_lengths[account_id] = sequence
        packet = wire.encode(tid, fields, series=wire.PRIVATE, sequence=sequence)
        self.ledger.append_flow(account_id, sequence, packet)
        for connection in self._followers.get(account_id, ()):
            self.send(connection, packet)

    def change_day(self, trading_day: str, settlements: Mapping[str, float], now: Moment) -> None:
        """Settle, and open the next trading day; clients are disconnected, so that they log in to it."""
        log.info("settling", extra={"trading_day": self.exchange.trading_day, "next": trading_day})
        self.report(self.exchange.expire(now))
        self._tell_status(_CLOSED, now)
        self.exchange.settle(trading_day, settlements)
        self.ledger.begin_day(trading_day, self.exchange.accounts.values())
        self.flush()
        self._flow_lengths.clear()
        self._public.clear()
        for connection in {one for followers in self._followers.values() for one in followers}:
            connection.close()
        self._followers.clear()
        self._tell_status(_CONTINUOUS, now)

    def _tell_status(self, code: str, now: Moment) -> None:
        products = {told.product.name: told for told in self.exchange.instruments.values()}
        for instrument in products.values():
            field = instrument_records.status(instrument, code, now.time)
            sequence = len(self._public) + 1
            packet = wire.encode(tids.INSTRUMENT_STATUS, [field], series=wire.PUBLIC, sequence=sequence)
            self._public.append(packet)
            for followers in self._followers.values():
                for connection in followers:
                    self.send(connection, packet)
