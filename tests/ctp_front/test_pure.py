"""The exchange has no clock, no dice and no network of its own."""

import ast
from pathlib import Path

import pytest

import ctp_front

PURE = (
    "account",
    "account_records",
    "book",
    "clock",
    "depth",
    "exchange",
    "faults",
    "flow_control",
    "generator",
    "hours",
    "instrument",
    "instrument_records",
    "layout",
    "manners",
    "matching",
    "order_index",
    "orders",
    "position",
    "queries",
    "records",
    "recording",
    "refusals",
    "tids",
    "wire",
)
SHELL = {"asyncio", "grpc", "socket", "time", "random"}


@pytest.mark.parametrize("name", PURE)
def test_time_and_randomness_come_as_arguments(name: str) -> None:
    """That is what makes a story repeatable, and its tests short."""
    tree = ast.parse((Path(ctp_front.__path__[0]) / f"{name}.py").read_text())
    imported = {
        module.split(".")[0]
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & SHELL
