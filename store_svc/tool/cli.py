"""The `arbig db` command: what is in the database, and looking after it."""

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from arbig.config import Settings
from arbig.errors import ArbigError, ConfigError
from arbig.supervisor import EXIT_CONFIG
from store_svc.database import Database
from store_svc.tool import inspecting, keeping, listings
from store_svc.tool import options as opt
from store_svc.tool.listings import Listing
from store_svc.tool.show import Form, show
from store_svc.tool.where import opened, settings

T = TypeVar("T")

app = typer.Typer(
    help="Look into the database, make it, back it up, restore it, and move it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main(arguments: list[str]) -> NoReturn:
    """Run the command; what went wrong is one line on standard error."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    try:
        app(args=arguments, prog_name="arbig db")
    except (ArbigError, ConfigError) as error:
        print(f"arbig: {error}", file=sys.stderr)
        sys.exit(EXIT_CONFIG if isinstance(error, ConfigError) else 1)
    sys.exit(0)


def _stop(number: int, _: object) -> NoReturn:
    """End in good order: what is half made is removed on the way out."""
    sys.exit(128 + number)


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # `_stop` may meet us within a task that nobody asks any more.
    if not isinstance(context.get("exception"), SystemExit):
        loop.default_exception_handler(context)


def _form(*, as_json: bool, as_csv: bool) -> Form:
    if as_json and as_csv:
        raise typer.BadParameter("--json or --csv, not both")
    return Form.JSON if as_json else Form.CSV if as_csv else Form.TABLE


def _do(work: Callable[[Settings, Database], Awaitable[T]], where: Settings, *, create: bool = False) -> T:
    async def on_database() -> T:
        asyncio.get_running_loop().set_exception_handler(_unheard)
        async with opened(where, create=create) as database:
            return await work(where, database)

    return asyncio.run(on_database())


def _list(listing: Listing, filters: Mapping[str, Any], form: Form, where: Settings, limit: int | None = None) -> None:
    asked = listing.query(filters, limit)
    rows = _do(lambda _, database: database.read(lambda on: on.run_sync(listings.read, asked)), where)
    show(rows, listing.columns, form)
    if limit and len(rows) == limit and sys.stderr.isatty():
        print(f"the newest {limit}: --limit for more", file=sys.stderr)


@app.command()
def accounts(
    *,
    account: opt.AccountId = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List the accounts' money as it last was."""
    filters = {"account_id": account}
    _list(listings.ACCOUNTS, filters, _form(as_json=as_json, as_csv=as_csv), settings(database, password_file))


@app.command()
def positions(
    *,
    account: opt.AccountId = None,
    symbol: opt.Symbol = None,
    side: opt.Side = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only sides that have lots.")] = False,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List the position sides as they last were."""
    filters = {"account_id": account, "symbol": symbol, "side": side, "open": only_open}
    _list(listings.POSITIONS, filters, _form(as_json=as_json, as_csv=as_csv), settings(database, password_file))


@app.command()
def orders(
    *,
    limit: opt.Limit = 10,
    account: opt.AccountId = None,
    symbol: opt.Symbol = None,
    day: opt.Day = None,
    first_day: opt.FirstDay = None,
    last_day: opt.LastDay = None,
    state: opt.States = None,
    strategy: opt.Strategy = None,
    text: opt.TextOption = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List orders, the newest first."""
    filters = {
        "account_id": account,
        "symbol": symbol,
        "trading_day": day,
        "first_trading_day": first_day,
        "last_trading_day": last_day,
        "states": state,
        "strategy": strategy,
        "text": text,
    }
    _list(listings.ORDERS, filters, _form(as_json=as_json, as_csv=as_csv), settings(database, password_file), limit)


@app.command()
def trades(
    *,
    limit: opt.Limit = 10,
    account: opt.AccountId = None,
    symbol: opt.Symbol = None,
    day: opt.Day = None,
    first_day: opt.FirstDay = None,
    last_day: opt.LastDay = None,
    order: opt.OrderId = None,
    strategy: opt.Strategy = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List trades, the newest first."""
    filters = {
        "account_id": account,
        "symbol": symbol,
        "trading_day": day,
        "first_trading_day": first_day,
        "last_trading_day": last_day,
        "client_order_id": order,
        "strategy": strategy,
    }
    _list(listings.TRADES, filters, _form(as_json=as_json, as_csv=as_csv), settings(database, password_file), limit)


@app.command()
def triggers(
    *,
    limit: opt.Limit = 10,
    strategy: opt.Strategy = None,
    day: opt.Day = None,
    first_day: opt.FirstDay = None,
    last_day: opt.LastDay = None,
    result: opt.Results = None,
    signal: opt.Signals = None,
    text: opt.TextOption = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List the strategies' triggers, the newest first."""
    filters = {
        "strategy": strategy,
        "first_trading_day": day or first_day,
        "last_trading_day": day or last_day,
        "results": result,
        "signals": signal,
        "text": text,
    }
    _list(listings.TRIGGERS, filters, _form(as_json=as_json, as_csv=as_csv), settings(database, password_file), limit)


@app.command()
def configs(
    *,
    strategy: opt.Strategy = None,
    active: Annotated[bool, typer.Option("--active", help="Only those that should run.")] = False,
    text: opt.TextOption = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List how the strategies are configured."""
    filters = {"strategy": strategy, "active": active, "text": text}
    _list(listings.CONFIGS, filters, _form(as_json=as_json, as_csv=as_csv), settings(database, password_file))


@app.command()
def logs(
    *,
    limit: opt.Limit = 10,
    level: opt.Level = None,
    service: Annotated[str | None, typer.Option(help="Only of this service or strategy.")] = None,
    module: Annotated[str | None, typer.Option(help="Only of this part of it.")] = None,
    since: opt.Since = None,
    until: opt.Until = None,
    text: opt.TextOption = None,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List the system log, the newest first."""
    filters = {
        "min_level": level,
        "service": service,
        "module": module,
        "first_time": since,
        "end_time": until,
        "text": text,
    }
    _list(listings.LOGS, filters, _form(as_json=as_json, as_csv=as_csv), settings(database, password_file), limit)


@app.command()
def tables(
    *,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """List the tables and views."""
    found = _do(inspecting.every_table, settings(database, password_file))
    inspecting.show_tables(found, _form(as_json=as_json, as_csv=as_csv))


@app.command()
def info(
    table: Annotated[str, typer.Argument(help="A table or view.")],
    *,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """Show the columns and indexes of a table."""
    found = _do(inspecting.one_table(table), settings(database, password_file))
    inspecting.show_table(found, _form(as_json=as_json, as_csv=as_csv))


@app.command()
def journal(
    *,
    limit: opt.Limit = 10,
    as_json: opt.AsJson = False,
    as_csv: opt.AsCsv = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """Show what of the trade service's journal is still to be stored, the oldest first."""
    found = _do(inspecting.to_store(limit), settings(database, password_file))
    inspecting.show_journal(found, _form(as_json=as_json, as_csv=as_csv))


@app.command()
def init(
    *,
    sample: Annotated[bool, typer.Option("--sample", help="Put sample data in, if all tables are empty.")] = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """Make the tables, or bring them to this version, and check that they are what they should be."""
    _do(keeping.init(sample=sample), settings(database, password_file), create=True)


@app.command()
def backup(
    *,
    file: opt.File,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    prove: Annotated[bool, typer.Option("--prove", help="Restore it into a database of its own first.")] = False,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """Write what the tables are now to a file, while others go on writing to them."""
    _do(keeping.backup(file, force=force, proven=prove), settings(database, password_file))


@app.command()
def restore(*, file: opt.File, database: opt.DatabaseUrl = None, password_file: opt.PasswordFile = None) -> None:
    """Fill an empty database from a backup, of either engine, and prove that it is equal."""
    _do(keeping.restore(file), settings(database, password_file), create=True)


@app.command()
def verify(*, file: opt.File, database: opt.DatabaseUrl = None, password_file: opt.PasswordFile = None) -> None:
    """Compare the database with a backup; exit status 1 if they are not equal."""
    _do(keeping.verify(file), settings(database, password_file))


@app.command()
def move(
    url: Annotated[str, typer.Argument(help="An empty database.", callback=opt.no_password)],
    *,
    live: Annotated[bool, typer.Option("--live", help="Though the storage service is writing to it.")] = False,
    to_password_file: Annotated[Path | None, typer.Option(help="Holds the password of the URL's user.")] = None,
    database: opt.DatabaseUrl = None,
    password_file: opt.PasswordFile = None,
) -> None:
    """Copy the database into an empty one, of either engine; this one stays as it is.

    Stop the storage service first: with --live, what it is told of strategies, triggers and logs
    after the copy is not in the new database. Orders and trades come again from the journal.
    """
    _do(keeping.move(url, to_password_file, live=live), settings(database, password_file))
