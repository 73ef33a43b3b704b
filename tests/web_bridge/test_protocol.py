"""The words that browser and bridge exchange."""

import orjson
import pytest

from web_bridge import protocol
from web_bridge.protocol import BadFrame, Place, Subscribe, parse


def test_a_cursor_is_read() -> None:
    """With both of its parts."""
    frame = '{"op":"subscribe","topic":"order.*","after":{"epoch":17,"seq":42}}'
    assert parse(frame) == Subscribe("order.*", Place(17, 42))


@pytest.mark.parametrize("after", ["7", '{"epoch":1}', '{"epoch":"1","seq":2}', '{"epoch":1,"seq":-2}', "[1,2]"])
def test_half_a_cursor_is_refused(after: str) -> None:
    """A cursor that is misread would be a silent hole."""
    with pytest.raises(BadFrame):
        parse(f'{{"op":"subscribe","topic":"order.*","after":{after}}}')


@pytest.mark.parametrize("name", ["id", "method"])
def test_a_call_without_its_parts_is_refused(name: str) -> None:
    """The message names the part."""
    frame = {"op": "call", "id": 1, "method": "m"}
    del frame[name]
    with pytest.raises(BadFrame, match=name):
        parse(orjson.dumps(frame).decode())


@pytest.mark.parametrize(("size", "header"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_the_header_says_the_length(size: int, header: int) -> None:
    """The three forms of RFC 6455, at their edges."""
    frame = protocol.text_frame(b"x" * size)
    assert len(frame) == header + size
    assert int.from_bytes(frame[2:header]) == size if header > 2 else frame[1] == size


def test_a_topic_with_a_quote_does_not_break_the_frame() -> None:
    """The browser chose the text."""
    frame = protocol.items('tick."', [b"1", b"2"], Place(1, 2))
    assert orjson.loads(frame[2:]) == {
        "op": "items",
        "topic": 'tick."',
        "cursor": {"epoch": 1, "seq": 2},
        "items": [1, 2],
    }
