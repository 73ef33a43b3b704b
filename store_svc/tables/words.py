"""The words of an enum as the tables keep them: its names without their prefix ("BUY")."""

from functools import cache
from typing import Any


@cache
def words(described: Any) -> dict[int, str]:
    """Give the word of each number of an EnumDescriptor."""
    prefix = described.values[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix) for value in described.values}
