"""What a tick costs the market service before any follower sees it.

    python -m bench.ticks_ingest [--json]

- `ingest_us`: Recorder.record, from the copied struct to the encoded and flagged element; what keeps
  it (the ring and the tape) is left out; like the others here, time of the processor
- `encode_us`: the part of it that does not flag it
- `bare_us`: the same message built of Python values and serialised; `ingest_ratio` (1.6 at most)
  and `encode_ratio` are beside it
- `bars_us_per_tick`: building one-minute bars, of 200,000 ticks each time; beside it `parse_us_per_tick`
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from arbig import holidays
from arbig.calendar import Calendar
from arbig.fanout import element
from arbig.market.v1.bars_pb2 import BAR_PERIOD_1M
from arbig.market.v1.market_pb2 import Instrument, Tick
from bench.report import report
from bench.store_ticks import _struct
from bench.ticks_sample import DAY, FIRST, SYMBOL, SYMBOLS, depths, sample
from ctp_front.depth import Depth
from market_svc.bars import Bars
from market_svc.depth import TickMaker
from market_svc.gateway import Raw
from market_svc.hours import ExchangeHours
from market_svc.quality import Quality
from market_svc.recorder import Recorder
from market_svc.reel import payload
from market_svc.status import ExchangeStatus

REPETITIONS = 5
TICKS, _TURN = 20_000, 1_000
BAR_TICKS, _CHUNK = 200_000, 10_000
# What CTP calls the members of a Depth.
_NAMES = {
    "TradingDay": "trading_day",
    "ActionDay": "action_day",
    "InstrumentID": "symbol",
    "UpdateTime": "update_time",
    "UpdateMillisec": "update_millisec",
    "LastPrice": "last",
    "Volume": "volume",
    "Turnover": "turnover",
    "OpenInterest": "open_interest",
    "OpenPrice": "open",
    "HighestPrice": "high",
    "LowestPrice": "low",
    "ClosePrice": "close",
    "SettlementPrice": "settlement",
    "UpperLimitPrice": "upper_limit",
    "LowerLimitPrice": "lower_limit",
    "PreSettlementPrice": "pre_settlement",
    "PreClosePrice": "pre_close",
    "PreOpenInterest": "pre_open_interest",
    "AveragePrice": "average",
}
_INSTRUMENTS = {symbol: Instrument(symbol=symbol, exchange="SHFE", multiplier=1_000) for symbol in SYMBOLS}
_CALENDAR = Calendar(holidays.Assumed(holidays.load()))


class _Nowhere:
    """Stands for the feed and for the tape, and knows but the newest."""

    head = FIRST
    newest = b""

    def append(self, *event: Any) -> None:
        """Take the place of what was before."""
        self.newest = event[-1]


def recorder(nowhere: Any) -> Recorder:
    """Make a recorder as the service does."""
    quality = Quality(ExchangeHours(_CALENDAR, ExchangeStatus()))
    return Recorder(nowhere, nowhere, TickMaker(_INSTRUMENTS, _CALENDAR), quality)


def struct_of(depth: Depth) -> bytes:
    """Lay a snapshot out as the vendor's library does."""
    values = {name: getattr(depth, ours) for name, ours in _NAMES.items()}
    for side, shown in (("Bid", depth.bids()), ("Ask", depth.asks())):
        for level, (price, volume) in enumerate(shown, 1):
            values |= {f"{side}Price{level}": price, f"{side}Volume{level}": volume}
    return _struct(values)


def values_of(raw: Raw) -> dict[str, Any]:
    """Give what a snapshot says as Python has it; its times as seconds and nanoseconds."""
    nowhere = _Nowhere()
    recorder(nowhere).record(raw)
    tick = Tick.FromString(payload(nowhere.newest))
    plain: dict[str, Any] = {}
    for field, value in tick.ListFields():
        is_time = field.message_type is not None
        plain[field.name] = (value.seconds, value.nanos) if is_time else list(value) if field.is_repeated else value
    return plain


def _build(values: dict[str, Any]) -> bytes:
    (seconds, nanos), (came, came_nanos) = values["time"], values["receive_time"]
    times = {
        "time": Timestamp(seconds=seconds, nanos=nanos),
        "receive_time": Timestamp(seconds=came, nanos=came_nanos),
    }
    return Tick(**{**values, **times}).SerializeToString()


def _seconds(work: Callable[[Any], Any], items: list[Any]) -> float:
    """Give the processor's time, which others on the machine do not make longer."""
    began = time.thread_time()
    for item in items:
        work(item)
    return time.thread_time() - began


def _encoder() -> Callable[[Raw], bytes]:
    """Give what makes the element of a snapshot, without its flags."""
    ticks = TickMaker(_INSTRUMENTS, _CALENDAR)
    return lambda raw: element(ticks.make(raw.data, FIRST, raw.received_ns).tick.SerializeToString())


def _in_turns(raws: list[Raw], values: list[dict[str, Any]]) -> dict[str, float]:
    """Give the µs of recording a snapshot, of encoding it alone, and of a bare message."""
    spent: defaultdict[str, float] = defaultdict(float)
    record, encode = recorder(_Nowhere()).record, _encoder()
    for start in range(0, TICKS, _TURN):
        turn = raws[start : start + _TURN]
        spent["ingest_us"] += _seconds(record, turn)
        spent["encode_us"] += _seconds(encode, turn)
        spent["bare_us"] += _seconds(_build, values[start : start + _TURN])
    return {key: seconds / TICKS * 1e6 for key, seconds in spent.items()}


def _bar_ticks() -> Iterator[bytes]:
    """Give the ticks of ten symbols in a night session, serialised."""
    tick, begin = sample(FIRST), _CALENDAR.sessions("au", DAY)[0].begin
    for number in range(BAR_TICKS):
        half_seconds = number // len(SYMBOLS)
        tick.seq, tick.volume, tick.symbol = FIRST + number, number, SYMBOLS[number % len(SYMBOLS)]
        tick.time.seconds, tick.time.nanos = begin + half_seconds // 2, half_seconds % 2 * 500_000_000
        tick.last_price = 800.0 + number % 97 * 0.02
        yield tick.SerializeToString()


def _bars(made: list[bytes]) -> tuple[float, float]:
    """Give the µs that adding a tick to its bar takes, and those that parsing it does."""
    bars = Bars(BAR_PERIOD_1M, lambda _, day: _CALENDAR.sessions("au", day))
    adding = parsing = 0.0
    for start in range(0, len(made), _CHUNK):
        chunk = made[start : start + _CHUNK]
        parsing += _seconds(Tick.FromString, chunk)
        adding += _seconds(bars.add, [Tick.FromString(one) for one in chunk])
    if not bars.names(DAY, SYMBOL):
        raise RuntimeError("no bars came of the ticks")
    return adding / len(made) * 1e6, parsing / len(made) * 1e6


def ingest_figures(repetitions: int = REPETITIONS) -> dict[str, list[float]]:
    """Measure the recorder beside the bare message, and the bars."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    raws = [Raw(1_773_106_200_560_123_456, struct_of(depth)) for depth in itertools.islice(depths(), TICKS)]
    values = [values_of(raw) for raw in raws[:100]] * (TICKS // 100)
    made = list(_bar_ticks())
    for _ in range(repetitions):
        took = _in_turns(raws, values)
        took["ingest_ratio"] = took["ingest_us"] / took["bare_us"]
        took["encode_ratio"] = took["encode_us"] / took["bare_us"]
        for key, value in took.items():
            figures[key].append(value)
        adding, parsing = _bars(made)
        figures["bars_us_per_tick"].append(adding)
        figures["parse_us_per_tick"].append(parsing)
    return dict(figures)


if __name__ == "__main__":
    report("ticks_ingest", REPETITIONS, ingest_figures())
