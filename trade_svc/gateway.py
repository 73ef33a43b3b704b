"""What the trade service asks of CTP: login, the day's queries, insert and cancel."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from arbig.config import Ctp, Settings
from arbig.ctp import locale
from arbig.ctp.client import Client, open_client
from arbig.ctp.spi import Push, Row
from arbig.errors import ConfigError
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.orders import memo_of
from trade_svc.reports import ALL_OF_IT, ANY_VOLUME, CTP_DIRECTION, CTP_OFFSET, GOOD_FOR_DAY, IOC
from trade_svc.trader import Login

log = logging.getLogger(__name__)

# TimeCondition and VolumeCondition of each kind of order; SHFE has no market orders.
_KINDS = {
    pb.ORDER_TYPE_LIMIT: (GOOD_FOR_DAY, ANY_VOLUME),
    pb.ORDER_TYPE_FAK: (IOC, ANY_VOLUME),
    pb.ORDER_TYPE_FOK: (IOC, ALL_OF_IT),
    pb.ORDER_TYPE_MARKET: (IOC, ANY_VOLUME),
}


def _secret(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"the secret in {path} cannot be read: {error.strerror}") from error


class Gateway:
    """One investor at one trade front."""

    def __init__(self, client: Client, ctp: Ctp) -> None:
        self.client = client
        self._app_id = ctp.app_id
        self._password = _secret(ctp.password_file)
        self._auth_code = _secret(ctp.auth_code_file)
        self._user = {"BrokerID": ctp.broker_id, "UserID": ctp.account_id}
        # What the broker judges a login by.
        self.credentials = (
            *(ctp.trade_front, ctp.broker_id, ctp.account_id),
            *(self._app_id, self._auth_code, self._password),
        )
        self._investor = {"BrokerID": ctp.broker_id, "InvestorID": ctp.account_id}

    async def authenticate(self) -> None:
        """Show the AppID and its AuthCode; raises CtpError for a refusal."""
        auth = self.client.struct("ReqAuthenticate", **self._user, AppID=self._app_id, AuthCode=self._auth_code)
        await self.client.request("ReqAuthenticate", auth)

    async def login(self) -> Login:
        """Log in, once authenticated; raises CtpError for a refusal."""
        login = self.client.struct("ReqUserLogin", **self._user, Password=self._password)
        (row,) = await self.client.request("ReqUserLogin", login)
        self.client.pace_queries()
        return Login(row["TradingDay"], row["FrontID"], row["SessionID"], int(row["MaxOrderRef"].strip() or 0))

    async def settlement_confirmed(self, trading_day: str) -> bool:
        """Ask whether the settlement is confirmed for this day."""
        confirmed = await self._query("SettlementInfoConfirm", self._investor)
        return any(row["ConfirmDate"] == trading_day for row in confirmed)

    async def confirm_settlement(self) -> None:
        """Confirm the settlement: without it orders get error 42."""
        struct = self.client.struct("SettlementInfoConfirm", **self._investor)
        await self.client.request("ReqSettlementInfoConfirm", struct)

    async def settlement(self, trading_day: str = "") -> list[Row]:
        """Query the pieces of a day's settlement statement; without a day, of the last one."""
        return await self._query("SettlementInfo", {**self._investor, "TradingDay": trading_day})

    async def _query(self, name: str, values: dict[str, str]) -> list[Row]:
        return await self.client.query(f"ReqQry{name}", self.client.struct(f"Qry{name}", **values))

    async def instruments(self) -> list[Row]:
        """Query every instrument."""
        return await self._query("Instrument", {})

    async def orders(self) -> list[Row]:
        """Query the day's orders."""
        return await self._query("Order", self._investor)

    async def trades(self) -> list[Row]:
        """Query the day's trades."""
        return await self._query("Trade", self._investor)

    async def position_details(self) -> list[Row]:
        """Query the lots, one row for each opening trade."""
        return await self._query("InvestorPositionDetail", self._investor)

    async def positions(self) -> list[Row]:
        """Query the position sides, today's and older lots apart."""
        return await self._query("InvestorPosition", self._investor)

    async def margin_rates(self, symbol: str = "") -> list[Row]:
        """Query what the broker asks as margin; without a symbol, of what is held."""
        return await self._query("InstrumentMarginRate", {**self._investor, "InstrumentID": symbol, "HedgeFlag": "1"})

    async def commission_rates(self, symbol: str = "") -> list[Row]:
        """Query what the broker takes as commission; without a symbol, of what is held."""
        return await self._query("InstrumentCommissionRate", {**self._investor, "InstrumentID": symbol})

    async def broker_parameters(self) -> list[Row]:
        """Query how the broker reckons margin."""
        return await self._query("BrokerTradingParams", {**self._investor, "CurrencyID": "CNY"})

    async def account(self) -> Row:
        """Query the money."""
        (row,) = await self._query("TradingAccount", self._investor)
        return row

    def insert(self, order: pb.Order) -> tuple[int, int]:
        """Send an order; give the library's return code (0: written to the socket) and the request id."""
        client = self.client
        request_id = client.next_id()
        time_condition, volume_condition = _KINDS[order.type]
        struct = client.struct(
            "InputOrder",
            **self._investor,
            UserID=self._user["UserID"],  # without it OnErrRtn* never comes
            ExchangeID=order.exchange,
            InstrumentID=order.symbol,
            OrderRef=order.order_ref,
            OrderMemo=memo_of(order.client_order_id),
            Direction=CTP_DIRECTION[order.direction],
            CombOffsetFlag=CTP_OFFSET[order.offset],
            CombHedgeFlag="1",  # speculation
            OrderPriceType="2",  # limit
            LimitPrice=order.price,
            VolumeTotalOriginal=order.volume,
            TimeCondition=time_condition,
            VolumeCondition=volume_condition,
            MinVolume=1,
            ContingentCondition="1",  # immediately
            ForceCloseReason="0",
            IsAutoSuspend=0,
            UserForceClose=0,
            IsSwapOrder=0,
            RequestID=request_id,
        )
        return client.api.ReqOrderInsert(struct, request_id), request_id

    def cancel(self, order: pb.Order) -> int:
        """Send a cancel; give the library's return code (0: written to the socket)."""
        names = (
            {"OrderSysID": order.order_sys_id}  # with its leading blanks
            if order.order_sys_id
            else {"FrontID": order.front_id, "SessionID": order.session_id, "OrderRef": order.order_ref}
        )
        request_id = self.client.next_id()
        struct = self.client.struct(
            "InputOrderAction",
            **self._investor,
            UserID=self._user["UserID"],
            ExchangeID=order.exchange,
            InstrumentID=order.symbol,
            ActionFlag="0",  # delete
            OrderMemo=memo_of(order.client_order_id),
            RequestID=request_id,
            **names,
        )
        code: int = self.client.api.ReqOrderAction(struct, request_id)
        return code


@asynccontextmanager
async def open_gateway(settings: Settings, on_push: Callable[[Push], None]) -> AsyncIterator[Gateway]:
    """Connect to the trade front for as long as the context lasts."""
    locale.ensure(settings.directory("locale"))

    def on_dated(push: Push) -> None:
        if push.name == "OnRtnInstrumentStatus":
            push.row["TradingDay"] = client.api.GetTradingDay()  # which the exchange does not say
        on_push(push)

    async with open_client(
        "trade",
        settings.directory("trade"),
        settings.ctp,
        settings.ctp.trade_front or f"tcp://{settings.address('front_trade')}",
        simulation=settings.mode == "simulation",
        on_push=on_dated,
    ) as client:
        yield Gateway(client, settings.ctp)
