"""What this mesh trades: the defaults, what a configuration may be, and how it comes to be another.

A configuration is checked against what it was before: what stands in it already stays, whatever
became of the market meanwhile.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from arbig.calendar import is_day
from arbig.errors import InvalidField
from arbig.instrument import check_symbol
from arbig.market.v1 import config_pb2 as pb
from arbig.market.v1.market_pb2 import Instrument

# What UpdateMarketConfig may change.
CHANGEABLE = ("main_contract", "symbols", "products")
# A contract that leaves sooner is not made the main one by us.
_SOON = timedelta(days=30)


class Known(NamedTuple):
    """What a configuration is held against, each empty while it is not known."""

    instruments: Mapping[str, Instrument] = {}
    trading_day: str = ""


def defaults(symbols: Iterable[str] = ()) -> pb.MarketConfig:
    """Give what a mesh begins with."""
    gold = pb.Product(multiplier=1000, price_tick=0.02, name="Gold", name_zh="黄金")
    return pb.MarketConfig(symbols=symbols, products={"au": gold})


# What it may be.


def check(config: pb.MarketConfig, before: pb.MarketConfig, known: Known) -> None:
    """Raise InvalidField for what cannot be, unless it stands in `before` already."""
    for field in ("main_contract", "next_main_contract"):
        if symbol := getattr(config, field):
            _check_main(symbol, field, before, known)
    for symbol in config.symbols:
        if symbol not in before.symbols:
            _check_listed(symbol, "symbols", known)
    for name, product in sorted(config.products.items()):
        _check_product(name, product)
    if bool(config.next_main_contract) != bool(config.next_after):
        raise InvalidField("next_after", "goes with next_main_contract: name both or none", "BAD_DAY")
    if config.next_after and not is_day(config.next_after):
        raise InvalidField("next_after", f"must be a day as YYYYMMDD, got {config.next_after[:40]!r}", "BAD_DAY")


def _check_listed(symbol: str, field: str, known: Known) -> None:
    check_symbol(symbol, field)
    # The exchange takes a subscription of any text, and sends nothing.
    if known.instruments and symbol not in known.instruments:
        raise InvalidField(field, f"{symbol} is none of the {len(known.instruments)} instruments", "UNKNOWN_SYMBOL")


def _check_main(symbol: str, field: str, before: pb.MarketConfig, known: Known) -> None:
    if symbol in (before.main_contract, before.next_main_contract):
        return
    _check_listed(symbol, field, known)
    instrument = known.instruments.get(symbol)
    if instrument and _expired(instrument, known):
        what = f"{symbol} expired on {instrument.expire_date}, the trading day is {known.trading_day}"
        raise InvalidField(field, what, "EXPIRED")
    if instrument and not instrument.trading:
        raise InvalidField(field, f"{symbol} may not be traded", "NOT_TRADING")


def _expired(instrument: Instrument, known: Known) -> bool:
    return bool(instrument.expire_date) and instrument.expire_date < known.trading_day


def _check_product(name: str, product: pb.Product) -> None:
    field = f"products.{check_symbol(name, 'products')}"
    if product.multiplier <= 0:
        raise InvalidField(f"{field}.multiplier", f"must be above 0, got {product.multiplier}", "BAD_PRODUCT")
    if not (math.isfinite(product.price_tick) and product.price_tick > 0):
        raise InvalidField(f"{field}.price_tick", f"must be above 0, got {product.price_tick:g}", "BAD_PRODUCT")
    if not product.name:
        raise InvalidField(f"{field}.name", "is required", "MISSING")


def complaints(config: pb.MarketConfig, known: Known) -> Iterator[str]:
    """Say what of the configuration in effect does not fit the market; what the exchange says goes."""
    instruments = known.instruments
    for symbol in config.symbols if instruments else ():
        if symbol not in instruments:
            yield f"symbols: {symbol} is no instrument, so it has no ticks"
    main = instruments.get(config.main_contract)
    if main and _expired(main, known):
        yield f"main_contract: {main.symbol} expired on {main.expire_date}"
    for name, product in sorted(config.products.items()):
        for _, one in sorted(instruments.items()):
            ours, theirs = (product.multiplier, product.price_tick), (one.multiplier, one.price_tick)
            if one.product == name and ours != theirs:
                yield (
                    f"products.{name}: multiplier {ours[0]} and price tick {ours[1]:g}, "
                    f"but {theirs[0]} and {theirs[1]:g} at the exchange ({one.symbol})"
                )
                break


# How it changes.


def updated(before: pb.MarketConfig, request: pb.UpdateMarketConfigRequest, known: Known) -> pb.MarketConfig:
    """Give the configuration with what the mask names as wanted; raises InvalidField.

    Another main contract waits for the next trading day, unless it is to be at once, there was
    none, or no trading day was ever seen.
    """
    paths = request.update_mask.paths
    if not paths:
        raise InvalidField("update_mask", f"is required: it names which of {', '.join(CHANGEABLE)}", "MISSING")
    for path in paths:
        if path not in CHANGEABLE:
            raise InvalidField("update_mask", f"{path} cannot be changed, {', '.join(CHANGEABLE)} can", "UNKNOWN_FIELD")
    after = _copy(before)
    request.update_mask.MergeMessage(request.config, after, True, True)  # replaced, not merged
    if "main_contract" in paths:
        wanted = check_symbol(after.main_contract, "main_contract")
        waits = not request.at_once and before.main_contract not in ("", wanted) and known.trading_day
        after.main_contract = before.main_contract if waits else wanted
        after.next_main_contract, after.next_after = (wanted, known.trading_day) if waits else ("", "")
        _check_main(wanted, "main_contract", before, known)
    check(after, before, known)
    return after


def rolled(config: pb.MarketConfig, trading_day: str) -> pb.MarketConfig:
    """Give the configuration of a trading day: what was chosen on an earlier one is the main contract now."""
    if not config.next_main_contract or trading_day <= config.next_after:
        return config
    after = _copy(config)
    after.main_contract = config.next_main_contract
    after.next_main_contract = after.next_after = ""
    return after


def with_main(config: pb.MarketConfig, known: Known) -> pb.MarketConfig:
    """Choose a main contract where there is none: of the first product that has one that is subscribed.

    It is the nearest with an even delivery month, as trading in gold goes, that does not leave
    within a month. Without a trading day nobody knows what is near.
    """
    day = known.trading_day
    if config.main_contract or not is_day(day):
        return config
    soon = f"{datetime.strptime(day, '%Y%m%d') + _SOON:%Y%m%d}"  # noqa: DTZ007 - a day, wherever it is
    for name in sorted(config.products):
        found = [
            (one.expire_date < soon, not _even(one.symbol), one.expire_date, one.symbol)
            for one in known.instruments.values()
            if one.product == name and one.trading and one.expire_date >= day
            if not config.symbols or one.symbol in config.symbols
        ]
        if found:
            after = _copy(config)
            after.main_contract = min(found)[-1]
            return after
    return config


def _even(symbol: str) -> bool:
    return symbol[-1:] in "02468"


def change(
    before: pb.MarketConfigChange | None,
    config: pb.MarketConfig,
    origin: "pb.MarketConfigOrigin.ValueType",
    time: Timestamp,
) -> pb.MarketConfigChange:
    """Give the change with its number, and with the fields that it changed."""
    after = pb.MarketConfigChange(seq=1, time=time, config=config, origin=origin)
    if before:
        after.seq = before.seq + 1
        fields = pb.MarketConfig.DESCRIPTOR.fields
        after.changed.extend(
            one.name for one in fields if getattr(config, one.name) != getattr(before.config, one.name)
        )
    return after


def wanted(config: pb.MarketConfig, instruments: Iterable[str], held: Iterable[str]) -> set[str]:
    """Give what must be subscribed."""
    mains = {config.main_contract, config.next_main_contract} - {""}
    return {*(config.symbols or instruments), *mains, *held}


def _copy(config: pb.MarketConfig) -> pb.MarketConfig:
    copied = pb.MarketConfig()
    copied.CopyFrom(config)
    return copied
