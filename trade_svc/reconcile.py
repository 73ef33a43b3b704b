"""Whether our books and the broker's say the same, after complete queries of both.

What is compared is what no price moves: each order's traded lots, each trade, the lots of each side,
commission and the profit of what was closed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from arbig.trade.v1 import trade_pb2 as pb
from trade_svc.money import Money
from trade_svc.orders import OrderBook, TradeKey, at_exchange
from trade_svc.reports import DetailRow, OpeningRow, OrderReport
from trade_svc.terms import Opening

# Yuan: brokers round each trade's amounts to the cent.
TOLERANCE = 1.0


class BrokerBooks(NamedTuple):
    """What complete queries showed: the day's orders and trades, the lots, and the money."""

    orders: Sequence[OrderReport]
    trades: Sequence[pb.Trade]
    details: Sequence[DetailRow]
    openings: Sequence[OpeningRow]
    account: pb.Account
    opening: Opening


def order_differences(book: OrderBook, reported: Mapping[str, int], trading_day: str) -> list[pb.Difference]:
    """Compare the day's orders with the broker's: the lots each has traded, by client_order_id."""
    found = []
    for order in book.orders.values():
        if order.trading_day != trading_day:
            continue
        name = f"order {order.client_order_id}"
        if order.client_order_id in reported:
            theirs = reported[order.client_order_id]
            if order.filled_volume != theirs:
                found.append(_difference(f"{name} traded", order.filled_volume, theirs))
        elif at_exchange(order):
            found.append(_difference(name, "at the exchange", "not there"))
    return found


def trade_differences(book: OrderBook, reported: Iterable[TradeKey], trading_day: str) -> list[pb.Difference]:
    """Compare the day's trades with the broker's; ours that it does not have are differences."""
    theirs = set(reported)
    ours = {key for key in book.trades if key[0] == trading_day}
    return [_difference(f"trade {key[2].strip()}", "known", "not there") for key in sorted(ours - theirs)]


def money_differences(ours: Money | None, broker: pb.Account) -> list[pb.Difference]:
    """Compare commission and the profit of what was closed; nothing where our rates are not known."""
    if ours is None:
        return []
    pairs = (
        ("commission", ours.commission, broker.commission),
        ("close profit", ours.close_profit, broker.close_profit),
    )
    return [
        _difference(f"account {name}", f"{mine:.2f}", f"{theirs:.2f}")
        for name, mine, theirs in pairs
        if abs(mine - theirs) > TOLERANCE
    ]


def _difference(what: str, ours: object, broker: object) -> pb.Difference:
    return pb.Difference(what=what, ours=str(ours), broker=str(broker))
