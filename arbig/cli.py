"""The `arbig` command: the whole mesh, or one service of it, and what is missing to run them."""

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

# Its fork handlers crash the child of a process that uses it, and ours all exec at once.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from arbig import config, doctor, lock, log, mesh
from arbig.errors import ConfigError
from arbig.options import no_password
from arbig.shipping import shipping
from arbig.supervisor import EXIT_CONFIG

# Services are started by name: this package imports none of them.
SERVICES = {
    "front": ("ctp_front.main", "the simulated exchange"),
    "market": ("market_svc.main", "the market service: ticks in, followers out"),
    "trade": ("trade_svc.main", "the trade service: orders, positions, money"),
    "store": ("store_svc.main", "the storage: a follower that remembers"),
    "bridge": ("web_bridge.main", "the bridge: the page and its WebSocket"),
    "edge": ("arbig.edge", "the Envoy edge: REST, gRPC-Web, gRPC and page on one port"),
}

app = typer.Typer(
    help="ARBIG: a service mesh for trading SHFE gold futures through CTP. Simulated unless told otherwise.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _fail(error: BaseException) -> None:
    print(f"arbig: {error}", file=sys.stderr)
    raise typer.Exit(EXIT_CONFIG) from error


def _run(name: str, main: Callable[[config.Settings], Awaitable[None]], keeps: str | None) -> None:
    """Run until SIGINT or SIGTERM; any exception that nothing handles ends the process.

    `keeps` names the directory in the data directory that is this process's alone.
    """
    try:
        settings = config.load()
        log.setup(name, settings.log_format)
        with nullcontext() if keeps is None else lock.held(settings.directory(keeps)):
            uvloop.run(_until_signal(_shipping(name, settings, main)))
    except ConfigError as error:
        _fail(error)
    except BaseExceptionGroup as group:
        if (configuration := group.subgroup(ConfigError)) is None:
            raise
        _fail(_first(configuration))


async def _shipping(name: str, settings: config.Settings, main: Callable[[config.Settings], Awaitable[None]]) -> None:
    async with shipping(name, settings.address("store")):
        await main(settings)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _until_signal(main: Awaitable[None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main)
    failed: list[BaseException] = []

    def crash(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A service that goes on after a callback failed would go on wrong: crash-only.
        error = context.get("exception") or RuntimeError(context["message"])
        if isinstance(error, asyncio.CancelledError):
            return  # a connection's task that was cancelled with us; Python 3.11 takes it for a fault
        loop.default_exception_handler(context)
        failed.append(error)
        task.cancel()

    loop.set_exception_handler(crash)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if failed:
            raise failed[0] from None


def _service(name: str) -> Callable[[], None]:
    module, what = SERVICES[name]

    def command() -> None:
        keeps = name if name in mesh.GRPC else None  # the bridge and the edge keep nothing
        _run(name, lambda settings: importlib.import_module(module).run(settings), keeps)

    command.__doc__ = f"Run {what}, alone."
    return command


for _name in SERVICES:
    app.command(_name)(_service(_name))


@app.command()
def up(
    *,
    data: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    port_base: Annotated[int | None, typer.Option(help="The first of 100 ports on loopback.")] = None,
    replay: Annotated[list[Path] | None, typer.Option(help="Recorded CTP ticks (CSV, plain or .gz).")] = None,
    speed: Annotated[str | None, typer.Option(help="Of the replay: 1, 10 or max.")] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Prices wait for FrontService.Start.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of the generated prices.")] = None,
    database: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL; SQLite in the data directory if absent.", callback=no_password),
    ] = None,
    database_password_file: Annotated[Path | None, typer.Option(help="Holds the password of the URL's user.")] = None,
    redis: Annotated[
        str | None, typer.Option(help='URL; embedded if absent; "none": no ticks are kept.', callback=no_password)
    ] = None,
    redis_password_file: Annotated[Path | None, typer.Option(help="Holds Redis's password.")] = None,
    edge: Annotated[bool, typer.Option("--edge/--no-edge", help="The Envoy edge.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ready line as JSON.")] = False,
) -> None:
    """Run the whole mesh: front, market, trade, store, bridge and the Envoy edge."""
    given = {
        "ARBIG_DATA": data and data.expanduser().resolve(),
        "ARBIG_PORT_BASE": port_base,
        # A relative name means the caller's directory, whatever the child's is.
        "ARBIG_FRONT__REPLAY": replay and json.dumps([str(path.expanduser().resolve()) for path in replay]),
        "ARBIG_FRONT__SPEED": speed,
        "ARBIG_FRONT__HOLD": "true" if hold else None,
        "ARBIG_FRONT__SEED": seed,
        "ARBIG_STORE__DATABASE": database,
        "ARBIG_STORE__PASSWORD_FILE": database_password_file and database_password_file.expanduser().resolve(),
        "ARBIG_STORE__REDIS": redis,
        "ARBIG_STORE__REDIS_PASSWORD_FILE": redis_password_file and redis_password_file.expanduser().resolve(),
        "ARBIG_EDGE__ENABLED": None if edge else "false",
    }
    # The children read the same environment: one way for a setting to reach a service.
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    _run("up", lambda settings: mesh.run(settings, as_json=as_json), keeps="")


@app.command(name="doctor")
def doctor_command() -> None:
    """Say what is missing on this machine, and how to get it."""
    try:
        healthy = doctor.report(config.load())
    except ConfigError as error:
        _fail(error)
    raise typer.Exit(0 if healthy else 1)


@app.command(
    name="db",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def db_command(context: typer.Context) -> None:
    """Look into the database, make it, back it up, restore it, and move it."""
    importlib.import_module("store_svc.tool.cli").main(context.args)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
