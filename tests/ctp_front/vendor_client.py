"""The vendor's library in a process of its own: JSON commands in, JSON callbacks out, one a line.

    python vendor_client.py market|trade PORT DIRECTORY

A command is {"session": "a", "call": "ReqOrderInsert", "field": "InputOrder", "values": {..}}, or
{"session": "a", "call": "SubscribeMarketData", "symbols": [..]}; a session that is not there yet is
connected, which {"session": "a"} does alone, and {"session": "a", "release": true} ends it. A
callback is {"session": "a", "event": "OnRtnOrder", "args": [..]} with records as objects.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arbig.ctp import locale
from arbig.ctp.spi import copy

# The library counts what it has heard in its flow directory: an empty one gives all of the day.
RESUME = 1

# The library writes to standard output itself: callbacks keep it for themselves.
OUTPUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def plain(value: Any) -> Any:
    """Give a record as an object."""
    return value if value is None or isinstance(value, (int, float, str, bool)) else copy(value)


def say(session: str, name: str, *args: Any) -> None:
    """Print a callback."""
    event = {"session": session, "event": name, "args": [plain(arg) for arg in args]}
    # One write: every session has a thread of its own. Bytes are the pieces of a statement.
    OUTPUT.write(json.dumps(event, default=bytes.hex) + "\n")
    OUTPUT.flush()


def spi(base: type, session: str) -> Any:
    """Make an Spi that prints every callback."""

    def callback(name: str) -> Callable[..., None]:
        def on(_: Any, *args: Any) -> None:
            say(session, name, *args)

        return on

    names = [name for name in dir(base) if name.startswith("On")]
    return type("Spi", (base,), {name: callback(name) for name in names})()


class Sessions:
    """The library's clients in this process: each connects by itself, and has a flow directory of its own."""

    def __init__(self, kind: str, port: str, directory: Path) -> None:
        self._kind = kind
        self._port = port
        self._directory = directory
        self._made: dict[str, Any] = {}
        self._handlers: list[Any] = []  # the library does not keep them alive
        openctp = importlib.import_module("openctp_ctp")
        self.api = openctp.mdapi if kind == "market" else openctp.tdapi

    def __getitem__(self, name: str) -> Any:
        """Give a client; a new name is a new client."""
        if name not in self._made:
            self._made[name] = self._connect(name)
        return self._made[name]

    def _connect(self, name: str) -> Any:
        flow = self._directory / name
        flow.mkdir(parents=True, exist_ok=True)
        if self._kind == "market":
            client = self.api.CThostFtdcMdApi.CreateFtdcMdApi(f"{flow}/flow-")
            handler = spi(self.api.CThostFtdcMdSpi, name)
        else:
            client = self.api.CThostFtdcTraderApi.CreateFtdcTraderApi(f"{flow}/flow-")
            handler = spi(self.api.CThostFtdcTraderSpi, name)
            client.SubscribePrivateTopic(RESUME)
            client.SubscribePublicTopic(RESUME)
        self._handlers.append(handler)
        client.RegisterSpi(handler)
        client.RegisterFront(f"tcp://127.0.0.1:{self._port}")
        client.Init()
        return client

    def release(self, name: str) -> None:
        """End a client."""
        client = self._made.pop(name)
        client.RegisterSpi(None)
        client.Release()

    def release_all(self) -> None:
        """End all of them."""
        for name in list(self._made):
            self.release(name)


def main() -> None:
    """Do what is asked until there is nothing more to read."""
    kind, port, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    locale.ensure(directory / "locale")
    sessions = Sessions(kind, port, directory)
    for number, line in enumerate(sys.stdin, 1):
        command = json.loads(line)
        client = sessions[command["session"]]
        if "call" in command:
            told = obey(sessions.api, client, command, number)
            if told is not None:
                say(command["session"], command["call"], told)
        elif "release" in command:
            sessions.release(command["session"])
    sessions.release_all()


def obey(api: Any, client: Any, command: dict[str, Any], number: int) -> Any:
    """Make one call, and give what a Get* call filled in.

    The library lets some queries a second through, so a refused one is tried again.
    """
    call = getattr(client, command["call"])
    if "symbols" in command:
        symbols = [symbol.encode() for symbol in command["symbols"]]
        call(symbols, len(symbols))
        return None
    field = getattr(api, f"CThostFtdc{command['field']}Field")()
    for name, value in command["values"].items():
        setattr(field, name, value)
    if command["call"].startswith("Get"):
        call(field)
        return field
    while call(field, number) in (-2, -3):
        time.sleep(0.05)
    return None


if __name__ == "__main__":
    main()
