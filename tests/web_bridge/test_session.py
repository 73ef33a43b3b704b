"""One browser's side of the protocol, without a socket."""

from typing import Any

import orjson

from arbig.stream.v1.stream_pb2 import Cursor, Gap
from arbig.trade.v1 import trade_pb2 as trade
from web_bridge import contract
from web_bridge.hub import Hub, Intake
from web_bridge.protocol import Call
from web_bridge.session import MAX_TOPICS, Session

EPOCH = 5
OFFERED = contract.read()


class Wire:
    """A session whose frames are read back, and the journal that feeds it."""

    def __init__(self, ring: int = 100) -> None:
        self.hub = Hub(OFFERED, ring)
        self.session = Session(self.hub)
        self.journal: Intake = next(one for one in self.hub.intakes if one.source.method.endswith("SubscribeEvents"))
        self.due()

    def say(self, op: str, **facts: Any) -> Any:
        """Say a frame, and give the answer."""
        answer = self.session.receive(orjson.dumps({"op": op, **facts}).decode())
        return answer if isinstance(answer, Call) else unframed(answer)

    def due(self) -> list[Any]:
        """Give all frames the browser is due."""
        frames = []
        while frame := self.session.next():
            frames.append(unframed(frame))
        return frames

    def feed(self, *seqs: int, epoch: int = EPOCH, head: int | None = None, gap: str = "") -> None:
        """Let the journal say that these events happened."""
        events = [trade.Event(seq=seq, order=trade.Order(client_order_id=str(seq), account_id="me")) for seq in seqs]
        cursor = Cursor(epoch=epoch, seq=head if head is not None else max(seqs, default=0))
        message = trade.SubscribeEventsResponse(events=events, cursor=cursor)
        if gap:
            message.gap.CopyFrom(Gap(reason=gap))
        self.journal.take(message)


def unframed(frame: bytes) -> Any:
    return orjson.loads(frame[frame.index(b"{") :])


def ids(frames: list[Any]) -> list[str]:
    return [item["clientOrderId"] for frame in frames for item in frame.get("items", [])]


def test_every_link_is_told_at_first_and_on_change() -> None:
    """So that the page can show what it does not get."""
    wire = Wire()
    wire.hub.note_link(wire.journal.source, "")
    assert [(frame["op"], frame["up"]) for frame in wire.due()] == [("link", True)]


def test_without_a_cursor_an_event_topic_begins_now() -> None:
    """What was before is what List methods are for."""
    wire = Wire()
    wire.feed(1, 2)
    assert wire.say("subscribe", topic="order.*")["cursor"] == {"epoch": EPOCH, "seq": 2}
    wire.feed(3)
    assert ids(wire.due()) == ["3"]


def test_after_a_cursor_everything_comes() -> None:
    """Once, and in order."""
    wire = Wire()
    wire.feed(head=1)
    wire.feed(2, 3)
    wire.say("subscribe", topic="order.*", after={"epoch": EPOCH, "seq": 2})
    wire.feed(4)
    assert ids(wire.due()) == ["3", "4"]


def test_a_cursor_ahead_of_the_bridge_waits() -> None:
    """Its owner asked the service itself, which is a moment ahead."""
    wire = Wire()
    wire.feed(head=1)
    wire.say("subscribe", topic="order.*", after={"epoch": EPOCH, "seq": 3})
    wire.feed(2, 3)
    wire.feed(4)
    assert ids(wire.due()) == ["4"]


def test_the_oldest_kept_can_be_asked_for() -> None:
    """Epoch 0, as in the contracts; that is no gap."""
    wire = Wire()
    wire.feed(head=1)
    wire.feed(2, 3)
    wire.say("subscribe", topic="order.*", after={"epoch": 0, "seq": 0})
    frames = wire.due()
    assert [frame["op"] for frame in frames] == ["items"]
    assert ids(frames) == ["2", "3"]


def test_a_cursor_older_than_the_ring_is_a_gap_and_then_what_is_kept() -> None:
    """Never a silent hole."""
    wire = Wire(ring=2)
    wire.feed(head=1)
    wire.feed(2, 3, 4)
    wire.say("subscribe", topic="order.*", after={"epoch": EPOCH, "seq": 1})
    gap, *rest = wire.due()
    assert (gap["op"], gap["after"]["seq"], gap["resume"]["seq"]) == ("gap", 1, 2)
    assert ids(rest) == ["3", "4"]


def test_a_gap_of_the_stream_is_passed_on() -> None:
    """The journal is another one: its epoch, its reason."""
    wire = Wire()
    wire.feed(1)
    wire.say("subscribe", topic="order.*")
    wire.feed(head=0, epoch=EPOCH + 1, gap="another journal")
    wire.feed(1, epoch=EPOCH + 1)
    gap, *rest = wire.due()
    assert (gap["reason"], gap["after"]["epoch"], gap["resume"]["epoch"]) == ("another journal", EPOCH, EPOCH + 1)
    assert ids(rest) == ["1"]


def test_a_subscription_may_come_before_the_stream() -> None:
    """Its cursor is looked at when the stream is first heard."""
    wire = Wire()
    assert "cursor" not in wire.say("subscribe", topic="order.*")
    assert wire.say("subscribe", topic="order.me", after={"epoch": 1, "seq": 1})["cursor"] == {"epoch": 1, "seq": 1}
    wire.feed(head=4)
    wire.feed(5)
    frames = wire.due()
    assert ids([frame for frame in frames if frame["topic"] == "order.*"]) == ["5"]
    assert [frame["op"] for frame in frames if frame["topic"] == "order.me"] == ["gap", "items"]


def test_other_accounts_orders_are_not_given() -> None:
    """The pattern is the account."""
    wire = Wire()
    wire.feed(head=1)
    wire.say("subscribe", topic="order.other")
    wire.feed(2)
    assert wire.due() == []


def test_subscribing_again_replaces() -> None:
    """The new cursor counts; no item comes twice."""
    wire = Wire()
    wire.feed(head=1)
    wire.feed(2, 3)
    for seq in (1, 2):
        wire.say("subscribe", topic="order.*", after={"epoch": EPOCH, "seq": seq})
    assert ids(wire.due()) == ["3"]


def test_no_topic_starves_another() -> None:
    """Whoever was served goes to the end of the line."""
    wire = Wire()
    wire.feed(head=1)
    wire.say("subscribe", topic="order.me")
    wire.say("subscribe", topic="order.*")
    served = []
    for seq in (2, 3):
        wire.feed(seq)
        served.append(unframed(wire.session.next() or b"")["topic"])
    assert served == ["order.me", "order.*"]


def test_nothing_comes_after_unsubscribing() -> None:
    """And the answer carries the cursor to come back with."""
    wire = Wire()
    wire.feed(head=1)
    wire.say("subscribe", topic="order.*")
    assert wire.say("unsubscribe", topic="order.*")["cursor"] == {"epoch": EPOCH, "seq": 1}
    wire.feed(2)
    assert wire.due() == []


def test_a_browser_may_not_follow_without_bounds() -> None:
    """Each topic costs a look at every pass."""
    wire = Wire()
    for number in range(MAX_TOPICS):
        wire.say("subscribe", topic=f"tick.s{number}")
    assert wire.say("subscribe", topic="tick.more")["code"] == "TOO_MANY_TOPICS"


def test_a_call_is_handed_on() -> None:
    """The session makes none itself."""
    assert Wire().say("call", id=3, method="m") == Call(3, "m", {})
