"""What the contracts let a browser follow and call."""

from pathlib import Path

import pytest

from arbig.front.v1 import front_pb2
from arbig.trade.v1 import trade_pb2
from web_bridge import contract

ALL = contract.read()
WORDS = Path(__file__).parents[2] / "web_bridge/page/src/i18n.ts"
TOPICS = {topic.template: topic for source in ALL.sources for topic in source.topics}


def test_every_stream_with_topics_is_followed() -> None:
    """The options say it; no code names a topic."""
    assert {"tick.{symbol}", "order.{account_id}", "position.{account_id}", "instrument.{symbol}"} <= TOPICS.keys()


def test_an_order_is_an_event_and_a_position_a_state() -> None:
    """As the options say."""
    assert TOPICS["order.{account_id}"].event
    assert not TOPICS["position.{account_id}"].event
    assert TOPICS["position.{account_id}"].key == ("account_id", "symbol", "side")


def test_methods_for_viewers_and_traders_can_be_called() -> None:
    """Streams are not methods to call."""
    assert "arbig.trade.v1.TradeService/SubmitOrder" in ALL.methods
    assert "arbig.trade.v1.TradeService/SubscribeEvents" not in ALL.methods


def test_admin_methods_cannot_be_called() -> None:
    """FrontService/Start is one, FrontService/GetStatus is none."""
    front = contract.read([("front", front_pb2.DESCRIPTOR.services_by_name["FrontService"])])
    assert "arbig.front.v1.FrontService/GetStatus" in front.methods
    assert "arbig.front.v1.FrontService/Start" not in front.methods


@pytest.mark.parametrize(
    ("topic", "pattern"),
    [
        ("tick.au2604", ("au2604",)),
        ("tick.*", (None,)),
        ("tick.a.b", ("a.b",)),
        ("tick.", None),
        ("tick", None),
        ("ticks.au2604", None),
        ("*.au2604", None),
        ("", None),
    ],
)
def test_a_topic_names_its_placeholder_or_a_star(topic: str, pattern: tuple[str | None, ...] | None) -> None:
    """Anything else is another topic."""
    assert TOPICS["tick.{symbol}"].match(topic) == pattern


def test_the_page_has_words_for_every_readiness() -> None:
    """A state without words would be shown by its name in the contract."""
    names = [name.removeprefix("READINESS_") for name in trade_pb2.Readiness.DESCRIPTOR.values_by_name][1:]
    assert [name for name in names if f"\n  {name}: [" not in WORDS.read_text()] == []
