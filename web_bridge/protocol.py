"""The words that browser and bridge exchange: JSON objects, one in each WebSocket text frame.

The browser says:

    {"op": "subscribe", "topic": "tick.au2604"}          "tick.*" means every symbol
    {"op": "subscribe", "topic": "order.*", "after": {"epoch": 17, "seq": 42}}
    {"op": "unsubscribe", "topic": "tick.au2604"}
    {"op": "call", "id": 1, "method": "arbig.trade.v1.TradeService/SubmitOrder", "request": {...}}
    {"op": "ping"}

The bridge says:

    hello         server, protocol, topics (template and kind), methods: once, first
    link          stream, service, up, reason: each followed stream, at first and on change
    subscribed    topic, cursor: where it begins (no cursor: the stream has not been heard yet)
    unsubscribed  topic, cursor
    items         topic (as subscribed), items, cursor: the place behind them
    gap           topic, after, resume, reason: what lay between is lost; list anew
    reply         id and response, or id and error: code, reason, field, message
    error         code, message: the frame was not understood; nothing was done
    pong

A STATE topic begins with the newest item of each key, and a slow reader skips what is replaced;
its `after` has no meaning. No item of an EVENT topic is skipped: after a cursor everything behind
it comes, or a gap and then what is kept; without a cursor it begins now. To lose nothing, call the
List method first and subscribe after the cursor it gives. Subscribing again replaces.

Close codes: 4008 too slow for an EVENT topic, come back with the last cursor; 1009 the frame was
too long; 1003 it was binary; 1001 the bridge stops.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from web_bridge.contract import Contract

VERSION = 1
MAX_FRAME = 64 * 1024
CLOSE_TOO_SLOW = 4008
TOO_SLOW = b"too slow: subscribe again after the last cursor"

_TEXT = 0x81  # a whole text frame


class Place(NamedTuple):
    """A cursor of the contracts."""

    epoch: int
    seq: int


class Subscribe(NamedTuple):
    """Follow a topic."""

    topic: str
    after: Place | None


class Unsubscribe(NamedTuple):
    """Follow it no more."""

    topic: str


class Call(NamedTuple):
    """Call a method; the reply carries the id."""

    id: int | str
    method: str
    request: Any


class Ping(NamedTuple):
    """Ask for a pong."""


class BadFrame(Exception):
    """A frame that makes no sense; `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse(text: str) -> Subscribe | Unsubscribe | Call | Ping:
    """Read a frame of the browser; raises BadFrame."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadFrame("BAD_JSON", f"not JSON: {error}") from error
    if not isinstance(frame, dict):
        raise BadFrame("BAD_FRAME", "a frame is an object with `op`")
    match frame.get("op"):
        case "subscribe":
            return Subscribe(_take(frame, "topic", str), _place(frame.get("after")))
        case "unsubscribe":
            return Unsubscribe(_take(frame, "topic", str))
        case "call":
            return Call(_take(frame, "id", (int, str)), _take(frame, "method", str), frame.get("request", {}))
        case "ping":
            return Ping()
        case op:
            raise BadFrame("UNKNOWN_OP", f"op {op!r} is none of subscribe, unsubscribe, call, ping")


def _take(frame: dict[str, Any], name: str, kind: Any) -> Any:
    value = frame.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadFrame("BAD_FRAME", f"{frame['op']}: `{name}` is missing or of the wrong kind")
    return value


def _place(after: Any) -> Place | None:
    match after:
        case None:
            return None
        case {"epoch": int(epoch), "seq": int(seq)} if epoch >= 0 and seq >= 0:
            return Place(epoch, seq)
    raise BadFrame("BAD_FRAME", "subscribe: `after` is a cursor with epoch and seq")


def text_frame(payload: bytes) -> bytes:
    """Put the WebSocket header before a text: made once, the same bytes go to every browser."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65_536:
        return bytes((_TEXT, 126)) + size.to_bytes(2) + payload
    return bytes((_TEXT, 127)) + size.to_bytes(8) + payload


def _say(op: str, **facts: Any) -> bytes:
    return text_frame(orjson.dumps({"op": op, **facts}))


def _cursor(place: Place) -> dict[str, int]:
    return {"epoch": place.epoch, "seq": place.seq}


def hello(contract: Contract) -> bytes:
    """Introduce the bridge."""
    topics = [
        {"template": topic.template, "kind": "EVENT" if topic.event else "STATE"}
        for source in contract.sources
        for topic in source.topics
    ]
    return _say("hello", server="arbig", protocol=VERSION, topics=topics, methods=sorted(contract.methods))


def link(stream: str, service: str, reason: str) -> bytes:
    """Tell how a followed stream is; an empty reason means up."""
    return _say("link", stream=stream, service=service, up=not reason, reason=reason)


def subscribed(topic: str, cursor: Place | None) -> bytes:
    """Confirm a subscription."""
    return _say("subscribed", topic=topic, **({"cursor": _cursor(cursor)} if cursor else {}))


def unsubscribed(topic: str, cursor: Place | None) -> bytes:
    """Confirm the end of a subscription."""
    return _say("unsubscribed", topic=topic, **({"cursor": _cursor(cursor)} if cursor else {}))


def items(topic: str, encoded: Sequence[bytes], cursor: Place) -> bytes:
    """Carry items that are JSON already."""
    head = b'{"op":"items","topic":%b,"cursor":%b,"items":[' % (orjson.dumps(topic), orjson.dumps(_cursor(cursor)))
    return text_frame(head + b",".join(encoded) + b"]}")


def gap(topic: str, after: Place, resume: Place, reason: str) -> bytes:
    """Declare a hole."""
    return _say("gap", topic=topic, after=_cursor(after), resume=_cursor(resume), reason=reason)


def reply(call: int | str, response: Any) -> bytes:
    """Answer a call."""
    return _say("reply", id=call, response=response)


def refusal(call: int | str, code: str, reason: str, field: str, message: str) -> bytes:
    """Answer a call with an error."""
    return _say("reply", id=call, error={"code": code, "reason": reason, "field": field, "message": message})


def error(bad: BadFrame) -> bytes:
    """Answer a frame that makes no sense."""
    return _say("error", code=bad.code, message=str(bad))


def pong() -> bytes:
    """Answer a ping."""
    return _say("pong")
