"""TradeService: the contract in protos/arbig/trade/v1, answered from the trader and its journal."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from arbig.calendar import is_day
from arbig.ctp.errors import CtpError, DisconnectedError
from arbig.errors import InvalidField, NotFound, Unavailable
from arbig.fanout import element
from arbig.follow import Link
from arbig.server import Context
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import closing, desk, intents, limits
from trade_svc.journal import Journal, as_event
from trade_svc.orders import FINAL
from trade_svc.positions import SideKey
from trade_svc.session import Session

NAME = "arbig.trade.v1.TradeService"


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """Raise Unavailable where the broker gives no answer."""
    try:
        yield
    except (CtpError, DisconnectedError, TimeoutError) as error:
        raise Unavailable(f"the broker cannot be asked: {error}", "NOT_READY") from error


class TradeService:
    """One method per rpc of the contract."""

    def __init__(self, session: Session, journal: Journal, ticks: Link, *, mode: str, limits_path: Path) -> None:
        self._session = session
        self._trading = session.trading
        self._trader = session.trading.trader
        self._instruments = self._trader.instruments
        self._journal = journal
        self._ticks = ticks
        self._mode = mode
        self._limits_path = limits_path

    def _check_account(self, account_id: str) -> None:
        if account_id not in ("", self._trader.account_id):
            raise NotFound(f"account {account_id} is not traded here", "UNKNOWN_ACCOUNT", "account_id")

    # Orders.

    async def SubmitOrder(  # noqa: N802 - the contract's name
        self, request: pb.SubmitOrderRequest, context: Context
    ) -> pb.SubmitOrderResponse:
        """Send an order."""
        self._check_account(request.account_id)
        return pb.SubmitOrderResponse(order=await self._trading.submit(request))

    async def CancelOrder(  # noqa: N802
        self, request: pb.CancelOrderRequest, context: Context
    ) -> pb.CancelOrderResponse:
        """Ask the exchange to cancel an order."""
        self._check_account(request.account_id)
        return pb.CancelOrderResponse(order=await self._trading.cancel(request.client_order_id))

    async def PlanClose(self, request: pb.PlanCloseRequest, context: Context) -> pb.PlanCloseResponse:  # noqa: N802
        """Say how a close would split."""
        self._check_account(request.account_id)
        desk.check_plan(request)
        trader = self._trader
        legs = intents.plan(trader, request)
        exchange = self._instruments.by_symbol[request.symbol].exchange
        key = SideKey(request.symbol, exchange, request.side)
        free = trader.portfolio.positions.free(key, trader.working())
        terms, price = trader.terms.get(request.symbol), intents.last_price(trader, request.symbol)
        return pb.PlanCloseResponse(
            legs=[
                pb.CloseLeg(
                    direction=closing.closing_direction(request.side),
                    offset=leg.offset,
                    volume=leg.volume,
                    commission=terms.commission(leg.offset, price, leg.volume) if terms and price else None,
                )
                for leg in legs
            ],
            today_free=free.today,
            yesterday_free=free.yesterday,
        )

    async def ClosePosition(  # noqa: N802
        self, request: pb.ClosePositionRequest, context: Context
    ) -> pb.ClosePositionResponse:
        """Close lots by as many orders as it takes."""
        self._check_account(request.account_id)
        return pb.ClosePositionResponse(orders=await self._trading.close_position(request))

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:  # noqa: N802
        """Give one order."""
        self._check_account(request.account_id)
        return pb.GetOrderResponse(order=await self._trading.find(request.client_order_id))

    # The books.

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:  # noqa: N802
        """Give the orders of the trading day and all that are not final."""
        self._check_account(request.account_id)
        orders = [
            order
            for order in self._trader.book.orders.values()
            if request.symbol in ("", order.symbol) and not (request.working and order.state in FINAL)
        ]
        return pb.ListOrdersResponse(orders=orders, cursor=self._journal.feed.cursor)

    async def ListTrades(self, request: pb.ListTradesRequest, context: Context) -> pb.ListTradesResponse:  # noqa: N802
        """Give the trades of the trading day."""
        self._check_account(request.account_id)
        trades = [
            trade
            for trade in self._trader.book.trades.values()
            if request.symbol in ("", trade.symbol) and request.client_order_id in ("", trade.client_order_id)
        ]
        return pb.ListTradesResponse(trades=trades, cursor=self._journal.feed.cursor)

    async def ListPositions(  # noqa: N802
        self, request: pb.ListPositionsRequest, context: Context
    ) -> pb.ListPositionsResponse:
        """Give every position side."""
        self._check_account(request.account_id)
        positions = [one for one in self._trader.positions() if request.symbol in ("", one.symbol)]
        return pb.ListPositionsResponse(positions=positions, cursor=self._journal.feed.cursor)

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:  # noqa: N802
        """Give the money."""
        self._check_account(request.account_id)
        if self._trader.account is None:
            raise Unavailable("the broker has not reported the account yet", "NOT_LOADED")
        return pb.GetAccountResponse(account=self._trader.account)

    async def GetSettlement(  # noqa: N802
        self, request: pb.GetSettlementRequest, context: Context
    ) -> pb.GetSettlementResponse:
        """Give the broker's statement."""
        self._check_account(request.account_id)
        day = request.trading_day
        if day and not is_day(day):
            raise InvalidField("trading_day", f"{day} is no day YYYYMMDD", "BAD_DAY")
        with _asking():
            statement = await self._session.settlement(day)
        if statement is None:
            raise NotFound(f"the broker has no settlement of {day or 'any day'}", "NO_SETTLEMENT", "trading_day")
        return statement

    # What is allowed.

    async def GetRiskLimits(  # noqa: N802
        self, request: pb.GetRiskLimitsRequest, context: Context
    ) -> pb.GetRiskLimitsResponse:
        """Give the limits."""
        self._check_account(request.account_id)
        return pb.GetRiskLimitsResponse(limits=self._trader.limits)

    async def UpdateRiskLimits(  # noqa: N802
        self, request: pb.UpdateRiskLimitsRequest, context: Context
    ) -> pb.UpdateRiskLimitsResponse:
        """Change limits, in the file first."""
        self._check_account(request.limits.account_id)
        changed = limits.changed(self._trader.limits, request.limits, request.update_mask)
        limits.save(self._limits_path, changed)
        self._trader.limits = changed
        await self._trading.keep([changed])
        return pb.UpdateRiskLimitsResponse(limits=changed)

    async def GetConduct(self, request: pb.GetConductRequest, context: Context) -> pb.GetConductResponse:  # noqa: N802
        """Give what the conduct rules count."""
        self._check_account(request.account_id)
        counts = self._trader.conduct.all(self._trader.limits)
        return pb.GetConductResponse(conduct=[one for one in counts if request.symbol in ("", one.symbol)])

    async def SetTradingState(  # noqa: N802
        self, request: pb.SetTradingStateRequest, context: Context
    ) -> pb.SetTradingStateResponse:
        """Let all orders through, only those that close, or none."""
        self._check_account(request.account_id)
        await self._trading.set_state(request.state, request.reason)
        return pb.SetTradingStateResponse(state=self._trader.state.state)

    async def EmergencyStop(  # noqa: N802
        self, request: pb.EmergencyStopRequest, context: Context
    ) -> pb.EmergencyStopResponse:
        """Halt, and cancel what works."""
        self._check_account(request.account_id)
        return await self._trading.emergency_stop(request.reason)

    async def Reconcile(self, request: pb.ReconcileRequest, context: Context) -> pb.ReconcileResponse:  # noqa: N802
        """Compare with the broker again."""
        self._check_account(request.account_id)
        with _asking():
            found = await self._session.agree()
        return pb.ReconcileResponse(reconciliation=found, readiness=self._trader.readiness)

    # Streams, and how things are.

    async def SubscribeEvents(  # noqa: N802
        self, request: pb.SubscribeEventsRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """Follow the journal."""
        after = request.after if request.HasField("after") else None
        keys = [request.account_id] if request.account_id else []
        with self._journal.feed.follower(context.peer(), keys) as follower:
            async for batch in follower.batches(after, self._snapshot):
                yield batch.response(pb.SubscribeEventsResponse)

    def _snapshot(self) -> list[bytes]:
        seq = self._journal.feed.head
        return [element(as_event(seq, body).SerializeToString()) for body in self._trader.snapshot()]

    async def SubscribeInstruments(  # noqa: N802
        self, request: pb.SubscribeInstrumentsRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """Follow the instruments."""
        after = request.after if request.HasField("after") else None
        with self._instruments.feed.follower(context.peer(), latest=True) as follower:
            async for batch in follower.batches(after):
                yield batch.response(pb.SubscribeInstrumentsResponse)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:  # noqa: N802
        """Tell whether orders can be sent."""
        trader = self._trader
        working = list(trader.book.working())
        return pb.GetStatusResponse(
            readiness=trader.readiness,
            reason=trader.reason,
            account_id=trader.account_id,
            trading_day=trader.trading_day,
            cursor=self._journal.feed.cursor,
            working_orders=len(working),
            unknown_orders=sum(order.state == pb.ORDER_STATE_UNKNOWN for order in working),
            mode=self._mode,
            trading_state=trader.state.state,
            trading_state_reason=trader.state.reason,
            differences=trader.reconciliation.differences,
            external_orders=sum(order.external for order in working),
            ticks_reason=self._ticks.reason,
            answer_ms=trader.answer_ms,
        )
