"""What an order meets: displayed depth and resting orders."""

from hypothesis import given
from hypothesis import strategies as st

from ctp_front.orders import BUY, SELL, Order, Trade
from tests.ctp_front.makers import NOW, SESSION, depth, exchange, request, told

LOTS = st.integers(1, 20)
LEVELS = st.lists(LOTS, max_size=5).map(lambda lots: [(round(800 + 0.02 * at, 2), one) for at, one in enumerate(lots)])


def test_a_level_is_used_up_until_the_next_snapshot() -> None:
    """Two orders cannot take the same lots."""
    market = exchange()
    market.apply(depth(asks=[(800.0, 3)]))
    assert told(market.insert(SESSION, request(volume=3), NOW)) == "u u f T"
    assert told(market.insert(SESSION, request(order_ref="2"), NOW)) == "u n"
    assert told(market.apply(depth(asks=[(800.0, 3)]))) == "n f T"


def test_a_resting_order_fills_at_its_own_price() -> None:
    """It was there first."""
    market = exchange()
    market.insert(SESSION, request(price=800.0), NOW)
    *_, trade = market.apply(depth(asks=[(799.9, 5)]))
    assert isinstance(trade, Trade)
    assert trade.price == 800.0


def test_the_market_trades_through_a_resting_order() -> None:
    """A last price beyond it fills it, up to what the market traded."""
    market = exchange()
    market.apply(depth(asks=[(800.1, 5)], volume=100))
    market.insert(SESSION, request(price=800.0, volume=5), NOW)
    assert told(market.apply(depth(asks=[(800.1, 5)], volume=103, last=799.98))) == "n p T"
    assert market.trades[0].volume == 3


def test_a_last_price_at_the_order_does_not_fill_it() -> None:
    """Others may have been in front of it."""
    market = exchange()
    market.apply(depth(asks=[(800.1, 5)], volume=100))
    market.insert(SESSION, request(price=800.0), NOW)
    assert market.apply(depth(asks=[(800.1, 5)], volume=200, last=800.0)) == []


def test_the_better_price_fills_first_then_the_older_order() -> None:
    """Price before time."""
    market = exchange()
    for reference, price in (("1", 799.98), ("2", 800.0), ("3", 800.0)):
        market.insert(SESSION, request(price=price, order_ref=reference), NOW)
    market.apply(depth(asks=[(799.98, 2)]))
    assert [trade.order_ref for trade in market.trades] == ["2", "3"]


def test_without_a_snapshot_an_order_rests() -> None:
    """There is nobody to trade with."""
    assert told(exchange().insert(SESSION, request(), NOW)) == "u n"


@given(shown=st.lists(LEVELS, min_size=1, max_size=6), wanted=st.lists(LOTS, min_size=1, max_size=6))
def test_no_lot_is_made_or_lost(shown: list[list[tuple[float, int]]], wanted: list[int]) -> None:
    """No order trades more than it asked for, nor all together more than was displayed."""
    market = exchange(balance=1e12)
    for reference, volume in enumerate(wanted, 1):
        market.insert(SESSION, request(BUY, 800.06, volume, order_ref=str(reference)), NOW)
    for asks in shown:
        traded = sum(trade.volume for trade in market.trades)
        market.apply(depth(asks=asks, last=900.0))
        displayed = sum(lots for price, lots in asks if price <= 800.06)
        assert sum(trade.volume for trade in market.trades) - traded <= displayed
    for order in market.orders:
        assert order.traded == sum(trade.volume for trade in market.trades if trade.order_number == order.number)
        assert order.traded <= order.volume


@given(steps=st.lists(st.tuples(st.sampled_from([BUY, SELL]), LOTS, st.integers(-3, 3)), max_size=12))
def test_the_same_story_ends_the_same(steps: list[tuple[str, int, int]]) -> None:
    """The exchange has no randomness and no clock of its own."""

    def play() -> list[Order]:
        market = exchange(balance=1e12)
        market.apply(depth(bids=[(799.98, 9)], asks=[(800.02, 9)]))
        for reference, (direction, volume, ticks) in enumerate(steps, 1):
            price = round(800 + ticks * 0.02, 2)
            market.insert(SESSION, request(direction, price, volume, order_ref=str(reference)), NOW)
        market.apply(depth(bids=[(799.96, 5)], asks=[(799.98, 5)]))
        return list(market.orders)

    assert play() == play()
