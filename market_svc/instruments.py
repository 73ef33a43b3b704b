"""Which instruments there are: followed from the trade service, kept on disk while it is away.

MdApi knows neither instruments nor exchanges, nor what the exchange does with them.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from arbig.channel import open_channel
from arbig.follow import Link, follow
from arbig.market.v1.market_pb2 import Instrument, ListInstrumentsResponse
from arbig.trade.v1.trade_pb2 import SubscribeInstrumentsRequest, SubscribeInstrumentsResponse
from arbig.trade.v1.trade_pb2_grpc import TradeServiceStub
from market_svc.status import ExchangeStatus

log = logging.getLogger(__name__)


class _StatusLink(Link):
    """The link over which the exchange's words come."""

    def __init__(self, status: ExchangeStatus) -> None:
        super().__init__("instruments of the trade service")
        self._status = status

    def is_up(self) -> None:
        """Note that a message came."""
        super().is_up()
        self._status.set_live(is_live=True)

    def is_down(self, why: str) -> None:
        """Note that the stream broke."""
        super().is_down(why)
        self._status.set_live(is_live=False)


class Instruments:
    """The instruments by symbol, and the status of what was heard since the start."""

    def __init__(self, cache: Path) -> None:
        """Begin with what `cache` remembers."""
        self.by_symbol: dict[str, Instrument] = {}
        # Not from the cache: a status is of its day.
        self.status = ExchangeStatus()
        self.link: Link = _StatusLink(self.status)
        self._cache = cache
        if cache.exists():
            self._note(ListInstrumentsResponse.FromString(cache.read_bytes()).instruments)
            log.info("instruments recalled", extra={"count": len(self.by_symbol)})

    def _note(self, instruments: Iterable[Instrument]) -> None:
        for instrument in instruments:
            self.by_symbol[instrument.symbol] = instrument

    def listed(self, product: str = "") -> list[Instrument]:
        """Give the instruments, all or of one product, in order of their symbols."""
        return [one for _, one in sorted(self.by_symbol.items()) if product in ("", one.product)]

    async def run(self, trade: str, changed: Callable[[Iterable[str]], None]) -> None:
        """Follow the trade service at `trade`, for ever; `changed` hears all symbols after each change."""
        changed(self.by_symbol)
        async with open_channel(trade) as channel:
            stub = TradeServiceStub(channel)
            request = SubscribeInstrumentsRequest()
            async for reply in follow(stub.SubscribeInstruments, request, SubscribeInstrumentsResponse, self.link):
                if reply.instruments:
                    self._note(reply.instruments)
                    self.status.note(reply.instruments)
                    self._save()
                    changed(self.by_symbol)

    def _save(self) -> None:
        fresh = self._cache.with_suffix(".new")
        fresh.write_bytes(ListInstrumentsResponse(instruments=self.listed()).SerializeToString())
        fresh.replace(self._cache)
