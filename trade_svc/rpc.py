"""TradeService: the contract in protos/arbig/trade/v1, answered from the trader and its journal."""

from collections.abc import AsyncIterator

from arbig.errors import NotFound, Unavailable
from arbig.fanout import element
from arbig.server import Context
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.instruments import Instruments
from trade_svc.journal import Journal, as_event
from trade_svc.orders import FINAL
from trade_svc.trader import Trader

NAME = "arbig.trade.v1.TradeService"


class TradeService:
    """One method per rpc of the contract."""

    def __init__(self, trader: Trader, journal: Journal, instruments: Instruments, mode: str) -> None:
        self._trader = trader
        self._journal = journal
        self._instruments = instruments
        self._mode = mode

    def _check_account(self, account_id: str) -> None:
        if account_id not in ("", self._trader.account_id):
            raise NotFound(f"account {account_id} is not traded here", "UNKNOWN_ACCOUNT", "account_id")

    async def SubmitOrder(  # noqa: N802 - the contract's name
        self, request: pb.SubmitOrderRequest, context: Context
    ) -> pb.SubmitOrderResponse:
        """Send an order."""
        self._check_account(request.account_id)
        return pb.SubmitOrderResponse(order=await self._trader.submit(request))

    async def CancelOrder(  # noqa: N802
        self, request: pb.CancelOrderRequest, context: Context
    ) -> pb.CancelOrderResponse:
        """Ask the exchange to cancel an order."""
        self._check_account(request.account_id)
        return pb.CancelOrderResponse(order=await self._trader.cancel(request.client_order_id))

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:  # noqa: N802
        """Give one order."""
        self._check_account(request.account_id)
        return pb.GetOrderResponse(order=await self._trader.order(request.client_order_id))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:  # noqa: N802
        """Give the orders of the trading day and all that are not final."""
        self._check_account(request.account_id)
        orders = [
            order
            for order in self._trader.book.orders.values()
            if request.symbol in ("", order.symbol) and not (request.working and order.state in FINAL)
        ]
        return pb.ListOrdersResponse(orders=orders, cursor=self._journal.feed.cursor)

    async def ListPositions(  # noqa: N802
        self, request: pb.ListPositionsRequest, context: Context
    ) -> pb.ListPositionsResponse:
        """Give every position side."""
        self._check_account(request.account_id)
        positions = [one for one in self._trader.list_positions() if request.symbol in ("", one.symbol)]
        return pb.ListPositionsResponse(positions=positions, cursor=self._journal.feed.cursor)

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:  # noqa: N802
        """Give the money."""
        self._check_account(request.account_id)
        if self._trader.account is None:
            raise Unavailable("the broker has not reported the account yet", "NOT_LOADED")
        return pb.GetAccountResponse(account=self._trader.account)

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
        )
