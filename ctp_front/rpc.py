"""The front's own gRPC service: its controls, and the books that every other book must agree with."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.errors import NotFound
from arbig.front.v1 import front_pb2 as pb
from ctp_front import clock
from ctp_front.account import Account
from ctp_front.exchange import Exchange
from ctp_front.fault_rpc import FaultMethods

SERVICE = "arbig.front.v1.FrontService"


class FrontService(FaultMethods):
    """Implements arbig.front.v1.FrontService."""

    async def Start(self, request: pb.StartRequest, context: Any) -> pb.StartResponse:  # noqa: N802
        """Start a held replay."""
        self._player.source.started.set()
        return pb.StartResponse()

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:  # noqa: N802
        """Tell what the front is doing."""
        source = self._player.source
        time = Timestamp()
        time.FromDatetime(clock.instant(source.now()))
        return pb.GetStatusResponse(
            source=source.kind,
            running=source.started.is_set() and not source.finished,
            finished=source.finished,
            published=self._player.published,
            broken_rows=source.broken,
            time=time,
            trading_day=self._floor.exchange.trading_day,
            market_sessions=self._market.sessions,
            trade_sessions=self._trade.sessions,
            symbols=sorted(self._floor.exchange.instruments),
        )

    async def GetBooks(self, request: pb.GetBooksRequest, context: Any) -> pb.GetBooksResponse:  # noqa: N802
        """Show an account's books."""
        exchange = self._floor.exchange
        account = exchange.accounts.get(self._account(request.account_id))
        if account is None:
            raise NotFound(f"account {request.account_id} has never logged in", "UNKNOWN_ACCOUNT", "account_id")
        return books(exchange, account)


def books(exchange: Exchange, account: Account) -> pb.GetBooksResponse:
    """Write an account's books of the day."""
    return pb.GetBooksResponse(
        orders=[
            pb.BookOrder(
                order_sys_id=order.sys_id.strip(),
                session_key=f"{order.front_id}.{order.session_id}.{order.order_ref.strip()}",
                order_memo=order.memo,
                symbol=order.symbol,
                status=order.status,
                volume=order.volume,
                traded=order.traded,
            )
            for order in exchange.orders
            if order.account_id == account.account_id
        ],
        trades=[
            pb.BookTrade(
                trade_id=trade.trade_id.strip(),
                order_sys_id=trade.order_sys_id.strip(),
                symbol=trade.symbol,
                direction=trade.direction,
                offset=trade.offset,
                price=trade.price,
                volume=trade.volume,
            )
            for trade in exchange.trades
            if trade.account_id == account.account_id
        ],
        positions=_positions(exchange, account),
        account=_money(exchange, account),
    )


def _positions(exchange: Exchange, account: Account) -> list[pb.BookPosition]:
    sides: dict[tuple[str, str], pb.BookPosition] = {}
    for key, holding in sorted(account.holdings.items()):
        side = sides.setdefault((key.symbol, key.side), pb.BookPosition(symbol=key.symbol, side=key.side))
        today = sum(lot.volume for lot in holding.lots if lot.open_day == exchange.trading_day)
        side.today += today
        side.yesterday += holding.volume - today
        side.frozen += holding.frozen
    return list(sides.values())


def _money(exchange: Exchange, account: Account) -> pb.BookAccount:
    money = exchange.money(account)
    return pb.BookAccount(
        balance=money.balance,
        available=money.available,
        margin=money.margin,
        commission=account.commission,
        close_profit=account.close_profit,
        position_profit=money.position_profit,
        frozen_margin=account.frozen_margin,
        frozen_commission=account.frozen_commission,
    )
