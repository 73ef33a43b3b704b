"""Which lots are held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.positions import Free, PositionError, Positions, SideKey, average, count
from trade_svc.reports import DetailRow, OpeningRow

DAY = "20261123"
LONG = SideKey("au2604", "SHFE", pb.POSITION_SIDE_LONG)


def trade(offset: pb.Offset.ValueType, volume: int, price: float = 800.0, exchange: str = "SHFE") -> pb.Trade:
    """Give a trade on the long side: buys open, sells close."""
    direction = pb.DIRECTION_BUY if offset == pb.OFFSET_OPEN else pb.DIRECTION_SELL
    return pb.Trade(
        symbol="au2604", exchange=exchange, direction=direction, offset=offset, volume=volume, price=price, trade_id="1"
    )


def row(open_date: str, volume: int, closed: int = 0, price: float = 790.0) -> DetailRow:
    return DetailRow("au2604", "SHFE", pb.POSITION_SIDE_LONG, open_date, "1", price, price + 5, volume, closed)


def held(positions: Positions, key: SideKey = LONG) -> tuple[int, int]:
    holding = positions.holding(key)
    return count(holding.yesterday), count(holding.today)


def test_the_day_begins_with_what_earlier_days_left() -> None:
    """Lots closed today are added back: the day's trades will take them again."""
    positions = Positions()
    positions.begin([row("20261120", 2, closed=1), row(DAY, 5)], [], DAY)
    assert held(positions) == (3, 0)


def test_at_shfe_a_close_takes_yesterdays_lots_and_close_today_todays() -> None:
    """The exchange keeps them apart."""
    positions = Positions()
    positions.begin([row("20261120", 3)], [], DAY)
    positions.apply(trade(pb.OFFSET_OPEN, 2))
    positions.apply(trade(pb.OFFSET_CLOSE, 1))
    positions.apply(trade(pb.OFFSET_CLOSE_YESTERDAY, 1))
    positions.apply(trade(pb.OFFSET_CLOSE_TODAY, 2))
    assert held(positions) == (1, 0)


def test_elsewhere_a_close_takes_the_oldest_lots_first() -> None:
    """CZCE knows no today."""
    positions = Positions()
    key = SideKey("AP010", "CZCE", pb.POSITION_SIDE_LONG)
    positions.begin([DetailRow(*key[:2], key.side, "20261120", "1", 7000.0, 7000.0, 1, 0)], [], DAY)
    for offset, volume in ((pb.OFFSET_OPEN, 2), (pb.OFFSET_CLOSE, 2)):
        one = trade(offset, volume, exchange="CZCE")
        one.symbol = "AP010"
        positions.apply(one)
    assert held(positions, key) == (0, 1)


def test_closing_lots_that_are_not_there_is_an_error_with_the_numbers() -> None:
    """Our picture is wrong then, and nobody trades on it."""
    positions = Positions()
    positions.apply(trade(pb.OFFSET_OPEN, 1))
    with pytest.raises(PositionError, match="closes 2 au2604, 1 held"):
        positions.apply(trade(pb.OFFSET_CLOSE_TODAY, 2))


def test_the_open_price_is_that_of_the_lots_still_held() -> None:
    """First in, first out."""
    positions = Positions()
    positions.apply(trade(pb.OFFSET_OPEN, 1, 800.0))
    positions.apply(trade(pb.OFFSET_OPEN, 1, 810.0))
    positions.apply(trade(pb.OFFSET_CLOSE_TODAY, 1))
    assert average(positions.holdings[LONG].lots, "open_price") == 810.0


def test_lots_of_earlier_days_close_in_the_order_they_were_opened() -> None:
    """By day, then by the number of the trade that opened them: 10 comes behind 9, as does the later day."""
    positions = Positions()
    opened = (("20261120", "10", 810.0), ("20261120", "9", 790.0), ("20261119", "99", 780.0))
    rows = [row(day, 1, price=price)._replace(trade_id=number) for day, number, price in opened]
    positions.begin(rows, [], DAY)
    assert [lot.open_price for lot in positions.holding(LONG).lots] == [780.0, 790.0, 810.0]


def test_lots_of_earlier_days_cost_their_settlement_price() -> None:
    """Profit counts from it, those that were closed wholly included; the entry price is kept beside it."""
    positions = Positions()
    positions.begin([row("20261120", 1)], [OpeningRow(*LONG, 2, 795.0)], DAY)
    positions.apply(trade(pb.OFFSET_OPEN, 1, 800.0))
    holding = positions.holding(LONG)
    assert [lot.cost_price for lot in holding.lots] == [795.0, 795.0, 800.0]
    assert holding.profit(801.0) == 6.0 + 6.0 + 1.0
    assert average(holding.lots[1:], "open_price") == 795.0


def test_what_an_older_query_showed_is_forgotten() -> None:
    """Lots that are gone do not survive the next query, though no row says so."""
    positions = Positions()
    positions.begin([row("20261120", 2)], [], DAY)
    positions.begin([], [], DAY)
    assert held(positions) == (0, 0)


def test_a_working_close_freezes_its_lots() -> None:
    """They cannot be closed twice."""
    positions = Positions()
    positions.apply(trade(pb.OFFSET_OPEN, 5))
    closing = pb.Order(
        symbol="au2604",
        exchange="SHFE",
        direction=pb.DIRECTION_SELL,
        offset=pb.OFFSET_CLOSE_TODAY,
        volume=3,
        filled_volume=1,
        state=pb.ORDER_STATE_PARTIALLY_FILLED,
        trading_day=DAY,
    )
    assert positions.free(LONG, [closing]) == Free(yesterday=0, today=3)


def test_each_difference_from_the_broker_is_named() -> None:
    """Nothing is traded before they agree."""
    positions = Positions()
    positions.begin([row("20261120", 2)], [], DAY)
    assert not positions.differences([row("20261120", 2)], DAY)
    (line,) = positions.differences([row("20261120", 2), row(DAY, 1)], DAY)
    assert (line.what, line.ours, line.broker) == ("position au2604 LONG today", "0", "1")


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=30))
def test_lots_are_what_was_opened_less_what_was_closed(steps: list[tuple[bool, int]]) -> None:
    """No lot appears or vanishes, whatever the sequence."""
    positions, expected = Positions(), 0
    for opens, volume in steps:
        if opens or volume <= expected:
            positions.apply(trade(pb.OFFSET_OPEN if opens else pb.OFFSET_CLOSE_TODAY, volume))
            expected += volume if opens else -volume
    assert held(positions) == (0, expected)
