"""Money and positions: margin, fees, frozen amounts, profit, settlement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctp_front.account_records import Day, Owner, investor_position
from ctp_front.exchange import Exchange
from ctp_front.layout import record
from ctp_front.orders import BUY, CLOSE, CLOSE_TODAY, OPEN, SELL, Refusal
from ctp_front.position import HISTORY, LONG, SHORT, TODAY, HoldingKey
from tests.ctp_front.makers import DAY, NEXT_DAY, NOW, SESSION, cancel, depth, exchange, request

LONG_TODAY = HoldingKey("au2612", LONG, TODAY)
LONG_HISTORY = HoldingKey("au2612", LONG, HISTORY)


def _with_long(volume: int = 2, balance: float = 10_000_000.0) -> Exchange:
    market = exchange(balance)
    market.apply(depth(bids=[(799.98, 50)], asks=[(800.0, 50)]))
    market.insert(SESSION, request(BUY, 800.0, volume), NOW)
    return market


def test_an_open_lot_takes_margin_and_a_fee() -> None:
    """Margin is price x 1000 g x 12%, the fee 10 yuan a lot."""
    market = _with_long()
    money = market.money(market.account("sim001"))
    assert money.margin == pytest.approx(2 * 800 * 1000 * 0.12)
    assert money.balance == pytest.approx(10_000_000 - 20)


def test_a_resting_open_freezes_margin_and_fee() -> None:
    """Available goes down by both, and comes back with the cancel."""
    market = exchange()
    _, order = market.insert(SESSION, request(volume=3), NOW)
    account = market.account("sim001")
    assert account.frozen_margin == pytest.approx(3 * 800 * 1000 * 0.12)
    assert account.frozen_commission == pytest.approx(30)
    market.cancel("sim001", cancel(order), "sim001", NOW)  # type: ignore[arg-type]
    assert market.money(account).available == pytest.approx(10_000_000)


def test_open_profit_follows_the_last_price() -> None:
    """Dynamic equity: a tick is 20 yuan a lot."""
    market = _with_long()
    market.apply(depth(last=800.02))
    assert market.money(market.account("sim001")).position_profit == pytest.approx(40)


def test_closing_books_the_profit_and_frees_the_margin() -> None:
    """Closing today's gold costs no fee."""
    market = _with_long()
    market.apply(depth(bids=[(801.0, 9)], last=801.0))
    market.insert(SESSION, request(SELL, 801.0, 2, order_ref="2", offset=CLOSE_TODAY), NOW)
    account = market.account("sim001")
    assert account.close_profit == pytest.approx(2000)
    assert market.money(account).margin == 0
    assert market.money(account).balance == pytest.approx(10_000_000 + 2000 - 20)


def test_lots_that_a_resting_close_wants_are_frozen() -> None:
    """A second close of the same lots is error 50."""
    market = _with_long()
    market.insert(SESSION, request(SELL, 810.0, 2, order_ref="2", offset=CLOSE_TODAY), NOW)
    with pytest.raises(Refusal) as refused:
        market.insert(SESSION, request(SELL, 811.0, 1, order_ref="3", offset=CLOSE_TODAY), NOW)
    assert refused.value.error_id == 50
    assert market.account("sim001").holdings[LONG_TODAY].frozen == 2


@pytest.mark.parametrize(("opens", "closes", "field"), [(BUY, SELL, "ShortFrozen"), (SELL, BUY, "LongFrozen")])
def test_a_frozen_lot_is_told_by_the_side_of_the_order(opens: str, closes: str, field: str) -> None:
    """What closes longs is sold: CTP counts it as frozen short."""
    market = exchange()
    market.apply(depth(bids=[(799.98, 50)], asks=[(800.0, 50)]))
    market.insert(SESSION, request(opens, 800.0 if opens == BUY else 799.98, 2), NOW)
    market.insert(SESSION, request(closes, 810.0 if closes == SELL else 790.0, 1, offset=CLOSE_TODAY), NOW)
    ((key, holding),) = market.account("sim001").holdings.items()
    told = market.instruments["au2612"]
    row = investor_position(Owner("sim", "sim001"), told, key, holding, Day(DAY, 800.0, 800.0, 0.0))
    read = record("InvestorPosition").decode(row[4:])
    frozen = {name: read[name] for name in ("LongFrozen", "ShortFrozen")}
    assert frozen == {"LongFrozen": 0, "ShortFrozen": 0, field: 1}


def test_close_takes_older_lots_and_close_today_takes_todays() -> None:
    """SHFE keeps them apart: one does not reach the other."""
    market = _with_long()
    with pytest.raises(Refusal) as refused:
        market.insert(SESSION, request(SELL, 799.98, 1, order_ref="2", offset=CLOSE), NOW)
    assert refused.value.error_id == 51


def test_settlement_makes_todays_lots_yesterdays() -> None:
    """The profit at the settlement price becomes balance, and the lots are kept at that price."""
    market = _with_long()
    market.settle(NEXT_DAY, {"au2612": 805.0})
    account = market.account("sim001")
    assert account.pre_balance == pytest.approx(10_000_000 + 2 * 5000 - 20)
    assert account.commission == 0
    assert account.confirmed == ""
    assert set(account.holdings) == {LONG_HISTORY}
    assert account.holdings[LONG_HISTORY].cost_value == pytest.approx(2 * 805)
    assert account.holdings[LONG_HISTORY].yesterday == 2


def test_yesterdays_lots_close_against_the_settlement_price() -> None:
    """Profit by date, as CTP counts it."""
    market = _with_long()
    market.settle(NEXT_DAY, {"au2612": 805.0})
    account = market.account("sim001")
    account.confirmed = NEXT_DAY
    market.apply(depth(bids=[(806.0, 9)], trading_day=NEXT_DAY, last=806.0))
    market.insert(SESSION, request(SELL, 806.0, 2, offset=CLOSE), NOW)
    assert account.close_profit == pytest.approx(2 * 1000)
    assert account.commission == pytest.approx(20)


def test_czce_keeps_all_lots_together() -> None:
    """One row for each side, closed by a plain close."""
    market = exchange(symbol="AP701")
    ask = depth(asks=[(7000.0, 5)], symbol="AP701", upper_limit=7500.0, lower_limit=6500.0)
    market.apply(ask)
    market.insert(SESSION, request(BUY, 7000.0, symbol="AP701", exchange="CZCE"), NOW)
    market.settle(NEXT_DAY, {})
    assert set(market.account("sim001").holdings) == {HoldingKey("AP701", LONG, TODAY)}


TRADES = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), st.sampled_from([OPEN, CLOSE, CLOSE_TODAY]), st.integers(1, 5)), max_size=25
)


@given(trades=TRADES, last=st.integers(39_000, 41_000))
def test_the_books_always_balance(trades: list[tuple[str, str, int]], last: int) -> None:
    """Lots held are lots opened less lots closed, and the balance is cash in hand at the market's price."""
    market = exchange(balance=1e9)
    market.apply(depth(bids=[(799.98, 500)], asks=[(800.02, 500)]))
    for reference, (direction, offset, volume) in enumerate(trades, 1):
        price = 800.02 if direction == BUY else 799.98
        try:
            asked = request(direction, price, volume, offset=offset, order_ref=str(reference))
            market.insert(SESSION, asked, NOW)
        except Refusal:
            continue
    market.apply(depth(last=last * 0.02))
    account = market.account("sim001")
    bought = {side: sum(t.volume for t in market.trades if (t.direction == BUY) is side) for side in (True, False)}
    held = {side: sum(h.volume for key, h in account.holdings.items() if key.side == side) for side in (LONG, SHORT)}
    assert held[LONG] - held[SHORT] == bought[True] - bought[False]
    cash = sum((-1 if t.direction == BUY else 1) * t.price * t.volume * 1000 for t in market.trades)
    worth = (held[LONG] - held[SHORT]) * last * 0.02 * 1000
    assert market.money(account).balance == pytest.approx(1e9 + cash + worth - account.commission)


@given(volumes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_settling_twice_at_one_price_changes_nothing(volumes: list[int]) -> None:
    """A day without trades or price moves leaves the money as it was."""
    market = exchange(balance=1e9)
    market.apply(depth(asks=[(800.0, 500)]))
    for reference, volume in enumerate(volumes, 1):
        market.insert(SESSION, request(volume=volume, order_ref=str(reference)), NOW)
    market.settle(NEXT_DAY, {"au2612": 801.0})
    before = market.account("sim001").pre_balance
    market.settle("20261125", {"au2612": 801.0})
    assert market.account("sim001").pre_balance == pytest.approx(before)
