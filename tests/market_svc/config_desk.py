"""A market configuration on files in a directory, and its market."""

from pathlib import Path
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.fanout import Feed
from arbig.market.v1 import config_pb2 as pb
from arbig.market.v1.market_pb2 import Instrument
from market_svc import config_keeper
from market_svc.config_keeper import ConfigKeeper
from market_svc.market_config import Known
from market_svc.reel import payload

DAY, NEXT_DAY = "20260302", "20260303"
SYMBOLS = ("au2604", "au2606", "au2608", "au2610")
INSTRUMENTS = {
    one: Instrument(symbol=one, product="au", multiplier=1000, price_tick=0.02, trading=True, expire_date="20270115")
    for one in SYMBOLS
}


class Desk:
    """A keeper over files in a directory, and what it is told of the market."""

    def __init__(self, directory: Path, *symbols: str) -> None:
        self.path, self.record = directory / "market.toml", directory / "market-changes.json"
        self.known = Known(INSTRUMENTS)
        if not self.path.exists():
            config_keeper.make(self.path, symbols)
        self.keeper = self.restarted()

    def restarted(self, last_day: str = "") -> ConfigKeeper:
        """Begin again with what is on the disk."""
        self.keeper = ConfigKeeper(self.path, self.record, lambda: self.known, lambda: Timestamp(seconds=7), last_day)
        return self.keeper

    def day(self, trading_day: str) -> None:
        """Let a tick of a trading day come."""
        self.known = self.known._replace(trading_day=trading_day)
        self.keeper.look()

    def edit(self, before: str, after: str) -> None:
        """Edit the file, and let it be looked at."""
        text = self.path.read_text()
        assert before in text
        self.path.write_text(text.replace(before, after))
        self.keeper.look()

    def call(self, *, at_once: bool = False, **values: Any) -> pb.MarketConfig:
        """Change these values, and nothing else."""
        config, mask = pb.MarketConfig(**values), FieldMask(paths=list(values))
        return self.keeper.update(pb.UpdateMarketConfigRequest(config=config, update_mask=mask, at_once=at_once))


def shown(feed: Feed, after: int = 0) -> list[pb.MarketConfigChange]:
    """Give the changes that a follower has after a place."""
    return [pb.MarketConfigChange.FromString(payload(kept.data)) for kept in feed.between(max(after, feed.tail), 1000)]
