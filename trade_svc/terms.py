"""What the broker asks of the account: margin and commission rates, and the money that the day began with."""

from typing import Any, NamedTuple

from arbig.market.v1.market_pb2 import Instrument, Tick
from arbig.trade.v1 import trade_pb2 as pb


class Rate(NamedTuple):
    """A share of the value, and yuan for each lot: CTP adds both."""

    by_money: float
    by_volume: float

    def on(self, value: float, lots: int) -> float:
        """Give the yuan on lots worth so much."""
        return self.by_money * value + self.by_volume * lots


class Terms(NamedTuple):
    """What the broker asks for an instrument (queries of margin and commission rate)."""

    multiplier: int
    margin_long: Rate
    margin_short: Rate
    open: Rate
    close: Rate
    close_today: Rate
    one_side: bool
    """Margin of the larger side alone (MaxMarginSideAlgorithm)."""
    base_price: float | None
    """The price that margin of today's lots counts from, where that is not their own (MarginPriceType 1 to 3)."""

    def margin_rate(self, side: pb.PositionSide.ValueType) -> Rate:
        """Give the margin rate of a side."""
        return self.margin_long if side == pb.POSITION_SIDE_LONG else self.margin_short

    def margin(self, side: pb.PositionSide.ValueType, price: float, lots: int) -> float:
        """Give the margin of lots at a price."""
        return self.margin_rate(side).on(price * lots * self.multiplier, lots)

    def commission(self, offset: pb.Offset.ValueType, price: float, lots: int) -> float:
        """Give what the broker takes for lots at a price."""
        rates = {pb.OFFSET_OPEN: self.open, pb.OFFSET_CLOSE_TODAY: self.close_today}
        return rates.get(offset, self.close).on(price * lots * self.multiplier, lots)


class Opening(NamedTuple):
    """The money that the day began with, and what was since paid in and out or set aside."""

    pre_balance: float
    deposit: float
    withdraw: float
    cash_in: float = 0.0
    """The balance of premiums."""
    set_aside: float = 0.0
    """Frozen for premiums, or kept as margin of a delivery: not available."""


class Rates:
    """The rates as they become known, by instrument or, from older counters, by product."""

    def __init__(self) -> None:
        self.margins: dict[str, tuple[Rate, Rate]] = {}
        self.commissions: dict[str, tuple[Rate, Rate, Rate]] = {}
        self.one_side: set[str] = set()
        # The tick's field that margin of today's lots counts from; empty for what they were opened at.
        self.margin_price = ""
        self.margin_price_known = False

    def terms(self, instrument: Instrument, tick: Tick | None) -> Terms | None:
        """Give the terms of an instrument with its last tick; None while a rate is missing."""
        margin = self.margins.get(instrument.symbol)
        commission = self.commissions.get(instrument.symbol) or self.commissions.get(instrument.product)
        if margin is None or commission is None:
            return None
        one_side = instrument.symbol in self.one_side
        return Terms(instrument.multiplier, *margin, *commission, one_side, self._base_price(tick))

    def _base_price(self, tick: Tick | None) -> float | None:
        name: Any = self.margin_price
        if not name or tick is None or not tick.HasField(name):
            return None
        price: float = getattr(tick, name)
        return price
