"""What the link says of symbols that come no longer."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from arbig.ctp.spi import Push
from market_svc.gateway import Gateway
from tests.market_svc.test_depth import raw
from tests.market_svc.test_recorder import begun, record, told


def answered(symbol: str) -> Push:
    """Confirm that nothing more comes of a symbol, as the library does."""
    return Push("OnRspUnSubMarketData", {"InstrumentID": symbol})


def test_a_snapshot_on_its_way_while_unsubscribing_is_not_taken_for_the_market(tmp_path: Path) -> None:
    """Behind it the symbol is STALE again, and what comes when it is subscribed again is a gap."""
    recorder, feed, _ = begun(tmp_path)
    client: Any = SimpleNamespace(api=None)
    gateway = Gateway(client, {}, recorder.lose)
    gateway.subscribe(["au2604", "au2606"])
    record(recorder, raw(), raw(InstrumentID=b"au2606"))
    gateway.unsubscribe(["au2604"])
    record(recorder, raw(Volume=1))
    gateway.hear(answered("au2604"))
    assert told(feed, 2) == [
        (3, "au2604", ["STALE"]),
        (4, "au2604", ["FIRST_SNAPSHOT", "GAP"]),
        (5, "au2604", ["STALE"]),
    ]
    gateway.hear(answered("au2604"))
    gateway.subscribe(["au2604"])
    gateway.hear(answered("au2604"))
    record(recorder, raw(Volume=2))
    recorder.flush()
    assert told(feed, 5) == [(6, "au2604", ["FIRST_SNAPSHOT", "GAP"])]


def test_what_is_subscribed_again_before_it_is_confirmed_is_not_stale(tmp_path: Path) -> None:
    """The confirmation is of the time before."""
    recorder, feed, _ = begun(tmp_path)
    client: Any = SimpleNamespace(api=None)
    gateway = Gateway(client, {}, recorder.lose)
    gateway.subscribe(["au2604"])
    gateway.unsubscribe(["au2604"])
    gateway.subscribe(["au2604"])
    record(recorder, raw())
    gateway.hear(answered("au2604"))
    recorder.flush()
    assert told(feed) == [(1, "au2604", ["FIRST_SNAPSHOT"])]
