"""How a bench tells what it measured: a table for people, one object for machines."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

Figures = Mapping[str, Sequence[float]]


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(name: str, repetitions: int, figures: Figures) -> None:
    """Print the median of each figure, and its range; as JSON with --json."""
    medians = {key: statistics.median(values) for key, values in figures.items()}
    if "--json" in sys.argv:
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
        print(json.dumps({"bench": name, "machine": machine, "repetitions": repetitions, "figures": medians}))
        return
    table = Table("figure", "median", "min", "max", title=f"{name}, {repetitions} repetitions", box=None)
    for key, values in figures.items():
        table.add_row(key, *(f"{value:,.3f}" for value in (medians[key], min(values), max(values))))
    Console().print(table)
