"""Page tokens: a place in a list, bound to the list and its filter.

A token is no secret and gives no right: it names a place. The check in it tells a token that was
cut, changed or taken from another list from one that we gave out.
"""

import base64
import binascii
import hashlib
import struct
from typing import NamedTuple

from google.protobuf.message import Message

from arbig.errors import InvalidField

DEFAULT_SIZE, MOST = 50, 1_000
_PLACE = struct.Struct(">QQ")


class Place(NamedTuple):
    """The event that the last row of a page first came with; the next page is older."""

    epoch: int
    seq: int


def page_size(asked: int) -> int:
    """Give how many rows a page has; raises InvalidField below 0."""
    if asked < 0:
        raise InvalidField("page_size", f"{asked} is below 0")
    return min(asked, MOST) or DEFAULT_SIZE


def to_token(place: Place, request: Message) -> str:
    """Name the page after `place` of the list that `request` asks for."""
    packed = _PLACE.pack(*place)
    return base64.urlsafe_b64encode(packed + _check(packed, request)).decode().rstrip("=")


def from_token(token: str, request: Message) -> Place | None:
    """Give the place that the token names, None without one; raises InvalidField for one not ours."""
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    packed = raw[: _PLACE.size]
    if raw != packed + _check(packed, request) or len(packed) < _PLACE.size:
        raise InvalidField("page_token", "not given out for this list and filter")
    return Place(*_PLACE.unpack(packed))


def _check(packed: bytes, request: Message) -> bytes:
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("page_size")  # may change from page to page
    asked.ClearField("page_token")
    bound = request.DESCRIPTOR.full_name.encode() + b"\0" + asked.SerializeToString(deterministic=True)
    return hashlib.blake2b(packed + bound, digest_size=8).digest()
