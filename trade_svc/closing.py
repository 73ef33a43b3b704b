"""Which orders close a position.

SHFE keeps the lots of today and of earlier trading days apart: closing them takes different orders,
so one wish to close may become two of them. Lots that a working order has frozen cannot be closed
again: the exchange would refuse the second (errors 50 and 51).
"""

from typing import NamedTuple

from arbig.errors import Refused
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.positions import APART, LONG, Free, SideKey
from trade_svc.terms import Terms

OLDEST, TODAY, CHEAPEST = (
    pb.CLOSE_POLICY_OLDEST_FIRST,
    pb.CLOSE_POLICY_TODAY_FIRST,
    pb.CLOSE_POLICY_CHEAPEST_FIRST,
)


class Leg(NamedTuple):
    """One order of a close."""

    offset: pb.Offset.ValueType
    volume: int


def split_close(
    key: SideKey,
    volume: int,
    free: Free,
    policy: pb.ClosePolicy.ValueType = OLDEST,
    *,
    today_is_cheaper: bool = False,
) -> list[Leg]:
    """Split a wish to close into legs; 0 lots means all that are free. Raises Refused where fewer are."""
    volume = volume or sum(free)
    if not volume or volume > sum(free):
        raise Refused(f"close {volume} lots of {key.symbol}, {sum(free)} free", "NOT_ENOUGH_LOTS", "volume")
    if key.exchange not in APART:
        return [Leg(pb.OFFSET_CLOSE, volume)]
    lots = {pb.OFFSET_CLOSE_YESTERDAY: free.yesterday, pb.OFFSET_CLOSE_TODAY: free.today}
    order = list(lots)
    if policy == TODAY or (policy == CHEAPEST and today_is_cheaper):
        order.reverse()
    legs = []
    for offset in order:
        taken = min(volume, lots[offset])
        volume -= taken
        legs.append(Leg(offset, taken))
    return [leg for leg in legs if leg.volume]


def today_is_cheaper(terms: Terms | None, price: float) -> bool:
    """Tell whether today's lots cost less to close at a price; not where the rates are not known."""
    if terms is None:
        return False
    today = terms.commission(pb.OFFSET_CLOSE_TODAY, price, 1)
    return today < terms.commission(pb.OFFSET_CLOSE_YESTERDAY, price, 1)


def auto_offset(key: SideKey, volume: int, free: Free, held: int) -> pb.Offset.ValueType:
    """Give what AUTO comes to for an order that would close `key`; `held` counts its frozen lots too.

    Raises Refused where it would take several orders.
    """
    if not held:
        return pb.OFFSET_OPEN
    if volume <= sum(free):
        legs = split_close(key, volume, free)
        if len(legs) == 1:
            return legs[0].offset
    # One kind of lots may cover it all, though the oldest do not.
    if key.exchange in APART and volume <= free.today:
        return pb.OFFSET_CLOSE_TODAY
    lots = f"{free.yesterday} of yesterday and {free.today} of today free, {held} held"
    raise Refused(f"AUTO for {volume} lots of {key.symbol}: {lots}", "AUTO_NEEDS_SPLIT", "volume")


def closing_direction(side: pb.PositionSide.ValueType) -> pb.Direction.ValueType:
    """Give the direction that closes a side."""
    return pb.DIRECTION_SELL if side == LONG else pb.DIRECTION_BUY


def chunks(leg: Leg, most: int) -> list[Leg]:
    """Cut a leg into orders of at most so many lots, as the instrument allows for one."""
    whole, rest = divmod(leg.volume, most)
    return [Leg(leg.offset, most)] * whole + ([Leg(leg.offset, rest)] if rest else [])
