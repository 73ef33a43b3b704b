"""The risk limits: what they are unless told otherwise, and the file that keeps them.

The file is TOML, one line a limit, by the names of RiskLimits. What it does not name is 0: no such
limit. A name that is no limit, or a number that cannot be one, is an error.
"""

import tomllib
from pathlib import Path
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from arbig.durable import write_whole
from arbig.errors import ConfigError, InvalidField, Unavailable
from arbig.trade.v1 import trade_pb2 as pb

_ACCOUNT = "account_id"
NAMES = tuple(name for name in pb.RiskLimits.DESCRIPTOR.fields_by_name if name != _ACCOUNT)
# For simulation, and to begin a file with: loose enough to try things, tight enough to show a slip.
# The conduct limits are those that brokers hand out for SHFE.
DEFAULTS: dict[str, Any] = {
    "max_order_volume": 50,
    "max_side_volume": 200,
    "max_day_volume": 1_000,
    "price_band": 0.02,
    "max_order_value": 100_000_000.0,
    "max_open_orders": 100,
    "max_inserts_per_second": 20,
    "max_cancels_per_second": 20,
    "max_tick_age_ms": 30_000,
    "market_protection_ticks": 10,
    "conduct_warning": 0.8,
    "max_cancels": 500,
    "large_cancel_volume": 300,
    "max_large_cancels": 50,
    "max_self_trades": 5,
}


def check_limit(name: str, value: Any) -> None:
    """Raise InvalidField for a name that is no limit, or a value that cannot be one."""
    if name not in NAMES:
        raise InvalidField(name, f"is no limit; the limits are {', '.join(NAMES)}", "UNKNOWN_LIMIT")
    kind = type(getattr(pb.RiskLimits(), name))
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise InvalidField(name, f"must be {_KINDS[kind]}, got {value!r}", "BAD_LIMIT")
    if not 0 <= value <= _MOST[kind]:  # NaN is neither
        raise InvalidField(name, f"must be 0 to {_MOST[kind]:,}, got {value:g}", "BAD_LIMIT")


_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}
_MOST = {int: 2**31 - 1, float: 1e15, bool: True}


def made(values: dict[str, Any], account_id: str) -> pb.RiskLimits:
    """Make limits of names and numbers; raises InvalidField."""
    for name, value in values.items():
        check_limit(name, value)
    return pb.RiskLimits(account_id=account_id, **values)


def load(path: Path, account_id: str) -> pb.RiskLimits:
    """Read the file; raises ConfigError that names what is wrong."""
    try:
        return made(tomllib.loads(path.read_text()), account_id)
    except OSError as error:
        raise ConfigError(f"the risk limits in {path} cannot be read: {error.strerror}") from error
    except (ValueError, InvalidField) as error:
        raise ConfigError(f"the risk limits in {path}: {error}") from error


def save(path: Path, limits: pb.RiskLimits) -> None:
    """Write the file, wholly or not at all; raises Unavailable where that is not possible."""
    lines = [f"{name} = {_toml(getattr(limits, name))}\n" for name in NAMES]
    try:
        write_whole(path, "# Limits that every order is checked against; 0 is no such limit.\n" + "".join(lines))
    except OSError as error:
        raise Unavailable(
            f"the limits cannot be kept in {path}: {error.strerror}; nothing changed", "NOT_KEPT"
        ) from error


def _toml(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def changed(limits: pb.RiskLimits, wanted: pb.RiskLimits, mask: FieldMask) -> pb.RiskLimits:
    """Give the limits with those of the mask as wanted; raises InvalidField."""
    if not mask.paths:
        raise InvalidField("update_mask", "is required: it names the limits to change", "MISSING")
    result = pb.RiskLimits()
    result.CopyFrom(limits)
    for name in mask.paths:
        if name not in NAMES:
            raise InvalidField("update_mask", f"{name} is no limit", "UNKNOWN_LIMIT")
        value = getattr(wanted, name)
        check_limit(name, value)
        setattr(result, name, value)
    return result
