"""What a symbol may look like and says, and whether a price is a whole number of ticks."""

import math
import re

from arbig.errors import InvalidField

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_&. -]{0,79}")
# `price % 0.02` is wrong for almost every au price: the binary fraction is never exact.
_TOLERANCE = 1e-6


def check_symbol(symbol: str, field: str = "symbol") -> str:
    """Give the symbol back; raises InvalidField if no exchange could have named one so."""
    if not symbol:
        raise InvalidField(field, "is required", "MISSING")
    if not _SYMBOL.fullmatch(symbol):
        raise InvalidField(field, f"{symbol[:40]!r} cannot be an instrument", "BAD_SYMBOL")
    return symbol


def product_of(symbol: str) -> str:
    """Give the product that a symbol's letters name: "au" of "au2604"."""
    return re.split(r"[^A-Za-z]", symbol, maxsplit=1)[0]


def price_in_ticks(price: float, tick: float) -> int | None:
    """Give the price as a number of ticks; None if it lies between two."""
    ticks = price / tick
    if not math.isfinite(ticks):
        return None
    whole = round(ticks)
    return whole if abs(ticks - whole) <= _TOLERANCE else None
