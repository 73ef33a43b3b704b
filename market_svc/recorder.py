"""A snapshot's way into the stream: numbered, flagged, encoded once, on the tape, then seen by followers."""

import logging
import threading
import time
from collections.abc import Iterable

from arbig.fanout import Feed, element
from market_svc.depth import BadDepthError, TickMaker
from market_svc.gateway import Raw
from market_svc.quality import Quality
from market_svc.tape import Tape

log = logging.getLogger(__name__)


class Recorder:
    """Turns what the gateway copied into the feed's next tick: each on the thread on which it came."""

    def __init__(self, feed: Feed, tape: Tape, ticks: TickMaker, quality: Quality) -> None:
        self.rejected = 0
        self.trading_day = ""
        self.last_at: float | None = None
        self._lock = threading.Lock()
        self._feed = feed
        self._tape = tape
        self._ticks = ticks
        self._quality = quality

    def record(self, raw: Raw) -> None:
        """Append one snapshot; followers see it at `flush`."""
        with self._lock:
            seq = self._feed.head + 1
            try:
                snapshot = self._ticks.make(raw.data, seq, raw.received_ns)
            except (BadDepthError, UnicodeDecodeError) as error:
                self.rejected += 1
                log.warning("depth rejected", extra={"why": str(error)})
                return
            self.trading_day = snapshot.trading_day
            self._append(seq, snapshot.symbol, snapshot.trading_day, self._quality.encode(snapshot))
            self.last_at = time.monotonic()

    def _append(self, seq: int, symbol: str, trading_day: str, payload: bytes) -> None:
        data = element(payload)
        try:
            self._tape.append(seq, trading_day, data)
        except OSError as error:
            _end(error)
            raise
        self._feed.append(symbol, data)

    def lose(self, symbols: Iterable[str] | None = None) -> None:
        """Say at once of every symbol, or of some, that its newest tick is not the market any more; on the loop."""
        now_ns = time.time_ns()
        with self._lock:
            for tick in self._quality.lose(symbols):
                tick.seq = self._feed.head + 1
                tick.receive_time.FromNanoseconds(now_ns)
                self._append(tick.seq, tick.symbol, tick.trading_day, tick.SerializeToString())
        self.flush()

    def flush(self) -> None:
        """Let followers see what was recorded, on the loop: on the tape first, so that a restart knows it too."""
        with self._lock:
            try:
                self._tape.flush()
            except OSError as error:
                _end(error)
                raise
            self._feed.wake()


def _end(error: OSError) -> None:
    """Say why the service ends: what a restart does not know must not be seen, nor its number given again."""
    log.error("the tape cannot be written: the market service ends", extra={"why": str(error)})
