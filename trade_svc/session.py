"""The life of the link: log in, load the day, agree with the broker, trade; again after each break.

No order goes out before the orders, trades, positions and money that the broker reports agree with
ours. What does not agree after a few tries halts trading until somebody calls Reconcile.
"""

import asyncio
import logging
from datetime import datetime

from arbig.calendar import SHANGHAI
from arbig.ctp.errors import CtpError, DisconnectedError
from arbig.ctp.spi import Push
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.gateway import Gateway
from trade_svc.reports import (
    commission_rates,
    instrument_message,
    margin_by_side,
    margin_price,
    margin_rates,
    settlement_statement,
)
from trade_svc.terms import Rates
from trade_svc.trader import Login, Trader
from trade_svc.trading import Trading
from trade_svc.tries import LoginTries

log = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 60.0
# Trades move the money at once; prices move the profit of what is open all the time.
ACCOUNT_SECONDS = 5.0
# A fill between two queries passes by itself; anything else needs the operator.
TRIES, AGAIN_SECONDS = 3, 1.0
# No answer for so long is none: the order is UNKNOWN, and asked about.
OVERDUE_SECONDS = 10


def _today() -> str:
    return datetime.now(SHANGHAI).strftime("%Y%m%d")


class Session:
    """The link of one account, and what it knows of the broker's rates."""

    def __init__(self, trading: Trading, gateway: Gateway, tries: LoginTries) -> None:
        self.account_stale = asyncio.Event()
        self.trading = trading
        self._trader: Trader = trading.trader
        self._gateway = gateway
        self._client = gateway.client
        self._tries = tries
        self._rates = Rates()
        self._agreeing = asyncio.Lock()

    def on_push(self, push: Push) -> None:
        """Take in one callback; what it changed may have moved the money."""
        if self.trading.on_push(push):
            self.account_stale.set()

    async def keep(self) -> None:
        """Hold the session, for ever; only a refused login that repeating would make worse ends the tries."""
        if why := self._tries.locked(_today()):
            self._lock_out(why)
            return
        backoff = FIRST_BACKOFF
        while True:
            await self._client.connected()
            self._trader.set_readiness(pb.READINESS_CONNECTED, "authenticating")
            try:
                login = await self._login()
                if login is None:
                    return
                backoff = FIRST_BACKOFF
                await self._trade(login)
                why = self._client.down_reason
            except DisconnectedError as error:
                why = str(error)
            except (CtpError, TimeoutError) as error:
                why = str(error) or "the front did not answer"
            self._trader.set_readiness(pb.READINESS_DISCONNECTED, why)
            self.trading.end_session()
            if self._client.up:  # refused or unanswered, not broken: leave the front some time
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, LAST_BACKOFF)

    async def _login(self) -> Login | None:
        """Log in; None if the front refused for good."""
        try:
            await self._gateway.authenticate()
            self._trader.set_readiness(pb.READINESS_AUTHENTICATED, "logging in")
            login = await self._gateway.login()
        except CtpError as error:
            if error.transient or error.error_id < 0:
                raise
            self._lock_out(self._tries.refuse(str(error), _today()))
            return None
        self._tries.succeed()
        self._trader.begin_session(login)
        self._trader.set_readiness(pb.READINESS_LOGGED_IN, "asking whether the settlement is confirmed")
        log.info("logged in", extra={"front": "trade", "day": login.trading_day, "session": login.session_id})
        return login

    def _lock_out(self, why: str) -> None:
        log.error("no login is tried any more", extra={"reason": why})
        self._trader.set_readiness(pb.READINESS_LOCKED_OUT, why)

    async def _trade(self, login: Login) -> None:
        """Load the day and agree, then keep things fresh until the link breaks."""
        if not await self._gateway.settlement_confirmed(login.trading_day):
            self._trader.set_readiness(pb.READINESS_SETTLEMENT_UNCONFIRMED, "confirming the settlement")
            await self._gateway.confirm_settlement()
        self._trader.set_readiness(pb.READINESS_LOADING, "reading instruments and rates")
        await self._load_instruments()
        await self._load_rates()
        await self.agree()
        broken = asyncio.create_task(self._client.disconnected())
        try:
            while not broken.done():
                await self._look_after()
                self.account_stale.clear()
                stale = asyncio.create_task(self.account_stale.wait())
                await asyncio.wait({stale, broken}, timeout=ACCOUNT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                stale.cancel()
        finally:
            broken.cancel()

    async def _look_after(self) -> None:
        """Refresh the money, ask for a rate that is missing, and look into what is not known."""
        lost = not self._trader.portfolio.loaded and self._trader.readiness != pb.READINESS_HALTED
        unknown = self.trading.look_for_overdue(OVERDUE_SECONDS)
        # What is unknown is looked for quietly: what is known may trade on meanwhile.
        if lost or (unknown and (await self.trading.agree()).differences):
            await self.agree()
        else:
            await self.trading.refresh_account()
        if not self._rates.margin_price_known:
            for row in await self._gateway.broker_parameters():
                self._rates.margin_price = margin_price(row)
            self._rates.margin_price_known = True
        if self._rates.margin_price:
            self._use_rates()
        if symbol := next((one for one in self._wanted() if one not in self._trader.terms), ""):
            await self._load_rates(symbol)

    async def agree(self) -> pb.Reconciliation:
        """Compare with the broker until that agrees, a few times; then trading goes on, or is halted."""
        async with self._agreeing:
            self._trader.set_readiness(pb.READINESS_RECONCILING, "comparing orders, trades, positions and money")
            for again in range(TRIES):
                if again:
                    await asyncio.sleep(AGAIN_SECONDS)
                found = await self.trading.agree()
                if not found.differences:
                    self._trader.set_readiness(pb.READINESS_READY, "")
                    return found
            texts = [f"{one.what}: ours {one.ours}, the broker's {one.broker}" for one in found.differences]
            self._trader.set_readiness(pb.READINESS_HALTED, f"the broker disagrees: {'; '.join(texts)}")
            return found

    async def settlement(self, trading_day: str) -> pb.GetSettlementResponse | None:
        """Give a day's settlement statement if the broker has one; without a day, the last one."""
        return settlement_statement(await self._gateway.settlement(trading_day))

    # What is traded, and at which rates.

    async def _load_instruments(self) -> None:
        rows = await self._gateway.instruments()
        self._trader.instruments.load(one for one in map(instrument_message, rows) if one)
        self._rates.one_side = {row["InstrumentID"] for row in rows if margin_by_side(row)}

    async def _load_rates(self, symbol: str = "") -> None:
        """Ask for the rates of an instrument; without one, of all that the broker gives at once."""
        for row in await self._gateway.margin_rates(symbol):
            self._rates.margins[row["InstrumentID"]] = margin_rates(row)
        for row in await self._gateway.commission_rates(symbol):
            self._rates.commissions[row["InstrumentID"]] = commission_rates(row)
        self._use_rates()

    def _use_rates(self) -> None:
        trader = self._trader
        for symbol, instrument in trader.instruments.by_symbol.items():
            tick, _ = trader.ticks.get(symbol, (None, 0))
            if terms := self._rates.terms(instrument, tick):
                trader.terms[symbol] = terms

    def _wanted(self) -> list[str]:
        """Give the instruments whose rates matter, the most pressing first."""
        held = [key.symbol for key in self._trader.portfolio.positions.holdings]
        quoted = list(self._trader.ticks)
        return [symbol for symbol in held + quoted if symbol in self._trader.instruments.by_symbol]
