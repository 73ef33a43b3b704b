"""The one tick source: the vendor's MdApi, logged in and subscribed, for as long as the service runs."""

import asyncio
import ctypes
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from typing import Any, NamedTuple

from arbig.config import Settings
from arbig.ctp import locale
from arbig.ctp.client import Client, open_client
from arbig.ctp.errors import CtpError, DisconnectedError
from arbig.ctp.nudge import Nudge
from arbig.ctp.spi import Push
from arbig.errors import ConfigError
from market_svc import depth

log = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 60.0

Lost = Callable[[Iterable[str] | None], None]


class Raw(NamedTuple):
    """A depth snapshot as it was copied, and when."""

    received_ns: int
    data: bytes


def _copy(struct: Any) -> Raw:
    return Raw(time.time_ns(), ctypes.string_at(int(struct.this), depth.SIZE))


class Gateway:
    """What the market service knows of its link: `reason` is empty while ticks can come."""

    def __init__(self, client: Client, user: dict[str, str], on_lost: Lost) -> None:
        self.subscribed: set[str] = set()
        self.reason = "connecting to the market front"
        self._client = client
        self._user = user
        self._on_lost = on_lost
        self._logged_in = False

    def subscribe(self, symbols: Iterable[str]) -> None:
        """Subscribe what is not subscribed yet; also again after each login."""
        new = sorted(set(symbols) - self.subscribed)
        self.subscribed.update(new)
        if new and self._logged_in:
            self._send(new)

    def unsubscribe(self, symbols: Iterable[str]) -> None:
        """End what is subscribed of these; also after the next login."""
        gone = sorted(self.subscribed.intersection(symbols))
        self.subscribed.difference_update(gone)
        if gone and self._logged_in:
            self._send(gone, "UnSubscribeMarketData")
        if gone:
            self._on_lost(gone)

    def hear(self, push: Push) -> None:
        """Take in what answers no login: of what was unsubscribed a snapshot may have come until it is confirmed."""
        if push.error_id:
            log.warning("the market front refused", extra={"what": push.name, "text": push.error_text})
        elif push.name == "OnRspUnSubMarketData" and (symbol := push.row.get("InstrumentID")) not in self.subscribed:
            self._on_lost([symbol])

    def _send(self, symbols: list[str], call: str = "SubscribeMarketData") -> None:
        code = getattr(self._client.api, call)([symbol.encode() for symbol in symbols], len(symbols))
        if code == 0:
            log.info("subscriptions", extra={"call": call, "symbols": ",".join(symbols)})
        else:  # the connection just broke: the next login subscribes all that is wanted then
            log.warning("subscriptions were not sent", extra={"call": call, "code": code})

    async def run(self) -> None:
        """Log in after each connect, for ever; a refusal that repeating cannot mend ends the tries."""
        backoff = FIRST_BACKOFF
        while True:
            await self._client.connected()
            try:
                await self._login()
            except (CtpError, DisconnectedError, TimeoutError) as error:
                self.reason = f"login to the market front failed: {error or 'no answer'}"
                log.warning("login failed", extra={"why": self.reason})
                if isinstance(error, CtpError) and error.error_id > 0 and not error.transient:
                    await asyncio.Event().wait()
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, LAST_BACKOFF)
                continue
            backoff = FIRST_BACKOFF
            await self._client.disconnected()
            self._logged_in = False
            self.reason = f"the market front is gone: {self._client.down_reason}"
            log.warning("disconnected", extra={"why": self._client.down_reason})
            self._on_lost(None)

    async def _login(self) -> None:
        await self._client.request("ReqUserLogin", self._client.struct("ReqUserLogin", **self._user))
        self._logged_in = True
        self.reason = ""
        log.info("logged in", extra={"front": "market"})
        if self.subscribed:
            self._send(sorted(self.subscribed))


def check_layout(client: Client) -> None:
    """Prove that the copied bytes are read as the binding reads them; raises ConfigError if not."""
    struct = client.structs.CThostFtdcDepthMarketDataField()
    expected: dict[str, Any] = {}
    for number, name in enumerate(depth.FIELDS, 1):
        texts = isinstance(getattr(struct, name), str)
        expected[name] = str(number) if texts else number
        setattr(struct, name, expected[name])
    read = depth.unpack(_copy(struct).data)
    wrong = [
        name for name, value in expected.items() if read[name] != (value.encode() if isinstance(value, str) else value)
    ]
    if wrong:
        raise ConfigError(f"this openctp-ctp lays DepthMarketData out otherwise, first at {wrong[0]}: install 6.7.11")


@asynccontextmanager
async def open_gateway(
    settings: Settings, on_depth: Callable[[Raw], None], on_some: Callable[[], None], on_lost: Lost
) -> AsyncIterator[Gateway]:
    """Connect to the market front, for `run` to log in.

    `on_depth` gets each snapshot, on the library's thread: nothing is sent on that one, and what
    would hand a tick to the loop costs more than the tick. `on_some` follows on the loop, after one
    or more of them; `on_lost` hears there which symbols come no longer, None for all: the link broke.
    """
    directory = settings.directory("market")
    locale.ensure(settings.directory("locale"))
    nudge = Nudge(on_some)

    def on_struct(struct: Any) -> None:
        on_depth(_copy(struct))
        nudge()

    def on_push(push: Push) -> None:
        gateway.hear(push)

    with closing(nudge):  # what came last is seen, and nothing is done where the tape is closed
        async with open_client(
            "market",
            directory,
            settings.ctp,
            settings.ctp.market_front or f"tcp://{settings.address('front_market')}",
            simulation=settings.mode == "simulation",
            on_push=on_push,
            at_once={"OnRtnDepthMarketData": on_struct},
        ) as client:
            check_layout(client)
            user = {"BrokerID": settings.ctp.broker_id, "UserID": settings.ctp.account_id}
            gateway = Gateway(client, user, on_lost)
            yield gateway
