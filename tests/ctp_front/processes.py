"""Processes that the tests start: the front, and the vendor's library as its client."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from arbig.front.v1 import front_pb2 as pb
from ctp_front.rpc import SERVICE
from tests.servers import free_base

SECONDS = 30.0
ROOT = Path(__file__).parents[2]
USER = {"BrokerID": "sim", "UserID": "sim001"}
INVESTOR = {"BrokerID": "sim", "InvestorID": "sim001"}
_MAIN = "import uvloop, arbig.config, arbig.log, ctp_front.main as m; arbig.log.setup('front')\n"
_MAIN += "uvloop.run(m.run(arbig.config.load()))"
Event = dict[str, Any]


class Front:
    """The front in a process of its own; it can be killed, and started again with its data."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.base = free_base()
        self.market, self.trade = self.base + 50, self.base + 51
        self.log = directory / "front.log"
        self._environment = {**os.environ, "ARBIG_DATA": str(directory), "ARBIG_PORT_BASE": str(self.base)}
        self._environment |= {f"ARBIG_FRONT__{name.upper()}": _text(value) for name, value in settings.items()}
        self.start()

    def start(self) -> None:
        """Start, and wait until it serves."""
        with self.log.open("a") as log:
            command = [sys.executable, "-c", _MAIN]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        until(self._serves, f"the front to start: {self.log}")

    def kill(self) -> None:
        """Kill it as nothing can be prepared for."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(SECONDS)

    def status(self) -> pb.GetStatusResponse:
        """Ask what it is doing."""
        reply: pb.GetStatusResponse = self._call("GetStatus", pb.GetStatusRequest(), pb.GetStatusResponse)
        return reply

    def books(self, account_id: str = "") -> pb.GetBooksResponse:
        """Ask for its books."""
        reply: pb.GetBooksResponse = self.command("GetBooks", account_id=account_id)
        return reply

    def go(self) -> None:
        """Start a held replay."""
        self._call("Start", pb.StartRequest(), pb.StartResponse)

    def command(self, method: str, **values: Any) -> Any:
        """Call any method of the front's service."""
        return self._call(method, getattr(pb, f"{method}Request")(**values), getattr(pb, f"{method}Response"))

    def _call(self, method: str, request: Any, reply: Any) -> Any:
        with grpc.insecure_channel(f"127.0.0.1:{self.base + 52}") as channel:
            call = channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=reply.FromString,
            )
            return call(request, timeout=SECONDS)

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(grpc.RpcError):
            return bool(self.status().trading_day)
        return False


class Library:
    """The vendor's library in a process of its own, with any number of sessions: its crash is not ours."""

    def __init__(self, kind: str, port: int, directory: Path) -> None:
        script = Path(__file__).with_name("vendor_client.py")
        self._sessions: dict[str, Vendor] = {}
        self._said = 0
        self._process = subprocess.Popen(
            [sys.executable, script, kind, str(port), directory / kind],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def session(self, name: str, user: str = "sim001") -> "Vendor":
        """Connect a session for a user."""
        made = self._sessions[name] = Vendor(self, name, user)
        self.say({"session": name})
        return made

    def say(self, command: Event) -> int:
        """Give a command, and its number: that of the request, if it is one."""
        assert self._process.stdin is not None
        self._said += 1
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._said

    def close(self) -> int:
        """Release the library, and give the exit status."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            return self._process.wait(SECONDS)
        finally:
            self._process.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            event["whole"], event["args"] = event["args"], [_what_is_set(arg) for arg in event["args"]]
            self._sessions[event["session"]].events.put(event)
        for session in self._sessions.values():
            session.events.put(None)


class Vendor:
    """One session of the vendor's library."""

    def __init__(self, library: Library, name: str, user: str) -> None:
        self.seen: list[Event] = []
        # Who is told each callback as it is read.
        self.listener: Callable[[Event], None] | None = None
        self.events: queue.Queue[Event | None] = queue.Queue()
        self.user = {"BrokerID": "sim", "UserID": user}
        self.investor = {"BrokerID": "sim", "InvestorID": user}
        self.key: dict[str, Any] = {}  # FrontID and SessionID, for who wants to keep them
        self._library = library
        self._name = name

    def call(self, name: str, field: str, **values: object) -> int:
        """Call a Req* method, and give the number of the request."""
        return self._say({"call": name, "field": field, "values": values})

    def symbols(self, name: str, *symbols: str) -> None:
        """Call SubscribeMarketData or its opposite."""
        self._say({"call": name, "symbols": symbols})

    def wait(self, event: str, matching: Callable[[Event], bool] = lambda _: True) -> Event:
        """Wait for a callback, and give its first argument; what comes before it is kept in `seen`."""
        end = time.monotonic() + SECONDS
        while True:
            got = self.hear(end - time.monotonic())
            assert got is not None, f"no {event}; seen {[one['event'] for one in self.seen]}"
            if got["event"] == event and matching(got):
                return got

    def hear(self, seconds: float = SECONDS) -> Event | None:
        """Wait for whatever callback comes next."""
        try:
            got = self.events.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            return None
        if got is not None:
            self.seen.append(got)
            if self.listener:
                self.listener(got)
        return got

    def query(self, name: str, **values: object) -> list[dict[str, Any]]:
        """Ask, and give the rows of the answer."""
        self.call(f"ReqQry{name}", f"Qry{name}", **values)
        rows = []
        while True:
            row, *_, last = self.wait(f"OnRspQry{name}")["whole"]
            rows += [row] if row is not None else []
            if last:
                return rows

    def login(self) -> dict[str, Any]:
        """Go from the connection to orders that are allowed."""
        self.connect()
        answer: dict[str, Any] = self.wait("OnRspUserLogin")["args"][0]
        self.confirm()
        return answer

    def confirm(self) -> None:
        """Confirm the settlement; the answer comes at once."""
        self.call("ReqSettlementInfoConfirm", "SettlementInfoConfirm", **self.investor)
        self.wait("OnRspSettlementInfoConfirm")

    def connect(self) -> None:
        """Go from the connection to the sent login."""
        self.await_front()
        self.ask_login()

    def await_front(self) -> None:
        """Wait for the connection: error 4040 stands for OnFrontConnected."""
        self.wait("OnRspError", lambda event: bool(event["args"][0]["ErrorID"] == 4040))

    def ask_login(self) -> None:
        """Authenticate, and send the login."""
        self.call("ReqAuthenticate", "ReqAuthenticate", **self.user)
        self.wait("OnRspAuthenticate")
        self.call("ReqUserLogin", "ReqUserLogin", **self.user)

    def order(self, reference: int, price: float, volume: int = 1, **changes: object) -> int:
        """Insert a limit order, a buy to open unless told otherwise; give the number of the request."""
        values: dict[str, object] = {
            **self.user,
            **self.investor,
            "ExchangeID": "SHFE",
            "OrderRef": str(reference),
            "OrderPriceType": "2",
            "Direction": "0",
            "CombOffsetFlag": "0",
            "CombHedgeFlag": "1",
            "LimitPrice": price,
            "VolumeTotalOriginal": volume,
            "TimeCondition": "3",
            "VolumeCondition": "1",
            "MinVolume": 1,
            "ContingentCondition": "1",
            "ForceCloseReason": "0",
            "OrderMemo": f"K{reference}",
        }
        return self.call("ReqOrderInsert", "InputOrder", **{**values, **changes})

    def release(self) -> None:
        """End the session, not its library."""
        self._say({"release": True})

    def close(self) -> int:
        """Release the library with all its sessions, and give the exit status."""
        return self._library.close()

    def _say(self, command: Event) -> int:
        return self._library.say({"session": self._name, **command})


def _what_is_set(value: Any) -> Any:
    """Leave out of a record what nobody set."""
    if not isinstance(value, dict):
        return value
    return {name: one for name, one in value.items() if one not in ("", 0, "\x00")}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fails after SECONDS."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def front(directory: Path, **settings: object) -> Iterator[Front]:
    """Run a front."""
    made = Front(directory, **settings)
    try:
        yield made
    finally:
        made.kill()


@contextlib.contextmanager
def library(kind: str, port: int, directory: Path) -> Iterator[Library]:
    """Run the vendor's library against "market" or "trade"."""
    made = Library(kind, port, directory)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def vendor(kind: str, port: int, directory: Path) -> Iterator[Vendor]:
    """Run the vendor's library with one session."""
    with library(kind, port, directory) as made:
        yield made.session("only")
