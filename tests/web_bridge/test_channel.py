"""A topic's items, framed once for all who stand at one place."""

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.market.v1.bars_pb2 import Bar
from arbig.trade.v1 import trade_pb2 as trade
from web_bridge import contract
from web_bridge.channel import BATCH, Channel
from web_bridge.protocol import Place

TOPICS = {topic.template: topic for source in contract.read().sources for topic in source.topics}
ORDERS, BARS = TOPICS["order.{account_id}"], TOPICS["bar.{symbol}"]


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


def test_a_time_may_be_part_of_the_key() -> None:
    """A bar that changed replaces itself, and the newest are as many as the option says."""
    channel = Channel(BARS)
    channel.begin(Place(1, 0), "the beginning")
    for minute in [*range(BARS.most + 1), BARS.most]:
        channel.put(1, Bar(symbol="au2604", begin_time=Timestamp(seconds=60 * minute), volume=minute))
    channel.move(Place(1, 1))
    first = channel.after("bar.au2604", ("au2604",), 0)
    rest = channel.after("bar.au2604", ("au2604",), first.position)
    frames = [chunk.frame or b"" for chunk in (first, rest)]
    volumes = [bar["volume"] for frame in frames for bar in orjson.loads(frame[frame.index(b"{") :])["items"]]
    assert volumes == list(range(1, BARS.most + 1))
