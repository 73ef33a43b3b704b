"""One vendor API (market or trade) as awaitable requests and a sequence of pushes.

The library calls back on a thread of its own with views of C++ memory: each is copied there at
once and handed to the loop, but for the pushes that are taken there. Answers complete the request
that waits for them, everything else is a push, and both come in the order the front sent them.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Literal

from arbig.config import Ctp
from arbig.ctp.errors import DISCONNECT, CtpError, DisconnectedError
from arbig.ctp.inbox import Inbox
from arbig.ctp.spi import Answer, Failure, Link, Push, Row, Taker, make_spi

log = logging.getLogger(__name__)

ANSWER_SECONDS = 20.0
# From where the private and public flows come (THOST_TE_RESUME_TYPE).
RESTART, RESUME = 0, 1
# The API refuses queries beyond the front's rate in a second (-3) and one while another is
# unanswered (-2); the front asks for a later try (90).
QUERY_RETRY_SECONDS = 0.1
# Where the front tells no rate.
QUERIES_PER_SECOND = 1
QUERY_REFUSALS = {-2, -3, 90}
REFUSALS = {-1: "no connection to the front", -2: "too many requests are unanswered", -3: "too many requests a second"}


class _Pending:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.done: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()


class Client:
    """A connection to a front that the library keeps up; log in again after each `connected`."""

    def __init__(self, module: ModuleType, api: Any, on_push: Callable[[Push], None]) -> None:
        self.api = api
        self.structs = module
        self.down_reason = "not connected yet"
        self._on_push = on_push
        self._failed = False
        self._pending: dict[int, _Pending] = {}
        self._next_id = 0
        self._querying = asyncio.Lock()
        self._query_seconds = 1 / QUERIES_PER_SECOND
        self._next_query = 0.0
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._down.set()

    @property
    def up(self) -> bool:
        """Whether the connection is up (logged in or not)."""
        return self._up.is_set()

    async def connected(self) -> None:
        """Wait for the connection."""
        await self._up.wait()

    async def disconnected(self) -> None:
        """Wait for the connection to break."""
        await self._down.wait()

    def struct(self, name: str, **values: Any) -> Any:
        """Make the vendor's struct CThostFtdc`name`Field; a name it does not have is an error."""
        kind = getattr(self.structs, f"CThostFtdc{name}Field")
        made = kind()
        for key, value in values.items():
            # The binding takes a misspelt attribute without a word.
            if not isinstance(vars(kind).get(key), property):
                raise AttributeError(f"CThostFtdc{name}Field has no {key}")
            setattr(made, key, value)
        return made

    def next_id(self) -> int:
        """Give the next request id."""
        self._next_id += 1
        return self._next_id

    async def request(self, method: str, struct: Any) -> list[Row]:
        """Send a request and give the rows of its answer.

        Raises CtpError for an error answer or a refusal to send, DisconnectedError if the
        connection breaks first, TimeoutError if no answer comes.
        """
        request_id = self.next_id()
        code = getattr(self.api, method)(struct, request_id)
        if code != 0:
            raise CtpError(code, f"{method} was not sent: {REFUSALS.get(code, 'unknown refusal')}")
        pending = self._pending[request_id] = _Pending()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await pending.done
        finally:
            del self._pending[request_id]

    def pace_queries(self) -> None:
        """Take over how many queries a second the front allows: it tells that with the login."""
        info = self.struct("FrontInfo")
        self.api.GetFrontInfo(info)
        rate = info.QryFreq if info.QryFreq > 0 else QUERIES_PER_SECOND
        self._query_seconds = 1 / rate
        log.info("queries", extra={"per_second": rate, "told": info.QryFreq})

    async def query(self, method: str, struct: Any) -> list[Row]:
        """Send a query when the front's rate lets it through; queries go out one at a time."""
        loop = asyncio.get_running_loop()
        async with self._querying:
            if (early := self._next_query - loop.time()) > 0:
                await asyncio.sleep(early)
            while True:
                self._next_query = loop.time() + self._query_seconds
                try:
                    return await self.request(method, struct)
                except CtpError as error:
                    if error.error_id not in QUERY_REFUSALS:
                        raise
                await asyncio.sleep(QUERY_RETRY_SECONDS)

    def take_all(self, batch: list[Any]) -> None:
        """Route some callbacks, on the loop; none after one that failed, on which the service ends.

        To go on behind what was lost would be to leave it out in silence.
        """
        if self._failed:
            return
        self._failed = True  # until all is well
        for item in batch:
            self.take(item)
        self._failed = False

    def take(self, item: Any) -> None:
        """Route one callback, on the loop."""
        match item:
            case Push():
                self._on_push(item)
            case Answer():
                self._answer(item)
            case Failure(error=error):
                raise error
            case Link(up=True):
                self._down.clear()
                self._up.set()
            case Link(reason=reason):
                self._lost(DISCONNECT.get(reason, f"reason {reason:#x}"))

    def _answer(self, answer: Answer) -> None:
        pending = self._pending.get(answer.request_id)
        if pending is None or pending.done.done():
            self._on_push(Push(answer.name, answer.row or {}, answer.error_id, answer.error_text, answer.request_id))
            return
        if answer.error_id:
            pending.done.set_exception(CtpError(answer.error_id, answer.error_text))
            return
        if answer.row is not None:
            pending.rows.append(answer.row)
        if answer.last:
            pending.done.set_result(pending.rows)

    def _lost(self, why: str) -> None:
        self.down_reason = why
        self._up.clear()
        self._down.set()
        for pending in self._pending.values():
            if not pending.done.done():
                pending.done.set_exception(DisconnectedError(why))


@contextlib.asynccontextmanager
async def open_client(
    kind: Literal["market", "trade"],
    directory: Path,
    ctp: Ctp,
    fronts: str,
    *,
    simulation: bool,
    on_push: Callable[[Push], None],
    at_once: Mapping[str, Taker] = MappingProxyType({}),
) -> AsyncIterator[Client]:
    """Load the library and connect to one of `fronts`, "tcp://host:port,...", for as long as the context lasts.

    In `directory` each account has its own flow: a shared one is corrupted. The pushes named in
    `at_once` do not come to `on_push`: they are taken on the library's thread, where the loop's way
    would be too slow. Call `locale.ensure` first.
    """
    # Importing the binding takes a second and aborts without its locale: only when it is needed.
    module = getattr(importlib.import_module("openctp_ctp"), "mdapi" if kind == "market" else "tdapi")
    flow = directory / "flow" / f"{ctp.broker_id}.{ctp.account_id}"
    if simulation and flow.exists():
        shutil.rmtree(flow)
    flow.mkdir(parents=True, exist_ok=True)  # a missing directory is a SIGSEGV
    base = module.CThostFtdcMdSpi if kind == "market" else module.CThostFtdcTraderSpi
    api = (
        module.CThostFtdcMdApi.CreateFtdcMdApi(f"{flow}/", False, False, ctp.production)
        if kind == "market"
        else module.CThostFtdcTraderApi.CreateFtdcTraderApi(f"{flow}/", ctp.production)
    )
    client = Client(module, api, on_push)
    inbox: Inbox[Any] = Inbox(client.take_all)
    spi = make_spi(base, inbox.put, at_once, simulation=simulation)
    api.RegisterSpi(spi)  # the API does not keep it alive: `spi` must live as long
    if kind == "trade":
        # The whole trading day again at each login; the reducer is idempotent. Against the local
        # front, without the vendor's handshake, the library keeps its count over a reconnect and
        # stumbles over a repetition: there it begins with an empty directory, and resumes.
        topic = RESUME if simulation else RESTART
        api.SubscribePrivateTopic(topic)
        api.SubscribePublicTopic(topic)
    for front in fronts.split(","):
        api.RegisterFront(front)
    # What the start made stays. Python would look through all of it now and then, and for 40 ms take no callback.
    gc.freeze()
    api.Init()
    log.info("connecting", extra={"api": kind, "fronts": fronts, "version": api.GetApiVersion()})
    try:
        yield client
    finally:
        # Leaving the process without this crashes; with Join it hangs. It waits for the callback under way.
        api.RegisterSpi(None)
        api.Release()
        inbox.close()
