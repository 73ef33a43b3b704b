"""Page tokens: a place in a list, bound to the list and its filter.

A token is no secret and gives no right: it names a place. The check in it tells a token that was
cut, changed or taken from another list from one that we gave out.
"""

import base64
import hashlib
import json

from google.protobuf.message import Message

from arbig.errors import InvalidField

DEFAULT_SIZE, MOST = 50, 1_000
_CHECK_BYTES = 8

# What the last row of a page has in the columns that the list is sorted by.
Place = tuple[int | str, ...]


def page_size(asked: int, default: int = DEFAULT_SIZE, most: int = MOST) -> int:
    """Give how many rows a page has; raises InvalidField below 0."""
    if asked < 0:
        raise InvalidField("page_size", f"{asked} is below 0")
    return min(asked or default, most)


def to_token(place: Place, request: Message) -> str:
    """Name the page after `place` of the list that `request` asks for."""
    packed = json.dumps(place, separators=(",", ":")).encode()
    return _text(_check(packed, request) + packed)


def from_token(token: str, request: Message) -> Place | None:
    """Give the place that the token names, None without one; raises InvalidField for one not ours."""
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    check, packed = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    # One place has one text: base64 takes several for the same bytes.
    if check != _check(packed, request) or token != _text(raw):
        raise InvalidField("page_token", "not given out for this list and filter")
    try:
        return tuple(json.loads(packed))
    except (ValueError, TypeError, RecursionError):  # made by someone else, the check included
        raise InvalidField("page_token", "names no place in this list") from None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _check(packed: bytes, request: Message) -> bytes:
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("page_size")  # may change from page to page
    asked.ClearField("page_token")
    bound = request.DESCRIPTOR.full_name.encode() + b"\0" + asked.SerializeToString(deterministic=True)
    return hashlib.blake2b(packed + b"\0" + bound, digest_size=_CHECK_BYTES).digest()
