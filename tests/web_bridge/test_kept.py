"""What the bridge keeps of a topic."""

import pytest

from web_bridge.kept import Latest, Log, Lost


def test_the_newest_of_each_key_replaces_the_older() -> None:
    """A reader that was away gets each key once, in the order of their last change."""
    latest = Latest()
    for key, data in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        latest.put(key, (key,), data)
    assert [entry.data for entry in latest.since(0)] == [b"2", b"3"]


def test_a_reader_gets_only_what_changed_since() -> None:
    """Its position is the number of changes it has seen."""
    latest = Latest()
    latest.put("a", (), b"1")
    seen = latest.head
    latest.put("b", (), b"2")
    assert [entry.data for entry in latest.since(seen)] == [b"2"]


def test_of_each_topic_the_last_to_change_are_kept() -> None:
    """A chart needs so many bars; what one symbol has is no matter of another."""
    latest = Latest(most=2)
    for symbol, begin in (("a", 1), ("b", 1), ("a", 2), ("a", 1), ("a", 3)):
        latest.put((symbol, begin), (symbol,), b"%b%d" % (symbol.encode(), begin))
    assert [entry.data for entry in latest.since(0)] == [b"b1", b"a1", b"a3"]
    latest.clear()
    latest.put(("a", 4), ("a",), b"a4")
    assert [entry.data for entry in latest.since(0)] == [b"a4"]


def log_of(*numbers: int, size: int = 100, begin: int = 0) -> Log:
    log = Log(size)
    log.begin(begin)
    for number in numbers:
        log.put(number, (), str(number).encode())
    return log


def test_every_event_after_a_position_is_given() -> None:
    """Numbers have holes: other topics share the stream."""
    assert [entry.number for entry in log_of(1, 4, 9).since(1)] == [4, 9]


def test_an_event_of_the_snapshot_is_not_history() -> None:
    """The snapshot has the newest event of each order, not all of them."""
    assert log_of(3, 7, begin=7).since(7) == []


def test_a_repeated_event_is_kept_once() -> None:
    """A stream may repeat after a reconnect."""
    assert [entry.number for entry in log_of(1, 2, 2, 1, 3).since(0)] == [1, 2, 3]


def test_a_position_before_the_oldest_event_is_lost() -> None:
    """And is told so, instead of getting the rest."""
    log = log_of(1, 2, 3, 4, size=2)
    assert [entry.number for entry in log.since(2)] == [3, 4]
    with pytest.raises(Lost):
        log.since(1)
