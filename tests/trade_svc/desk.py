"""A trading desk on a real journal, and what stands for the front behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.ctp.spi import Push
from arbig.market.v1.market_pb2 import INSTRUMENT_STATUS_CONTINUOUS, Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.instruments import Instruments
from trade_svc.journal import Journal
from trade_svc.terms import Rate, Terms
from trade_svc.trader import Login, Trader
from trade_svc.trading import Clock, Trading

DAY = "20261123"
AU = Instrument(
    symbol="au2604",
    exchange="SHFE",
    product="au",
    multiplier=1000,
    price_tick=0.02,
    min_limit_order_volume=1,
    max_limit_order_volume=9,
    trading=True,
    status=INSTRUMENT_STATUS_CONTINUOUS,
)
TICK = Tick(
    symbol="au2604",
    last_price=800.0,
    bid_prices=[799.98],
    ask_prices=[800.02],
    upper_limit_price=880.0,
    lower_limit_price=720.0,
)
TERMS = Terms(1000, Rate(0.1, 0.0), Rate(0.1, 0.0), Rate(0.0, 10.0), Rate(0.0, 10.0), Rate(0.0, 0.0), False, None)


class Front:
    """Stands for the gateway: notes what is sent, and answers queries with what it was given."""

    def __init__(self, journal: Journal) -> None:
        self.sent: list[tuple[str, bool]] = []
        self.orders_sent: list[pb.Order] = []
        self.cancelled: list[str] = []
        self.code = 0
        self.rows: dict[str, list[dict[str, Any]]] = {"orders": [], "trades": [], "positions": [], "details": []}
        self.money: dict[str, Any] = account_row()
        self._journal = journal

    def insert(self, order: pb.Order) -> tuple[int, int]:
        """Take an order, noting whether the journal knew of it by then."""
        on_disk = self._journal.feed.head > 0
        self.sent.append((order.client_order_id, on_disk))
        copied = pb.Order()
        copied.CopyFrom(order)
        self.orders_sent.append(copied)
        return self.code, len(self.sent)

    def cancel(self, order: pb.Order) -> int:
        """Take a cancel."""
        self.cancelled.append(order.client_order_id)
        return self.code

    async def orders(self) -> list[dict[str, Any]]:
        """Answer."""
        return self.rows["orders"]

    async def trades(self) -> list[dict[str, Any]]:
        """Answer."""
        return self.rows["trades"]

    async def positions(self) -> list[dict[str, Any]]:
        """Answer."""
        return self.rows["positions"]

    async def position_details(self) -> list[dict[str, Any]]:
        """Answer."""
        return self.rows["details"]

    async def account(self) -> dict[str, Any]:
        """Answer."""
        return self.money


class Hands:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def now(self) -> Timestamp:
        """Give the time."""
        return Timestamp(seconds=self.ms // 1000, nanos=self.ms % 1000 * 1_000_000)


class Desk:
    """Trading that is READY, its journal and its front."""

    def __init__(self, path: Path, **limits: Any) -> None:
        self.journal = Journal(path, asyncio.get_running_loop())
        self.instruments = Instruments(epoch=1)
        self.instruments.load([AU])
        self.front = Front(self.journal)
        self.clock = Hands()
        self.trader = Trader("sim", self.instruments, pb.RiskLimits(account_id="sim", **limits))
        self.trader.terms["au2604"] = TERMS
        self.trader.ticks["au2604"] = (TICK, self.clock.ms)
        self.trading = Trading(self.trader, self.journal, self.front, Clock(self.clock.now, lambda: self.clock.ms))
        self.trading.keep(self.trader.recall(self.journal.recall("sim"), self.clock.now()))

    async def log_in(self, session: int = 1, day: str = DAY, **rows: list[dict[str, Any]]) -> pb.Reconciliation:
        """Log in, and take in what the broker says."""
        self.front.rows.update(rows)
        self.trader.begin_session(Login(day, 1, session, 0))
        found = await self.trading.agree()
        if not found.differences:
            self.trader.set_readiness(pb.READINESS_READY, "")
        return found

    def hear(self, name: str, row: dict[str, Any], error: int = 0) -> None:
        """Let CTP say something."""
        self.trading.on_push(Push(name, row, error, "no" if error else ""))

    async def hold(self, volume: int, ref: str = "77") -> None:
        """Let another terminal open long lots today."""
        sys_id = f"  {ref}"
        self.hear(
            "OnRtnOrder", order_row("0", volume, ref=ref, session=9, OrderSysID=sys_id, VolumeTotalOriginal=volume)
        )
        self.hear("OnRtnTrade", trade_row(volume, f"h{ref}", OrderSysID=sys_id))


@asynccontextmanager
async def desk_in(directory: Path, *, log_in: bool = True, **limits: Any) -> AsyncIterator[Desk]:
    """Give a desk, logged in unless told otherwise, on the journal of a directory."""
    desk = Desk(directory / "journal.db", **limits)
    with closing(desk.journal):
        if log_in:
            assert not (await desk.log_in()).differences
        yield desk


def request(name: str = "one", **changed: Any) -> pb.SubmitOrderRequest:
    values: dict[str, Any] = {"direction": pb.DIRECTION_BUY, "offset": pb.OFFSET_OPEN, "price": 800.0, "volume": 2}
    return pb.SubmitOrderRequest(client_order_id=name, symbol="au2604", **{**values, **changed})


def order_row(status: str = "3", traded: int = 0, ref: str = "1", session: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "InvestorID": "sim",
        "InstrumentID": "au2604",
        "ExchangeID": "SHFE",
        "Direction": "0",
        "CombOffsetFlag": "0",
        "LimitPrice": 800.0,
        "VolumeTotalOriginal": 2,
        "TradingDay": DAY,
        "FrontID": 1,
        "SessionID": session,
        "OrderRef": ref,
        "OrderSysID": "   7",
        "OrderMemo": "",
        "OrderStatus": status,
        "OrderSubmitStatus": "3",
        "VolumeTraded": traded,
        "StatusMsg": "",
        "ActiveUserID": "",
        "TimeCondition": "3",
        "VolumeCondition": "1",
        **changed,
    }


def trade_row(volume: int = 2, trade_id: str = "1", **changed: Any) -> dict[str, Any]:
    return {
        "InvestorID": "sim",
        "TradingDay": DAY,
        "ExchangeID": "SHFE",
        "TradeID": trade_id,
        "Direction": "0",
        "OrderSysID": "   7",
        "InstrumentID": "au2604",
        "OffsetFlag": "0",
        "Price": 800.0,
        "Volume": volume,
        "TradeDate": DAY,
        "TradeTime": "09:00:01",
        **changed,
    }


def detail_row(volume: int, closed: int = 0, open_date: str = DAY, **changed: Any) -> dict[str, Any]:
    return {
        "InstrumentID": "au2604",
        "ExchangeID": "SHFE",
        "Direction": "0",
        "OpenDate": open_date,
        "TradeID": "1",
        "OpenPrice": 800.0,
        "LastSettlementPrice": 790.0,
        "Volume": volume,
        "CloseVolume": closed,
        **changed,
    }


def account_row(**changed: Any) -> dict[str, Any]:
    return {
        "AccountID": "sim",
        "Balance": 1e6,
        "Available": 1e6,
        "CurrMargin": 0.0,
        "FrozenMargin": 0.0,
        "FrozenCommission": 0.0,
        "Commission": 0.0,
        "CloseProfit": 0.0,
        "PositionProfit": 0.0,
        "PreBalance": 1e6,
        "Deposit": 0.0,
        "Withdraw": 0.0,
        "CashIn": 0.0,
        "FrozenCash": 0.0,
        "DeliveryMargin": 0.0,
        "TradingDay": DAY,
        **changed,
    }
