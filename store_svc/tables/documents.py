"""JSON objects of the contracts as plain dicts, for the columns that keep them."""

import math
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

# Above it a double is no longer every whole number, and JSON's readers differ.
_WHOLE = 2.0**53


def plain(document: Struct, levels: int = 100) -> dict[str, Any]:
    """Give the object as a dict; raises ValueError for what JSON has not, or for more levels."""
    return _object(document, levels)


def _object(document: Struct, levels: int) -> dict[str, Any]:
    return {key: _value(value, levels - 1) for key, value in document.fields.items()}


def _value(value: Value, levels: int) -> Any:
    kind = value.WhichOneof("kind")
    if kind in ("struct_value", "list_value") and not levels:
        raise ValueError("nested too deeply")
    match kind:
        case "struct_value":
            return _object(value.struct_value, levels)
        case "list_value":
            return _list(value.list_value, levels)
        case "number_value":
            return _number(value.number_value)
        case None | "null_value":
            return None
        case _:
            return getattr(value, kind)


def _list(values: ListValue, levels: int) -> list[Any]:
    return [_value(value, levels - 1) for value in values.values]


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number of JSON")
    return int(value) if value.is_integer() and abs(value) < _WHOLE else value
