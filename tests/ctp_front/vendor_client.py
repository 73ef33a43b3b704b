"""The vendor's library in a process of its own: JSON commands in, JSON callbacks out, one a line.

    python vendor_client.py market|trade PORT DIRECTORY

A command is {"call": "ReqOrderInsert", "field": "InputOrder", "values": {..}}, or {"call":
"SubscribeMarketData", "symbols": [..]}, or {"call": "quit"}. A callback is {"event": "OnRtnOrder",
"args": [..]} with records as objects.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arbig.ctp import locale

# The library counts what it has heard in its flow directory: an empty one gives all of the day.
RESUME = 1

# The library writes to standard output itself: callbacks keep it for themselves.
OUTPUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def plain(value: Any) -> Any:
    """Give a record as an object of what is set in it."""
    if value is None or isinstance(value, (int, float, str, bool)):
        return value
    names = [name for name in dir(type(value)) if not name.startswith("_") and name not in ("this", "thisown")]
    return {name: getattr(value, name) for name in names if getattr(value, name) not in ("", 0, 0.0, "\x00")}


def spi(base: type) -> Any:
    """Make an Spi that prints every callback."""

    def callback(name: str) -> Callable[..., None]:
        def on(_: Any, *args: Any) -> None:
            print(json.dumps({"event": name, "args": [plain(arg) for arg in args]}), file=OUTPUT, flush=True)

        return on

    names = [name for name in dir(base) if name.startswith("On")]
    return type("Spi", (base,), {name: callback(name) for name in names})()


def main() -> None:
    """Do what is asked until there is nothing more to read."""
    front, port, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    locale.ensure(directory / "locale")
    flow = f"{directory}/flow-"
    if front == "market":
        from openctp_ctp import mdapi as api

        client = api.CThostFtdcMdApi.CreateFtdcMdApi(flow)
        handler = spi(api.CThostFtdcMdSpi)
    else:
        from openctp_ctp import tdapi as api

        client = api.CThostFtdcTraderApi.CreateFtdcTraderApi(flow)
        handler = spi(api.CThostFtdcTraderSpi)
        client.SubscribePrivateTopic(RESUME)
        client.SubscribePublicTopic(RESUME)
    client.RegisterSpi(handler)
    client.RegisterFront(f"tcp://127.0.0.1:{port}")
    client.Init()
    for number, line in enumerate(sys.stdin, 1):
        obey(api, client, json.loads(line), number)
    client.RegisterSpi(None)
    client.Release()


def obey(api: Any, client: Any, command: dict[str, Any], number: int) -> None:
    """Make one call; the library allows one query a second, so a refused one is tried again."""
    call = getattr(client, command["call"])
    if "symbols" in command:
        symbols = [symbol.encode() for symbol in command["symbols"]]
        call(symbols, len(symbols))
        return
    field = getattr(api, f"CThostFtdc{command['field']}Field")()
    for name, value in command["values"].items():
        setattr(field, name, value)
    while call(field, number) in (-2, -3):
        time.sleep(0.05)


if __name__ == "__main__":
    main()
