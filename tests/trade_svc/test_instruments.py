"""What the exchange does with an instrument, and since when, as a followed stream."""

from pathlib import Path

from arbig.market.v1 import market_pb2 as pb
from arbig.trade.v1.trade_pb2 import SubscribeInstrumentsResponse
from tests.trade_svc.desk import AU, desk_in
from trade_svc.instruments import Instruments, Status

RB = pb.Instrument(symbol="rb2605", product="rb", exchange="SHFE")
CONTINUOUS, CLOSED = pb.INSTRUMENT_STATUS_CONTINUOUS, pb.INSTRUMENT_STATUS_CLOSED


def told(instruments: Instruments) -> list[tuple[str, str]]:
    """Give each change that followers get: the symbol, and since when its status is what it is."""
    kept = instruments.feed.between(instruments.feed.tail, 100)
    changes = SubscribeInstrumentsResponse.FromString(b"".join(one.data for one in kept)).instruments
    return [(one.symbol, one.status_since) for one in changes]


async def test_a_status_comes_with_the_exchanges_own_time(tmp_path: Path) -> None:
    """EnterTime, as CTP tells it."""
    async with desk_in(tmp_path) as desk:
        row = {"InstrumentID": "au", "InstrumentStatus": "6", "EnterTime": "15:00:00", "TradingDay": "20260310"}
        desk.hear("OnRtnInstrumentStatus", row)
        known = desk.instruments.by_symbol["au2604"]
        assert (known.status, known.status_since, known.status_day) == (CLOSED, "15:00:00", "20260310")


async def test_the_same_status_at_another_time_is_a_change() -> None:
    """Trading goes on after a break; what is told again at a login is none."""
    instruments = Instruments(epoch=1)
    instruments.load([AU, RB])
    for since in ("09:00:00", "09:00:00", "10:30:00"):
        instruments.set_status("au", Status(CONTINUOUS, since, "20260310"))
    assert told(instruments) == [("au2604", ""), ("rb2605", ""), ("au2604", "09:00:00"), ("au2604", "10:30:00")]


async def test_a_status_heard_before_the_instruments_is_kept_for_them() -> None:
    """The exchange speaks at once, the query of the instruments takes a while; a contract's own status wins."""
    instruments = Instruments(epoch=1)
    instruments.set_status("au", Status(CONTINUOUS, "09:00:00", "20260310"))
    instruments.set_status("rb2605", Status(CLOSED, "15:00:00", "20260310"))
    instruments.load([AU, RB])
    assert told(instruments) == [("au2604", "09:00:00"), ("rb2605", "15:00:00")]
