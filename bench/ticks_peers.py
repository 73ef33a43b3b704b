"""What the tick path is compared with: a bare uvloop socket, and ZeroMQ; one message a tick."""

import asyncio
import time
from multiprocessing.connection import Connection

import uvloop
import zmq

from arbig.ctp.inbox import Inbox
from bench.ticks_followers import HEAD, HELLO
from bench.ticks_sample import payloads

# Where a writer begins to wait for its reader.
_HIGH_WATER = 1 << 20


class _Writers:
    """Everyone who is connected to a bare socket."""

    def __init__(self) -> None:
        self.all: list[asyncio.StreamWriter] = []

    async def accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=_HIGH_WATER)
        writer.write(HELLO)
        self.all.append(writer)

    def hand_over(self, batch: list[tuple[int, bytes]]) -> None:
        for stamp, payload in batch:
            frame = HEAD.pack(len(payload), stamp) + payload
            for writer in self.all:
                writer.write(frame)


def socket_bursts(address: str, most: int, link: Connection) -> None:
    """Be a server that hands `link.recv()` ticks from a thread to its loop, each with its time, at once."""
    ticks = payloads(most)

    async def run() -> None:
        writers = _Writers()
        inbox = Inbox(writers.hand_over)

        def feed() -> None:
            while True:
                for payload in ticks[: link.recv()]:
                    inbox.put((time.time_ns(), payload))

        host, _, port = address.rpartition(":")
        async with await asyncio.start_server(writers.accept, host, int(port)):
            link.send("ready")
            await asyncio.to_thread(feed)

    uvloop.run(run())


def zmq_bursts(address: str, followers: int, most: int, link: Connection) -> None:
    """Be a publisher that sends `link.recv()` ticks, each with its time, at once."""
    ticks = payloads(most)
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.setsockopt(zmq.SNDHWM, 0)
        publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
        publisher.bind(f"tcp://{address}")
        link.send("ready")
        for _ in range(followers):
            publisher.recv()
        link.send("subscribed")
        while True:
            for payload in ticks[: link.recv()]:
                publisher.send(HEAD.pack(len(payload), time.time_ns()) + payload)


def socket_stream(address: str, most: int, link: Connection) -> None:
    """Be a server that sends `link.recv()` ticks to all as fast as the slowest takes them."""
    frames = [HEAD.pack(len(payload), 0) + payload for payload in payloads(most)]

    async def run() -> None:
        writers = _Writers()
        host, _, port = address.rpartition(":")
        async with await asyncio.start_server(writers.accept, host, int(port)):
            link.send("ready")
            while True:
                count = await asyncio.to_thread(link.recv)
                await asyncio.gather(*(_stream(writer, frames[:count]) for writer in writers.all))

    uvloop.run(run())


async def _stream(writer: asyncio.StreamWriter, frames: list[bytes]) -> None:
    for frame in frames:
        writer.write(frame)
        if writer.transport.get_write_buffer_size() > _HIGH_WATER:
            await writer.drain()
    await writer.drain()
