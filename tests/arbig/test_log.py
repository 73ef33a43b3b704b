"""Log lines for people and for machines."""

import logging
from collections.abc import Iterator

import orjson
import pytest

from arbig import log


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Leave the logging of the other tests as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_facts_follow_the_message_as_key_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads the line from left to right."""
    log.setup("trade")
    logging.getLogger("x").info("order", extra={"id": "a1", "state": "FILLED"})
    assert capsys.readouterr().err.endswith("trade  order id=a1 state=FILLED\n")


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine needs no pattern."""
    log.setup("trade", "json")
    logging.getLogger("x").warning("stream lost", extra={"why": "gone"})
    line = orjson.loads(capsys.readouterr().err)
    assert (line["service"], line["level"], line["message"], line["why"]) == ("trade", "WARNING", "stream lost", "gone")
