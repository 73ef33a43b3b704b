"""Writing to the browsers: each at its own pace, the same bytes to all who stand at one place.

There is no task and no queue per browser. Whatever comes wakes one pass over all of them; a
browser whose buffer is full is left out and looked at again a moment later, and then gets what its
positions say. So a slow browser costs no memory and delays nobody.
"""

import asyncio
import contextlib
import logging

from aiohttp import WSCloseCode, WSMsgType, web

from web_bridge import protocol
from web_bridge.calls import Caller
from web_bridge.hub import Hub
from web_bridge.kept import Lost
from web_bridge.protocol import Call
from web_bridge.session import Session

log = logging.getLogger(__name__)

# Bytes that may wait in this process for one browser to read.
BUFFER = 256 * 1024
LOOK_AGAIN_SECONDS = 0.01
PING_SECONDS = 10.0
CLOSE_SECONDS = 5.0
MAX_CALLS = 32


class Browser:
    """One connection."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport, session: Session) -> None:
        self.socket = socket
        self.session = session
        self.calls = 0
        self.drained = asyncio.Event()
        self.drained.set()
        self.stay = asyncio.timeout(None)
        self.goodbye: tuple[int, bytes] = WSCloseCode.OK, b""
        self._transport = transport

    @property
    def full(self) -> bool:
        """Whether the browser does not read as fast as it is written to."""
        return not self.socket.closed and self._transport.get_write_buffer_size() > BUFFER

    def write(self, frame: bytes) -> None:
        """Write a frame, header and all, past aiohttp: it would frame each browser's copy anew."""
        if not self.socket.closed and not self._transport.is_closing():
            self._transport.write(frame)
        if self.full:
            self.drained.clear()

    def flush(self) -> bool:
        """Write what is due; False if some of it must wait. Raises Lost for a browser that is too slow."""
        while not self.full:
            self.drained.set()
            frame = self.session.next()
            if frame is None:
                return True
            self.write(frame)
        return False

    def dismiss(self, code: int, message: bytes) -> None:
        """Let the connection's own task stop listening and say goodbye."""
        self.goodbye = code, message
        self.stay.reschedule(0)

    async def close(self) -> None:
        """Say goodbye, but do not wait long for a browser that does not read."""
        code, message = self.goodbye
        await self.socket.close(code=code, message=message, drain=False)
        self._transport.abort()


class Fan:
    """All browsers."""

    def __init__(self, hub: Hub, caller: Caller) -> None:
        self.browsers: set[Browser] = set()
        self._hub = hub
        self._caller = caller
        self._pass: asyncio.Handle | None = None
        self._calls: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Write what is new, once all that is ready to be read has come in."""
        if self._pass is None:
            self._pass = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._pass = None
        waiting = False
        for browser in list(self.browsers):
            try:
                waiting |= not browser.flush()
            except Lost as lost:
                log.warning("browser too slow, closed", extra={"why": str(lost)})
                self.browsers.discard(browser)
                browser.dismiss(protocol.CLOSE_TOO_SLOW, protocol.TOO_SLOW)
        if waiting and self._pass is None:
            self._pass = asyncio.get_running_loop().call_later(LOOK_AGAIN_SECONDS, self._flush)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Talk with one browser until it leaves."""
        socket = web.WebSocketResponse(
            heartbeat=PING_SECONDS, timeout=CLOSE_SECONDS, max_msg_size=protocol.MAX_FRAME, compress=False
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        browser = Browser(socket, transport, Session(self._hub))
        browser.write(self._hub.hello)
        self.browsers.add(browser)
        self.wake()
        try:
            with contextlib.suppress(TimeoutError):
                async with browser.stay:
                    await self._listen(browser)
        finally:
            self.browsers.discard(browser)
        await browser.close()
        return socket

    async def _listen(self, browser: Browser) -> None:
        async for message in browser.socket:
            if message.type is not WSMsgType.TEXT:
                browser.goodbye = WSCloseCode.UNSUPPORTED_DATA, b"frames are JSON text"
                return
            answer = browser.session.receive(message.data)
            if isinstance(answer, Call):
                self._make(browser, answer)
            else:
                browser.write(answer)
            self.wake()
            # Whoever does not read the answers is not heard until it does.
            await browser.drained.wait()

    def _make(self, browser: Browser, call: Call) -> None:
        if browser.calls == MAX_CALLS:
            busy = f"{MAX_CALLS} calls are under way"
            browser.write(protocol.refusal(call.id, "RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", "", busy))
            return
        browser.calls += 1
        # Not bound to the connection: a browser that leaves must not break off its order's call.
        task = asyncio.get_running_loop().create_task(self._answer(browser, call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _answer(self, browser: Browser, call: Call) -> None:
        try:
            browser.write(await self._caller.reply(call))
        finally:
            browser.calls -= 1
            self.wake()

    def stop(self) -> None:
        """Send every browser away."""
        for browser in self.browsers:
            browser.dismiss(WSCloseCode.GOING_AWAY, b"the bridge stops")
