"""A snapshot's way into the stream: numbered, encoded once, on the tape, then seen by followers."""

import contextlib
import logging
import time
from collections.abc import Iterator

from arbig.fanout import Feed, element
from market_svc.depth import BadDepthError, tick_from_ctp
from market_svc.gateway import Raw
from market_svc.tape import Tape

log = logging.getLogger(__name__)


class Recorder:
    """Turns what the gateway copied into the feed's next tick."""

    def __init__(self, feed: Feed, tape: Tape, exchanges: dict[str, str]) -> None:
        self.rejected = 0
        self.trading_day = ""
        self.last_at: float | None = None
        self._feed = feed
        self._tape = tape
        self._exchanges = exchanges

    def record(self, raw: Raw) -> None:
        """Append one snapshot; followers see it at `flush`."""
        seq = self._feed.head + 1
        try:
            tick = tick_from_ctp(raw.data, seq, raw.received_ns, self._exchanges)
        except (BadDepthError, UnicodeDecodeError) as error:
            self.rejected += 1
            log.warning("depth rejected", extra={"why": str(error)})
            return
        data = element(tick.SerializeToString())
        with _or_end():
            self._tape.append(seq, tick.trading_day, data)
        self._feed.append(tick.symbol, data)
        self.trading_day = tick.trading_day
        self.last_at = time.monotonic()

    def flush(self) -> None:
        """Let followers see what was recorded: on the tape first, so that a restart knows it too."""
        with _or_end():
            self._tape.flush()
        self._feed.wake()


@contextlib.contextmanager
def _or_end() -> Iterator[None]:
    """Say why the service ends: what a restart does not know must not be seen, nor its number given again."""
    try:
        yield
    except OSError as error:
        log.error("the tape cannot be written: the market service ends", extra={"why": str(error)})
        raise
