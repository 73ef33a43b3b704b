"""What travels between the library and a front."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctp_front import wire

FIELDS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=8)


def compress(data: bytes) -> bytes:
    """Shorten runs of zeros as the library does: E1..EF are 1 to 15 of them, E0 escapes what looks like one."""
    out = bytearray()
    position = 0
    while position < len(data):
        byte = data[position]
        run = 0
        while run < 15 and position + run < len(data) and data[position + run] == 0:
            run += 1
        if run:
            out.append(0xE0 + run)
        else:
            out += bytes((0xE0, byte)) if 0xE0 <= byte <= 0xEF else bytes((byte,))
        position += run or 1
    return bytes(out)


@given(tid=st.integers(0, 0xFFFFFFFF), fields=FIELDS, sequence=st.integers(0, 0xFFFFFFFF))
def test_a_message_comes_out_as_it_went_in(tid: int, fields: list[tuple[int, bytes]], sequence: int) -> None:
    """Whatever is encoded is decoded to the same."""
    packet = wire.encode(tid, [wire.field(*one) for one in fields], series=2, sequence=sequence, request_id=9)
    assert wire.Decoder().feed(packet) == [wire.Message(tid, 2, sequence, 9, fields)]


@given(data=st.binary(max_size=2000))
def test_zero_runs_are_undone(data: bytes) -> None:
    """Any bytes survive the compression that clients use."""
    assert wire.decompress(compress(data)) == data


@given(cuts=st.lists(st.integers(1, 40), max_size=20))
def test_packets_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    """TCP cuts where it likes; messages come out whole and in order."""
    stream = b"".join(wire.encode(tid, [wire.field(1, b"x" * tid)]) + wire.HEARTBEAT for tid in range(10))
    decoder, messages = wire.Decoder(), []
    for size in [*cuts, len(stream)]:
        messages += decoder.feed(stream[:size])
        stream = stream[size:]
    assert [message.tid for message in messages] == list(range(10))


def test_a_compressed_message_is_read() -> None:
    """The library compresses what it sends."""
    packet = wire.encode(0x3000, [wire.field(0x1002, bytes(50) + b"\xe5")])
    content = b"\x01\x03" + compress(packet[6:])
    compressed = b"\x02\x00" + len(content).to_bytes(2, "big") + content
    assert wire.Decoder().feed(compressed) == wire.Decoder().feed(packet)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes.fromhex("02000002 0109"),
        bytes.fromhex("02000004 01000000"),
        bytes.fromhex("02000003 0103e0"),
        wire.encode(1, [b"\x00\x01\x00\xff"]),
        wire.encode(1, [])[:19] + b"\x07" + wire.encode(1, [])[20:],
    ],
)
def test_garbage_is_an_error_and_nothing_else(garbage: bytes) -> None:
    """What is not FTD raises WireError, which drops that client only."""
    with pytest.raises(wire.WireError):
        wire.Decoder().feed(garbage + bytes(64))


@given(data=st.binary(max_size=400))
def test_random_bytes_never_crash_the_decoder(data: bytes) -> None:
    """Any bytes give messages, wait for more, or raise WireError."""
    try:
        wire.Decoder().feed(data)
    except wire.WireError:
        return
