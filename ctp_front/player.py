"""What becomes of each snapshot: it drives the exchange, then it is published, then it is remembered."""

import asyncio

from ctp_front.depth import Depth, DepthEncoder
from ctp_front.floor import Floor
from ctp_front.ledger import Prices
from ctp_front.market_front import MarketFront
from ctp_front.orders import Moment
from ctp_front.prices import Source

# How much of the prices a kill may make the front repeat.
_SAVE_SECONDS = 0.25


class Player:
    """Plays a source's prices to the floor and to the market front."""

    def __init__(self, source: Source, floor: Floor, market: MarketFront, published: int) -> None:
        self.source = source
        self.published = published
        self._floor = floor
        self._market = market
        self._encode = DepthEncoder().encode
        self._saved_at = 0.0

    def show(self, depths: list[Depth]) -> None:
        """Have the snapshots that were last before a restart at hand again."""
        self._market.publish([(depth.symbol, self._encode(depth)) for depth in depths])

    async def play(self) -> None:
        """Play to the end, if there is one."""
        now = asyncio.get_running_loop().time
        async for batch in self.source.batches():
            self.publish(batch)
            if now() - self._saved_at > _SAVE_SECONDS:
                self._saved_at = now()
                self.save()
            if not self.source.is_paced:
                await self._market.drain()
        self.save()

    def publish(self, batch: list[Depth]) -> None:
        """Let snapshots, all of them or none, and the time move the exchange, and send them."""
        self._apply(batch)
        self._market.publish([(depth.symbol, self._encode(depth)) for depth in batch])
        self.published += len(batch)

    def show_beside(self, depth: Depth) -> None:
        """Publish a snapshot that is not the source's."""
        self.source.pass_to(_moment(depth))
        self.publish([depth])
        self.save()

    def change_day(self, trading_day: str) -> None:
        """Settle now, whatever the prices say, and begin this day."""
        self._floor.change_day(trading_day, self.source.open_day(trading_day), self.source.now())
        self.save()

    def save(self) -> None:
        """Keep how far the prices have come."""
        books = self._floor.exchange.books.values()
        depths = [book.depth for book in books if book.depth is not None]
        self._floor.ledger.save_prices(Prices(self.source.name, self.source.position, self.published, depths))
        self._floor.flush()

    def _apply(self, batch: list[Depth]) -> None:
        exchange = self._floor.exchange
        if not batch:
            self._floor.pass_time(self.source.now())
        for depth in batch:
            if depth.trading_day > exchange.trading_day:
                self._change_day(depth.trading_day, batch)
            self._floor.pass_time(_moment(depth))
            self._floor.apply(depth)

    def _change_day(self, trading_day: str, batch: list[Depth]) -> None:
        # What the new day calls its previous settlement is what the old day is settled at.
        settlements = {depth.symbol: depth.pre_settlement for depth in batch if depth.trading_day == trading_day}
        first = next(depth for depth in batch if depth.trading_day == trading_day)
        self._floor.change_day(trading_day, settlements, _moment(first))
        self._saved_at = 0.0


def _moment(depth: Depth) -> Moment:
    return Moment(depth.action_day, depth.update_time, depth.update_millisec)
