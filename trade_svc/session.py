"""The life of the link: log in, load the day, agree with the broker, trade; again after each break.

No order goes out before the orders, trades and positions that the broker reports agree with ours.
"""

import asyncio
import logging

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.ctp.errors import CtpError, DisconnectedError
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.gateway import Gateway, Login
from trade_svc.instruments import Instruments
from trade_svc.reports import account_message, detail_row, instrument_message
from trade_svc.trader import Trader

log = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 60.0
# Trades move the money at once; prices move the profit of what is open all the time.
ACCOUNT_SECONDS = 5.0
DISAGREE_SECONDS = 1.0


async def keep_session(trader: Trader, gateway: Gateway, instruments: Instruments) -> None:
    """Hold the session, for ever; only a refused login that repeating would make worse ends the tries."""
    client = gateway.client
    backoff = FIRST_BACKOFF
    while True:
        await client.connected()
        trader.set_readiness(pb.READINESS_CONNECTED, "logging in")
        try:
            login = await _login(trader, gateway)
            if login is None:
                return
            backoff = FIRST_BACKOFF
            await _trade(trader, gateway, instruments, login)
            why = client.down_reason
        except DisconnectedError as error:
            why = str(error)
        except (CtpError, TimeoutError) as error:
            why = str(error) or "the front did not answer"
        trader.end_session()
        trader.set_readiness(pb.READINESS_DISCONNECTED, why)
        if client.up:  # refused or unanswered, not broken: leave the front some time
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LAST_BACKOFF)


async def _login(trader: Trader, gateway: Gateway) -> Login | None:
    """Log in; None if the front refused for good."""
    try:
        login = await gateway.login()
    except CtpError as error:
        if error.transient or error.error_id < 0:
            raise
        trader.set_readiness(pb.READINESS_LOCKED_OUT, str(error))
        return None
    trader.begin_session(gateway, login)
    log.info("logged in", extra={"front": "trade", "day": login.trading_day, "session": login.session_id})
    return login


async def _trade(trader: Trader, gateway: Gateway, instruments: Instruments, login: Login) -> None:
    """Load the day, then keep the money fresh until the link breaks."""
    trader.set_readiness(pb.READINESS_LOADING, "reading instruments, orders, trades, positions and money")
    rows = await gateway.instruments()
    instruments.load(one for one in map(instrument_message, rows) if one)
    await gateway.confirm_settlement(login.trading_day)
    broken = asyncio.create_task(gateway.client.disconnected())
    try:
        while not broken.done():
            if not trader.loaded:
                await _load(trader, gateway)
            trader.account_stale.clear()
            now = Timestamp()
            now.GetCurrentTime()
            trader.load_account(account_message(await gateway.account(), now))
            if trader.loaded:
                trader.set_readiness(pb.READINESS_READY, "")
            stale = asyncio.create_task(trader.account_stale.wait())
            await asyncio.wait({stale, broken}, timeout=ACCOUNT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            stale.cancel()
    finally:
        broken.cancel()


async def _load(trader: Trader, gateway: Gateway) -> None:
    """Read orders, trades and lots until they agree with what we reckon."""
    while True:
        trader.load_orders(await gateway.orders())
        trader.load_trades(await gateway.trades())
        details = [detail_row(row) for row in await gateway.position_details()]
        differences = trader.load_positions(details)
        if not differences:
            return
        # A fill between two queries passes by itself; anything else needs the operator.
        trader.set_readiness(pb.READINESS_LOADING, f"positions disagree: {'; '.join(differences)}")
        await asyncio.sleep(DISAGREE_SECONDS)
