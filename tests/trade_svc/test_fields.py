"""The fields that orders and cancels leave with: what SHFE takes, and what finds them again."""

from typing import Any

import pytest

from arbig.config import Ctp
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.gateway import Gateway
from trade_svc.orders import memo_of

SYS_ID = "         131"
WHOSE = {
    "BrokerID": "sim",
    "InvestorID": "sim001",
    "UserID": "sim001",  # without it no OnErrRtn* comes
    "ExchangeID": "SHFE",
    "InstrumentID": "au2604",
    "OrderMemo": memo_of("one"),
}


class Client:
    """Stands for the library: gives back what it was asked to send."""

    def __init__(self) -> None:
        self.api = self
        self.sent: list[dict[str, Any]] = []

    def struct(self, _: str, **values: Any) -> dict[str, Any]:
        """Make a struct."""
        return values

    def next_id(self) -> int:
        """Give a request id."""
        return 1

    def ReqOrderInsert(self, struct: dict[str, Any], _: int) -> int:  # noqa: N802
        """Take an order or a cancel."""
        self.sent.append(struct)
        return 0

    ReqOrderAction = ReqOrderInsert


def order(**changed: Any) -> pb.Order:
    values: dict[str, Any] = {"direction": pb.DIRECTION_SELL, "offset": pb.OFFSET_CLOSE_TODAY, "price": 800.0}
    names = {"front_id": 1, "session_id": 77, "order_ref": "5", "exchange": "SHFE"}
    values |= {"type": pb.ORDER_TYPE_LIMIT, "volume": 2, **names, **changed}
    return pb.Order(client_order_id="one", symbol="au2604", **values)


def inserted(**changed: Any) -> dict[str, Any]:
    client: Any = Client()
    Gateway(client, Ctp()).insert(order(**changed))
    (sent,) = client.sent
    return dict(sent)


def cancelled(**changed: Any) -> dict[str, Any]:
    client: Any = Client()
    Gateway(client, Ctp()).cancel(order(**changed))
    (sent,) = client.sent
    return dict(sent)


def test_an_order_says_whose_it_is_and_carries_our_name() -> None:
    """All of it, each time; the memo comes back with every report."""
    sent = inserted()
    assert sent.items() >= {**WHOSE, "OrderRef": "5"}.items()
    assert len(sent["OrderMemo"]) == 12


def test_what_an_order_does_not_choose_is_what_shfe_takes() -> None:
    """A speculative limit order that works at once, and closes nothing by force."""
    fixed = {
        "CombHedgeFlag": "1",
        "OrderPriceType": "2",
        "MinVolume": 1,
        "ContingentCondition": "1",
        "ForceCloseReason": "0",
        "IsAutoSuspend": 0,
        "UserForceClose": 0,
        "IsSwapOrder": 0,
    }
    sent = inserted()
    assert sent.items() >= fixed.items()
    assert not sent.get("StopPrice")
    assert (sent["LimitPrice"], sent["VolumeTotalOriginal"], sent["Direction"]) == (800.0, 2, "1")


@pytest.mark.parametrize(
    ("type_", "time", "volume"),
    [
        (pb.ORDER_TYPE_LIMIT, "3", "1"),
        (pb.ORDER_TYPE_FAK, "1", "1"),
        (pb.ORDER_TYPE_FOK, "1", "3"),
        (pb.ORDER_TYPE_MARKET, "1", "1"),
    ],
)
def test_each_kind_has_its_conditions(type_: pb.OrderType.ValueType, time: str, volume: str) -> None:
    """Good for the day, or at once: any volume of it, or all."""
    sent = inserted(type=type_)
    assert (sent["TimeCondition"], sent["VolumeCondition"], sent["OrderPriceType"]) == (time, volume, "2")


@pytest.mark.parametrize(
    ("offset", "flag"),
    [
        (pb.OFFSET_OPEN, "0"),
        (pb.OFFSET_CLOSE, "1"),
        (pb.OFFSET_CLOSE_TODAY, "3"),
        (pb.OFFSET_CLOSE_YESTERDAY, "4"),
    ],
)
def test_each_offset_has_its_flag(offset: pb.Offset.ValueType, flag: str) -> None:
    """Others have swapped those of today and of yesterday."""
    assert inserted(offset=offset)["CombOffsetFlag"] == flag


def test_a_cancel_names_the_order_as_the_exchange_does() -> None:
    """With the leading blanks, the exchange and the instrument."""
    sent = cancelled(order_sys_id=SYS_ID)
    assert sent.items() >= {**WHOSE, "OrderSysID": SYS_ID, "ActionFlag": "0"}.items()
    assert "OrderRef" not in sent


def test_a_cancel_before_the_exchange_has_answered_names_our_session() -> None:
    """There is no number yet."""
    sent = cancelled()
    assert sent.items() >= {**WHOSE, "FrontID": 1, "SessionID": 77, "OrderRef": "5", "ActionFlag": "0"}.items()
    assert "OrderSysID" not in sent
