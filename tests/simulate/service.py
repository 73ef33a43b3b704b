"""The trade service as a process of the simulation: the real code, on a disk and a link that can fail."""

import random
from collections.abc import Awaitable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.ctp.errors import DisconnectedError
from arbig.ctp.spi import Push
from arbig.market.v1.market_pb2 import INSTRUMENT_STATUS_CONTINUOUS, Instrument
from arbig.trade.v1 import trade_pb2 as pb
from ctp_front.instrument import PRODUCTS
from tests.ctp_front.makers import SYMBOL
from tests.simulate import rows
from tests.simulate.disk import Disk
from tests.simulate.tasks import Tasks
from tests.simulate.venue import ACCOUNT, Venue
from tests.trade_svc.mirror import terms_of
from trade_svc.instruments import Instruments
from trade_svc.trader import Login, Trader
from trade_svc.trading import Clock, Trading

_AU = PRODUCTS["au"]
GOLD = Instrument(
    symbol=SYMBOL,
    exchange="SHFE",
    product="au",
    multiplier=_AU.multiplier,
    price_tick=_AU.price_tick,
    min_limit_order_volume=1,
    max_limit_order_volume=3,
    trading=True,
    status=INSTRUMENT_STATUS_CONTINUOUS,
)
TERMS = terms_of(_AU)
TRIES = 3


class Unsafe(AssertionError):
    """An order left before its intent was on the disk, or left twice."""


class Service:
    """One life of the process, from its start to its kill."""

    def __init__(self, disk: Disk, venue: Venue, chance: random.Random, clock: Clock) -> None:
        self.tasks = Tasks()
        self.link_up = False
        self._disk = disk
        self._venue = venue
        self._chance = chance
        self._clock = clock
        self._requests = 0
        self._last_ref = 0
        instruments = Instruments(epoch=1)
        instruments.load([GOLD])
        limits = pb.RiskLimits(account_id=ACCOUNT, allow_self_cross=True, market_protection_ticks=3)
        self.trader = Trader(ACCOUNT, instruments, limits)
        self.trader.terms[SYMBOL] = TERMS
        self.trading = Trading(self.trader, disk, self, clock)
        self.trading.keep(self.trader.recall(disk.recall(), clock.now()))

    # The gateway.

    def insert(self, order: pb.Order) -> tuple[int, int]:
        """Send an order; what leaves without its intent on the disk is the worst there is."""
        known = self._disk.orders.get(order.client_order_id)
        if known is None or (known.session_id, known.order_ref) != (order.session_id, order.order_ref):
            raise Unsafe(f"{order.client_order_id} left before its intent was on the disk")
        if self.trader.state.state == pb.TRADING_STATE_HALTED:
            raise Unsafe(f"{order.client_order_id} left though trading was stopped")
        if order.session_id != self._venue.session:
            raise Unsafe(f"{order.client_order_id} left in another session than its intent says")
        if int(order.order_ref) <= self._last_ref:
            raise Unsafe(f"{order.client_order_id} left with OrderRef {order.order_ref} after {self._last_ref}")
        self._last_ref = int(order.order_ref)
        if self._chance.random() < 0.02 or not self.link_up:
            return (-2 if self.link_up else -1), 0
        self._requests += 1
        self._venue.insert(order, self._requests)
        return 0, self._requests

    def cancel(self, order: pb.Order) -> int:
        """Send a cancel."""
        if not self.link_up:
            return -1
        self._venue.cancel(order)
        return 0

    def orders(self) -> Awaitable[list[rows.Row]]:
        """Ask for the day's orders."""
        exchange = self._venue.exchange
        return self._venue.ask(lambda: [rows.order_row(order) for order in exchange.orders])

    def trades(self) -> Awaitable[list[rows.Row]]:
        """Ask for the day's trades."""
        exchange = self._venue.exchange
        return self._venue.ask(lambda: [rows.trade_row(trade) for trade in exchange.trades])

    def positions(self) -> Awaitable[list[rows.Row]]:
        """Ask for the position sides."""
        venue = self._venue
        return venue.ask(lambda: list(rows.position_rows(venue.exchange.account(ACCOUNT), venue.depth.pre_settlement)))

    def position_details(self) -> Awaitable[list[rows.Row]]:
        """Ask for the lots."""
        venue = self._venue
        return venue.ask(lambda: list(rows.detail_rows(venue.exchange.account(ACCOUNT), venue.depth.pre_settlement)))

    def account(self) -> Awaitable[rows.Row]:
        """Ask for the money."""
        exchange = self._venue.exchange
        return self._venue.ask(lambda: rows.account_row(exchange, exchange.account(ACCOUNT)))

    # The session.

    def see_prices(self) -> None:
        """Take in the market's last tick."""
        self.trader.ticks[SYMBOL] = (self._venue.tick(), self._clock.ms())

    def log_in(self) -> None:
        """Log in, and begin to agree."""
        self.link_up = True
        self.see_prices()
        login = Login(*self._venue.log_in())
        self._last_ref = login.max_order_ref
        self.trader.begin_session(login)
        self.tasks.start("agree", self.agree())

    async def agree(self) -> None:
        """Compare with the broker a few times, as the service's session does."""
        self.trader.set_readiness(pb.READINESS_RECONCILING, "")
        try:
            for _ in range(TRIES):
                if not (await self.trading.agree()).differences:
                    self.trader.set_readiness(pb.READINESS_READY, "")
                    return
        except DisconnectedError:
            return
        self.trader.set_readiness(pb.READINESS_HALTED, str(self.trader.reconciliation.differences))

    def lose_link(self) -> None:
        """Notice that the link broke."""
        self.link_up = False
        self.trader.set_readiness(pb.READINESS_DISCONNECTED, "")
        self.trading.end_session()

    def hear(self) -> None:
        """Take in what came first."""
        one: Any = self._venue.outbound.popleft()
        if isinstance(one, Push):
            self.trading.on_push(one)
            if not self.trader.portfolio.loaded and self.trader.readiness == pb.READINESS_LOADING:
                self.tasks.start("agree", self.agree())
        else:
            promise, answer = one
            promise.keep(answer)

    def kill(self) -> None:
        """End at once: what was on its way to the disk is there or not."""
        self.tasks.kill()
        self._disk.crash(self._chance)


def now_of(ms: int) -> Timestamp:
    """Give a time of the virtual clock."""
    return Timestamp(seconds=1_795_000_000 + ms // 1000, nanos=ms % 1000 * 1_000_000)
