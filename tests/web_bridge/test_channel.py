"""A topic's items, framed once for all who stand at one place."""

from arbig.trade.v1 import trade_pb2 as trade
from web_bridge import contract
from web_bridge.channel import BATCH, Channel
from web_bridge.protocol import Place

ORDERS = next(topic for source in contract.read().sources for topic in source.topics if topic.template[:5] == "order")


def channel_with(count: int) -> Channel:
    channel = Channel(ORDERS)
    channel.begin(Place(1, 0), "the beginning")
    for seq in range(1, count + 1):
        channel.put(seq, trade.Order(account_id="me", client_order_id=str(seq)))
    channel.move(Place(1, count))
    return channel


def test_all_who_stand_at_one_place_get_the_same_bytes() -> None:
    """Not a copy: the same object."""
    channel = channel_with(3)
    first, second = (channel.after("order.*", (None,), 1) for _ in range(2))
    assert first.frame is second.frame


def test_a_long_way_is_gone_in_steps() -> None:
    """One frame has a bound, and the next begins behind it."""
    channel = channel_with(BATCH + 1)
    first = channel.after("order.*", (None,), 0)
    assert first.position == BATCH
    assert channel.after("order.*", (None,), first.position).position == BATCH + 1


def test_whoever_wants_none_of_it_steps_behind_it() -> None:
    """Without a frame."""
    assert channel_with(3).after("order.other", ("other",), 0) == (None, 3)
