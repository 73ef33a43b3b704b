"""What CTP's rows say, in our words."""

from typing import Any

import pytest

from arbig.market.v1 import market_pb2
from arbig.trade.v1 import trade_pb2 as pb
from tests.trade_svc.desk import order_row, trade_row
from trade_svc.reports import instrument_message, order_report, status_of, trade_message


def test_a_trade_of_the_night_happened_on_its_natural_day() -> None:
    """It belongs to the next trading day all the same: Friday night to Monday."""
    told = trade_message(trade_row(TradingDay="20261123", TradeDate="20261120", TradeTime="21:00:01"))
    assert (told.trading_day, told.time.ToJsonString()) == ("20261123", "2026-11-20T13:00:01Z")


def test_blanks_are_no_part_of_a_trades_number_and_stay_in_the_orders() -> None:
    """The one names the trade, the other is sent back to cancel its order."""
    told = trade_message(trade_row(trade_id="         131", OrderSysID="          77"))
    assert (told.trade_id, told.order_sys_id) == ("131", "          77")
    report = order_report(order_row(ref="         5", OrderSysID="          77"))
    assert (report.session.order_ref, report.order_sys_id) == ("5", "          77")


@pytest.mark.parametrize("forced", ["2", "5", "6"])
def test_a_forced_close_closes_lots(forced: str) -> None:
    """The broker or the exchange may close what we hold."""
    assert trade_message(trade_row(OffsetFlag=forced)).offset == pb.OFFSET_CLOSE
    assert order_report(order_row(CombOffsetFlag=forced)).order.offset == pb.OFFSET_CLOSE


@pytest.mark.parametrize(
    ("time", "volume", "type_"),
    [
        ("3", "1", pb.ORDER_TYPE_LIMIT),
        ("1", "1", pb.ORDER_TYPE_FAK),
        ("1", "2", pb.ORDER_TYPE_FAK),
        ("1", "3", pb.ORDER_TYPE_FOK),
    ],
)
def test_the_kind_of_another_terminals_order_is_read(time: str, volume: str, type_: pb.OrderType.ValueType) -> None:
    """What does not rest is exempt from the conduct rules, so it matters."""
    row = order_row(TimeCondition=time, VolumeCondition=volume)
    assert order_report(row).order.type == type_


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("2", market_pb2.INSTRUMENT_STATUS_CONTINUOUS),
        ("3", market_pb2.INSTRUMENT_STATUS_AUCTION_ORDERING),
        ("7", market_pb2.INSTRUMENT_STATUS_NO_TRADING),
        ("", market_pb2.INSTRUMENT_STATUS_NO_TRADING),
    ],
)
def test_a_status_without_a_word_is_none_that_trades(code: str, status: market_pb2.InstrumentStatus.ValueType) -> None:
    """Transaction processing is one; an exchange may think of others."""
    row = {"InstrumentStatus": code, "EnterTime": "21:00:00", "TradingDay": "20260310"}
    assert status_of(row) == (status, "21:00:00", "20260310")


@pytest.mark.parametrize("product_class", ["2", "3", "6"])
def test_options_and_combinations_are_no_instruments_here(product_class: str) -> None:
    """Their orders have other rules."""
    row: dict[str, Any] = {"ProductClass": product_class}
    assert instrument_message(row) is None
