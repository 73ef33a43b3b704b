"""Prices out of nothing."""

import itertools
from datetime import datetime
from random import Random

import pytest

from arbig.calendar import SHANGHAI
from ctp_front import clock, generator
from ctp_front.depth import Depth
from ctp_front.generator import Generator
from ctp_front.orders import Moment
from tests.ctp_front.makers import DAY, NEXT_DAY, NOW


def _run(steps: int = 500, seed: int = 1) -> list[list[Depth]]:
    made = Generator(generator.symbols(DAY), DAY, Random(seed), {})
    return [made.step(NOW) for _ in range(steps)]


@pytest.mark.parametrize(
    ("day", "symbols"),
    [
        ("20261123", ["au2612", "au2702", "au2704"]),
        ("20261214", ["au2612", "au2702", "au2704"]),
        ("20261215", ["au2702", "au2704", "au2706"]),
        ("20270802", ["au2708", "au2710", "au2712"]),
    ],
)
def test_the_next_three_even_months_are_traded(day: str, symbols: list[str]) -> None:
    """A contract leaves on the 15th of its delivery month."""
    assert generator.symbols(day) == symbols


def test_the_same_seed_gives_the_same_prices() -> None:
    """A simulation can be run again."""
    assert _run() == _run()
    assert _run() != _run(seed=2)


def test_every_snapshot_is_believable() -> None:
    """Five levels a side in order, on tick, inside the limits, around the last price."""
    for shown in (depth for step in _run() for depth in step):
        bids, asks = shown.bids(), shown.asks()
        assert (len(bids), len(asks)) == (5, 5)
        prices = [price for price, _ in reversed(bids)] + [price for price, _ in asks]
        assert prices == sorted(set(prices))
        assert shown.last in (bids[0][0], asks[0][0])
        assert all(abs(price / 0.02 - round(price / 0.02)) < 1e-6 for price in prices)
        assert shown.lower_limit <= shown.low <= shown.last <= shown.high <= shown.upper_limit


def test_volume_turnover_and_open_interest_add_up() -> None:
    """Volume never falls, and turnover is between the day's lowest and highest price."""
    near = [step[0] for step in _run()]
    for before, after in itertools.pairwise(near):
        assert after.volume >= before.volume
        assert after.turnover >= before.turnover
        assert not after.volume or after.low <= after.turnover / after.volume / 1000 + 1e-6 <= after.high + 1e-5
        assert after.open_interest >= 0


def test_the_contracts_move_together() -> None:
    """What moves one gold contract moves the others."""
    steps = _run(4000)
    moves = [(step[0].last - steps[0][0].last, step[2].last - steps[0][2].last) for step in steps[::100]]
    together = sum(1 for near, far in moves if near * far > 0)
    assert together > 0.7 * len(moves)


def test_prices_go_on_where_they_were() -> None:
    """A restart continues from the last snapshots."""
    before = {depth.symbol: depth for depth in _run(100)[-1]}
    after = Generator(generator.symbols(DAY), DAY, Random(9), before).step(Moment(DAY, "10:00:01"))
    for depth in after:
        assert abs(depth.last - before[depth.symbol].last) < 2
        assert depth.volume >= before[depth.symbol].volume


def test_a_new_day_starts_from_the_settlement() -> None:
    """The average price of the day is its settlement, and the counters start again."""
    made = Generator(generator.symbols(DAY), DAY, Random(1), {})
    for _ in range(100):
        made.step(NOW)
    settlements = made.open_day(NEXT_DAY)
    for depth in made.step(NOW):
        assert depth.trading_day == NEXT_DAY
        assert depth.pre_settlement == settlements[depth.symbol]
        assert depth.volume < 100


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-23 20:29", "20261123"),
        ("2026-11-23 20:30", "20261124"),
        ("2026-11-24 02:00", "20261124"),
        ("2026-11-27 21:00", "20261130"),
        ("2026-11-28 10:00", "20261130"),
    ],
)
def test_the_night_belongs_to_the_next_trading_day(now: str, day: str) -> None:
    """Friday's night belongs to Monday."""
    assert clock.trading_day(datetime.strptime(now, "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI)) == day
