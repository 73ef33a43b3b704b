"""Ticks that version 0.1.0 stored: it noted neither the symbols nor where their trading days begin."""

from arbig.market.v1.market_pb2 import Tick
from store_svc.ticks.place import BEGIN, Place
from store_svc.ticks.streams import TickStreams

_PAGE = 1_000
_END = Place(2**64 - 1, 2**64 - 1)


async def adopt(streams: TickStreams) -> None:
    """Note what is not noted yet; does nothing where this version has stored ticks."""
    symbols = await streams.strangers()
    for symbol in symbols:
        await streams.add_days(symbol, await _days(streams, symbol))
    if symbols:  # last: what is left undone is done again
        await streams.add_symbols(symbols)


async def _days(streams: TickStreams, symbol: str) -> dict[Place, str]:
    days: dict[Place, str] = {}
    newest = (0, "")
    async for page in streams.pages(symbol, BEGIN, _END, _PAGE):
        for place, data in page:
            day = Tick.FromString(data).trading_day
            if (place.epoch, day) != newest:
                newest = place.epoch, day
                days[place] = day
    return days
