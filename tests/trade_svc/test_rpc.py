"""Every field of every request: what cannot be is refused with its name and a stable reason."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from arbig.errors import ArbigError
from arbig.follow import Link
from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import Desk, desk_in, request
from trade_svc import limits
from trade_svc.reports import settlement_statement
from trade_svc.rpc import TradeService

LONG = pb.POSITION_SIDE_LONG
SUBMIT = request()
PLAN = pb.PlanCloseRequest(symbol="au2604", side=LONG)
CLOSE = pb.ClosePositionRequest(client_order_id="out", symbol="au2604", side=LONG, price=800.0)
STATE = pb.SetTradingStateRequest(state=pb.TRADING_STATE_ACTIVE)
LIMITS = pb.UpdateRiskLimitsRequest(limits=pb.RiskLimits(), update_mask=FieldMask(paths=["max_order_volume"]))
NAN, INFINITE = float("nan"), float("inf")
GOOD: dict[str, Any] = {
    "SubmitOrder": SUBMIT,
    "CancelOrder": pb.CancelOrderRequest(client_order_id="one"),
    "GetOrder": pb.GetOrderRequest(client_order_id="one"),
    "ListOrders": pb.ListOrdersRequest(),
    "ListTrades": pb.ListTradesRequest(),
    "ListPositions": pb.ListPositionsRequest(),
    "GetAccount": pb.GetAccountRequest(),
    "PlanClose": PLAN,
    "ClosePosition": CLOSE,
    "GetRiskLimits": pb.GetRiskLimitsRequest(),
    "UpdateRiskLimits": LIMITS,
    "GetConduct": pb.GetConductRequest(),
    "SetTradingState": STATE,
    "EmergencyStop": pb.EmergencyStopRequest(),
    "Reconcile": pb.ReconcileRequest(),
    "GetSettlement": pb.GetSettlementRequest(),
}
BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("SubmitOrder", {"client_order_id": ""}, "client_order_id", "MISSING"),
    ("SubmitOrder", {"client_order_id": "x" * 65}, "client_order_id", "BAD_ID"),
    ("SubmitOrder", {"client_order_id": "EXT.1"}, "client_order_id", "BAD_ID"),
    ("SubmitOrder", {"symbol": ""}, "symbol", "MISSING"),
    ("SubmitOrder", {"symbol": "au9999"}, "symbol", "UNKNOWN_SYMBOL"),
    ("SubmitOrder", {"direction": 0}, "direction", "MISSING"),
    ("SubmitOrder", {"direction": 7}, "direction", "MISSING"),
    ("SubmitOrder", {"offset": 0}, "offset", "MISSING"),
    ("SubmitOrder", {"offset": 77}, "offset", "MISSING"),
    ("SubmitOrder", {"type": 77}, "type", "BAD_TYPE"),
    ("SubmitOrder", {"price": 0.0}, "price", "BAD_PRICE"),
    ("SubmitOrder", {"price": NAN}, "price", "BAD_PRICE"),
    ("SubmitOrder", {"price": -INFINITE}, "price", "BAD_PRICE"),
    ("SubmitOrder", {"price": 800.01}, "price", "OFF_TICK"),
    ("SubmitOrder", {"price": 900.0}, "price", "ABOVE_LIMIT"),
    ("SubmitOrder", {"price": 700.0}, "price", "BELOW_LIMIT"),
    ("SubmitOrder", {"type": pb.ORDER_TYPE_MARKET}, "price", "BAD_PRICE"),
    ("SubmitOrder", {"type": pb.ORDER_TYPE_MARKET, "price": NAN}, "price", "BAD_PRICE"),
    ("SubmitOrder", {"volume": 0}, "volume", "BAD_VOLUME"),
    ("SubmitOrder", {"volume": -3}, "volume", "BAD_VOLUME"),
    ("SubmitOrder", {"volume": 10}, "volume", "BAD_VOLUME"),
    ("SubmitOrder", {"strategy": "no spaces"}, "strategy", "BAD_STRATEGY"),
    ("CancelOrder", {"client_order_id": ""}, "client_order_id", "MISSING"),
    ("CancelOrder", {"client_order_id": "a b"}, "client_order_id", "BAD_ID"),
    ("CancelOrder", {"client_order_id": "none"}, "client_order_id", "UNKNOWN_ORDER"),
    ("GetOrder", {"client_order_id": ""}, "client_order_id", "MISSING"),
    ("GetOrder", {"client_order_id": "none"}, "client_order_id", "UNKNOWN_ORDER"),
    ("PlanClose", {"symbol": ""}, "symbol", "MISSING"),
    ("PlanClose", {"symbol": "';--"}, "symbol", "BAD_SYMBOL"),
    ("PlanClose", {"symbol": "au9999"}, "symbol", "UNKNOWN_SYMBOL"),
    ("PlanClose", {"side": 0}, "side", "MISSING"),
    ("PlanClose", {"side": 9}, "side", "MISSING"),
    ("PlanClose", {"volume": -1}, "volume", "BAD_VOLUME"),
    ("PlanClose", {"volume": 3}, "volume", "NOT_ENOUGH_LOTS"),
    ("PlanClose", {"policy": 9}, "policy", "BAD_POLICY"),
    ("ClosePosition", {"client_order_id": ""}, "client_order_id", "MISSING"),
    ("ClosePosition", {"client_order_id": "x" * 61}, "client_order_id", "BAD_ID"),
    ("ClosePosition", {"client_order_id": "EXT.1"}, "client_order_id", "BAD_ID"),
    ("ClosePosition", {"symbol": "au9999"}, "symbol", "UNKNOWN_SYMBOL"),
    ("ClosePosition", {"side": 0}, "side", "MISSING"),
    ("ClosePosition", {"volume": -1}, "volume", "BAD_VOLUME"),
    ("ClosePosition", {"volume": 3}, "volume", "NOT_ENOUGH_LOTS"),
    ("ClosePosition", {"policy": 9}, "policy", "BAD_POLICY"),
    ("ClosePosition", {"type": 77}, "type", "BAD_TYPE"),
    ("ClosePosition", {"price": NAN}, "price", "BAD_PRICE"),
    ("ClosePosition", {"price": 800.01}, "price", "OFF_TICK"),
    ("ClosePosition", {"type": pb.ORDER_TYPE_MARKET}, "price", "BAD_PRICE"),
    ("ClosePosition", {"strategy": "no spaces"}, "strategy", "BAD_STRATEGY"),
    ("UpdateRiskLimits", {"limits": pb.RiskLimits(max_order_volume=-1)}, "max_order_volume", "BAD_LIMIT"),
    ("UpdateRiskLimits", {"update_mask": FieldMask()}, "update_mask", "MISSING"),
    ("UpdateRiskLimits", {"update_mask": FieldMask(paths=["pizza"])}, "update_mask", "UNKNOWN_LIMIT"),
    ("UpdateRiskLimits", {"limits": pb.RiskLimits(account_id="other")}, "account_id", "UNKNOWN_ACCOUNT"),
    ("SetTradingState", {"state": 0}, "state", "MISSING"),
    ("SetTradingState", {"state": 9}, "state", "MISSING"),
    ("SetTradingState", {"reason": "x" * 201}, "reason", "TOO_LONG"),
    ("EmergencyStop", {"reason": "x" * 201}, "reason", "TOO_LONG"),
    ("GetSettlement", {"trading_day": "20260230"}, "trading_day", "BAD_DAY"),
    ("GetSettlement", {"trading_day": "today"}, "trading_day", "BAD_DAY"),
    ("GetSettlement", {"trading_day": "20200102"}, "trading_day", "NO_SETTLEMENT"),
    *[
        (method, {"account_id": "other"}, "account_id", "UNKNOWN_ACCOUNT")
        for method, good in GOOD.items()
        if "account_id" in good.DESCRIPTOR.fields_by_name
    ],
]


class Logged:
    """Stands for the session of a desk that is logged in."""

    def __init__(self, desk: Desk) -> None:
        self.trading = desk.trading
        self.agree = desk.trading.agree
        self.pieces: list[dict[str, Any]] = []

    async def settlement(self, trading_day: str) -> pb.GetSettlementResponse | None:
        """Answer."""
        return settlement_statement(self.pieces)


def service_of(desk: Desk, directory: Path) -> TradeService:
    session: Any = Logged(desk)
    path = directory / "limits.toml"
    limits.save(path, desk.trader.limits)
    return TradeService(session, desk.journal, Link("ticks"), mode="simulation", limits_path=path)


async def test_each_bad_field_is_named_with_a_stable_reason(tmp_path: Path) -> None:
    """And nothing is sent, kept or changed by it."""
    async with desk_in(tmp_path) as desk:
        service: Any = service_of(desk, tmp_path)
        await desk.hold(2)
        await desk.journal.append([])
        head, before = desk.journal.feed.head, pb.RiskLimits.FromString(desk.trader.limits.SerializeToString())
        for method, changed, field, reason in BAD:
            asked = type(GOOD[method])()
            asked.CopyFrom(GOOD[method])
            for name, value in changed.items():
                asked.ClearField(name)
                asked.MergeFrom(type(asked)(**{name: value}))
            with pytest.raises(ArbigError) as raised:
                await getattr(service, method)(asked, None)
            assert (raised.value.field, raised.value.reason) == (field, reason), (method, changed)
        await desk.journal.append([])
        assert desk.front.sent == []
        assert desk.journal.feed.head == head
        assert desk.trader.limits == before


def test_the_table_walks_every_field_of_every_request() -> None:
    """A new field is looked at, or this fails."""
    free = {
        "working",
        "symbol of ListOrders",
        "symbol of ListTrades",
        "symbol of ListPositions",
        "symbol of GetConduct",
    }
    free |= {"client_order_id of ListTrades", "reason of SetTradingState", "account_id of UpdateRiskLimits"}
    walked = {(method, name) for method, changed, _, _ in BAD for name in changed}
    left = [
        f"{field.name} of {method}"
        for method, good in GOOD.items()
        for field in good.DESCRIPTOR.fields
        if (method, field.name) not in walked and not {field.name, f"{field.name} of {method}"} & free
    ]
    assert left == []


async def test_limits_are_changed_in_the_file_and_told(tmp_path: Path) -> None:
    """They hold at once, after a restart, and for whoever follows."""
    async with desk_in(tmp_path) as desk:
        service = service_of(desk, tmp_path)
        asked = pb.UpdateRiskLimitsRequest(
            limits=pb.RiskLimits(max_order_volume=1), update_mask=FieldMask(paths=["max_order_volume"])
        )
        reply = await service.UpdateRiskLimits(asked, None)
        assert reply.limits.max_order_volume == 1
        assert limits.load(tmp_path / "limits.toml", "sim") == desk.trader.limits
        with pytest.raises(ArbigError, match="2 lots of one order, 1 allowed"):
            await desk.trading.submit(request())
        events = await desk.journal._archive(0, 100)
        assert any(pb.Event.FromString(kept.data[2:]).HasField("risk_limits") for kept in events[-1:])


async def test_conduct_trades_and_status_are_told(tmp_path: Path) -> None:
    """What an operator looks at."""
    async with desk_in(tmp_path) as desk:
        service: Any = service_of(desk, tmp_path)
        await desk.hold(2)
        (trade,) = (await service.ListTrades(pb.ListTradesRequest(), None)).trades
        assert (trade.volume, trade.commission) == (2, 20.0)
        assert not (await service.ListTrades(pb.ListTradesRequest(symbol="au2606"), None)).trades
        (conduct,) = (await service.GetConduct(pb.GetConductRequest(), None)).conduct
        assert (conduct.symbol, conduct.orders) == ("au2604", 1)
        plan = await service.PlanClose(PLAN, None)
        assert [(leg.offset, leg.volume, leg.commission) for leg in plan.legs] == [(pb.OFFSET_CLOSE_TODAY, 2, 0.0)]
        assert (plan.today_free, plan.yesterday_free) == (2, 0)
        status = await service.GetStatus(pb.GetStatusRequest(), None)
        assert (status.trading_state, status.readiness) == (pb.TRADING_STATE_ACTIVE, pb.READINESS_READY)
        reply = await service.Reconcile(pb.ReconcileRequest(), None)
        assert [one.what for one in reply.reconciliation.differences][:1] == ["order EXT.20261123.1.9.77"]


async def test_a_statement_is_joined_before_it_is_read(tmp_path: Path) -> None:
    """CTP cuts it every 500 bytes, also inside a character; pieces go by their numbers."""
    text = "结算单,\r\n" * 200
    told = text.encode("gb18030")
    cuts = [told[at : at + 500] for at in range(0, len(told), 500)]
    with pytest.raises(UnicodeDecodeError):
        cuts[0].decode("gb18030")
    row = {"SettlementID": 1, "TradingDay": "20261124"}
    async with desk_in(tmp_path) as desk:
        service: Any = service_of(desk, tmp_path)
        service._session.pieces = [{**row, "SequenceNo": at, "Content": cut} for at, cut in enumerate(cuts)][::-1]
        reply = await service.GetSettlement(pb.GetSettlementRequest(), None)
    assert reply == pb.GetSettlementResponse(trading_day="20261124", text=text)
