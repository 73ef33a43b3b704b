"""What travels between CTP's library and a front: the FTD packets.

All integers are big endian. A packet is

    type u8 (0 none, 1 plain, 2 compressed) | extension length u8 | content length u16 | extension | content

and the content of types 1 and 2 is `01 | method u8 (0 none, 3 zero-run)` and then one message.
Heartbeats are packets of type 0. What we send says type 2 with method 0: the library passes over a
packet of type 1 from a front, but takes an uncompressed content in one of type 2.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

HEARTBEAT = bytes.fromhex("000200000400")

VERSION = 0x34
MORE, LAST = b"C", b"L"

# Series: which numbered sequence of messages a packet belongs to.
DIALOG, PRIVATE, PUBLIC, QUERY = 1, 2, 3, 4

_PACKET = struct.Struct(">BBH")
# version, chain, series, TID, sequence, field count, body length, request id
_HEADER = struct.Struct(">BcHIIHHI")
_FIELD = struct.Struct(">HH")
_ENCODE = struct.Struct(">BBHBB" + _HEADER.format[1:])
_NONE, _PLAIN, _COMPRESSED = 0, 1, 2
_METHOD_NONE, _METHOD_ZERO_RUN = 0, 3


class WireError(Exception):
    """The bytes are not FTD."""


class Message(NamedTuple):
    """One message of the client: what it wants (TID) and the fields that say it."""

    tid: int
    series: int
    sequence: int
    request_id: int
    fields: list[tuple[int, bytes]]

    def field(self, fid: int) -> bytes | None:
        """Give the first field with this FID."""
        return next((payload for number, payload in self.fields if number == fid), None)


def field(fid: int, payload: bytes) -> bytes:
    """Encode one field."""
    return _FIELD.pack(fid, len(payload)) + payload


def encode(
    tid: int, fields: Sequence[bytes], *, series: int = 0, sequence: int = 0, request_id: int = 0, last: bool = True
) -> bytes:
    """Encode one message of encoded fields into one packet."""
    body = b"".join(fields)
    chain = LAST if last else MORE
    length = 2 + _HEADER.size + len(body)
    header = (
        _COMPRESSED,
        0,
        length,
        1,
        _METHOD_NONE,
        VERSION,
        chain,
        series,
        tid,
        sequence,
        len(fields),
        len(body),
        request_id,
    )
    return _ENCODE.pack(*header) + body


def decompress(data: bytes) -> bytes:
    """Undo the zero-run: E1 to EF are 1 to 15 zero bytes, and E0 comes before a literal E0 to EF."""
    out = bytearray()
    position = 0
    while position < len(data):
        byte = data[position]
        if byte == 0xE0:
            position += 1
            if position == len(data):
                raise WireError("an escape at the end of compressed data")
            out.append(data[position])
        elif 0xE1 <= byte <= 0xEF:
            out += bytes(byte - 0xE0)
        else:
            out.append(byte)
        position += 1
    return bytes(out)


class Decoder:
    """Cuts a stream of bytes into messages; heartbeats are swallowed."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """Take what arrived and give the messages that are complete; raises WireError on anything else."""
        data = self._rest + data
        position = 0
        messages = []
        while len(data) - position >= _PACKET.size:
            kind, extension, length = _PACKET.unpack_from(data, position)
            if kind not in (_NONE, _PLAIN, _COMPRESSED):
                raise WireError(f"packet type {kind}")
            start = position + _PACKET.size + extension
            if len(data) < start + length:
                break
            if kind != _NONE and length:
                messages.append(_message(data[start : start + length]))
            position = start + length
        self._rest = data[position:]
        return messages


def _message(content: bytes) -> Message:
    if len(content) < 2 or content[1] not in (_METHOD_NONE, _METHOD_ZERO_RUN):
        raise WireError("unknown compression")
    data = decompress(content[2:]) if content[1] == _METHOD_ZERO_RUN else content[2:]
    if len(data) < _HEADER.size:
        raise WireError(f"a message of {len(data)} bytes")
    version, _, series, tid, sequence, count, length, request_id = _HEADER.unpack_from(data)
    if version != VERSION:
        raise WireError(f"version {version:#x}")
    fields = _fields(data[_HEADER.size : _HEADER.size + length])
    if len(fields) != count:
        raise WireError(f"{count} fields announced, {len(fields)} found")
    return Message(tid, series, sequence, request_id, fields)


def _fields(body: bytes) -> list[tuple[int, bytes]]:
    fields = []
    position = 0
    while position + _FIELD.size <= len(body):
        fid, length = _FIELD.unpack_from(body, position)
        position += _FIELD.size
        if position + length > len(body):
            raise WireError(f"field {fid:#x} is cut off")
        fields.append((fid, body[position : position + length]))
        position += length
    return fields
