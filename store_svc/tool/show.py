"""How rows are shown: a table in the terminal's width, JSON, CSV, or lines for other programs."""

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arbig.calendar import SHANGHAI

Row = dict[str, Any]

# What is longer may be folded.
_WIDE = 28
# What a terminal would obey.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), " ")


class Form(Enum):
    """What the user asked for."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Columns(NamedTuple):
    """The columns in the order of their importance: the last ones go where the terminal is narrow."""

    names: Sequence[str]
    # Beyond the last name, where these are not worth their place in a table.
    hidden: Sequence[str] = ()


def show(rows: Sequence[Row], columns: Columns, form: Form) -> None:
    """Print rows."""
    every = [*columns.names, *columns.hidden]
    if form is Form.JSON:
        print(to_json([{name: row[name] for name in every} for row in rows]))
    elif form is Form.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(every)
        writer.writerows([plain(row[name]) for name in every] for row in rows)
    elif sys.stdout.isatty():
        _table(rows, columns.names)
    else:
        for line in [every, *([plain(row[name]) for name in every] for row in rows)]:
            print("\t".join(cell.translate(_CONTROLS) for cell in line))


def to_json(value: object) -> str:
    """Give JSON with amounts as exact numbers and times in UTC."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
    return orjson.dumps(value, default=_exact, option=options).decode()


def _exact(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(_decimal(value))
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value))


def _decimal(value: Decimal) -> str:
    """Give an amount with two places, or as many more as it has."""
    whole, _, places = format(value, "f").partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def plain(value: object) -> str:
    """Give a value for programs: times in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    return _text(value)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return _decimal(value)
        case dict() | list():
            return orjson.dumps(value).decode()
        case bytes():
            return value.hex()
    return str(value)


def _cell(value: object) -> str:
    """Give a value for people: times as the exchange's clock has them."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return _text(value).translate(_CONTROLS)


def _table(rows: Sequence[Row], names: Sequence[str]) -> None:
    console = Console()
    cells = {name: [_cell(row[name]) for row in rows] for name in names}
    shown = _fitting({name: min(max(map(cell_len, [name, *cells[name]])), _WIDE) for name in names}, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        numbers = any(_is_number(row[name]) for row in rows)
        wide = any(cell_len(cell) > _WIDE for cell in cells[name])
        table.add_column(name, justify="right" if numbers else "left", no_wrap=not wide, overflow="fold")
    for line in zip(*(cells[name] for name in shown), strict=True):
        table.add_row(*map(Text, line))
    console.print(table)
    if left_out := names[len(shown) :]:
        console.print(Text(f"too narrow for {', '.join(left_out)}: --json has all", style="dim"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _fitting(widths: dict[str, int], width: int) -> list[str]:
    """Give the first columns that fit into the width, with two blanks between them."""
    shown: list[str] = []
    for name, wanted in widths.items():
        width -= wanted + (2 if shown else 0)
        if width < 0 and shown:
            break
        shown.append(name)
    return shown
