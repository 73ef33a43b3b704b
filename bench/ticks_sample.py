"""The tick that is measured: every field set, five levels; in each of the forms that it takes on its way."""

import itertools
from collections.abc import Iterator

from arbig.calendar import exchange_time
from arbig.fanout import element
from arbig.market.v1.market_pb2 import Tick
from ctp_front.depth import ABSENT, Depth, DepthEncoder

DAY = "20260310"
SYMBOLS = [f"au26{month:02d}" for month in range(1, 11)]
SYMBOL = SYMBOLS[3]
# From here on numbers are equally long, and so are the messages.
FIRST = 1 << 21


def sample(seq: int) -> Tick:
    """Make a tick."""
    tick = Tick(
        seq=seq,
        symbol=SYMBOL,
        exchange="SHFE",
        trading_day=DAY,
        time=exchange_time(DAY, "09:30:00", 500),
        last_price=800.02,
        volume=123_456,
        turnover=9.876e10,
        open_interest=234_567.0,
        open_price=799.5,
        high_price=803.14,
        low_price=797.88,
        close_price=800.02,
        settlement_price=800.5,
        upper_limit_price=880.0,
        lower_limit_price=720.0,
        pre_settlement_price=799.98,
        pre_close_price=800.1,
        pre_open_interest=230_000.0,
        average_price=800.07,
        bid_prices=[800.0, 799.98, 799.96, 799.94, 799.92],
        bid_volumes=[3, 12, 7, 25, 140],
        ask_prices=[800.02, 800.04, 800.06, 800.08, 800.1],
        ask_volumes=[5, 9, 31, 2, 150],
    )
    tick.receive_time.FromNanoseconds(1_773_106_200_560_123_456)
    return tick


def payloads(count: int) -> list[bytes]:
    """Give ticks, serialised."""
    tick = sample(FIRST)
    made = []
    for seq in range(FIRST, FIRST + count):
        tick.seq = seq
        made.append(tick.SerializeToString())
    return made


def elements(count: int) -> list[bytes]:
    """Give ticks as they lie in a feed."""
    return [element(one) for one in payloads(count)]


def depths() -> Iterator[Depth]:
    """Give snapshots as an exchange makes them: each symbol twice a second, and the volume rises."""
    for number in itertools.count():
        half_seconds, volume = number // len(SYMBOLS), 100_000 + number
        seconds = 9 * 3600 + half_seconds // 2 % 4_500
        yield Depth(
            f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
            half_seconds % 2 * 500,
            DAY,
            SYMBOLS[number % len(SYMBOLS)],
            DAY,
            *(799.98, 800.1, 230_000.0, ABSENT),
            *(799.5, 803.14, 797.88, 800.02, 880.0, 720.0, 800.5, ABSENT),
            *(800.02, volume, volume * 800_050.0, 234_567.0),
            *(800.0, 3, 800.02, 5),
            *(799.98, 12, 799.96, 7, 800.04, 9, 800.06, 31),
            *(799.94, 25, 799.92, 140, 800.08, 2, 800.1, 150),
            800_050.0,
        )


def packets() -> Iterator[tuple[str, bytes]]:
    """Give the snapshots as a front sends them, each with its symbol."""
    encoder = DepthEncoder()
    return ((depth.symbol, encoder.encode(depth)) for depth in depths())
