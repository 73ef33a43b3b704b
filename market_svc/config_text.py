"""The market configuration as a text that people edit: TOML, by the names of MarketConfig."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import tomlkit
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from tomlkit.exceptions import TOMLKitError

from arbig.errors import InvalidField, Refused
from arbig.market.v1.config_pb2 import MarketConfig, Product

_BEGINNING = """\
# What this mesh trades. Saved changes are in effect within a second, another main contract too;
# a mistake is told in the log and by GetStatus, and changes nothing. Your comments stay.
# UpdateMarketConfig writes here too; it lets another main contract wait for the next trading day,
# as next_main_contract, chosen on the day next_after.

# Meant where no contract is named; empty: chosen once instruments and a trading day are known.
main_contract = ""
# What is subscribed; none means every instrument. What is held stays subscribed in any case.
symbols = []
"""


def parse(text: str) -> MarketConfig:
    """Read a file's text; raises ValueError with the line, or InvalidField with the name."""
    try:
        values = tomlkit.parse(text).unwrap()
    except TOMLKitError as error:
        raise ValueError(str(error)) from error
    _check_names(MarketConfig.DESCRIPTOR, values, "")
    products = values.get("products")
    for name, product in products.items() if isinstance(products, dict) else ():
        _check_names(Product.DESCRIPTOR, product, f"products.{name}.")
    try:
        return json_format.ParseDict(values, MarketConfig())
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error


def _check_names(described: Descriptor, values: Any, path: str) -> None:
    names = described.fields_by_name
    for name in values if isinstance(values, dict) else ():
        if name not in names:
            raise InvalidField(f"{path}{name}", f"is no setting; there are {', '.join(names)}", "UNKNOWN_FIELD")


def render(config: MarketConfig, text: str = "") -> str:
    """Write the configuration into a file's text, where everything else stays; without one, into a new text.

    Raises Refused for a layout that cannot take it.
    """
    document = tomlkit.parse(text or _BEGINNING)
    values = json_format.MessageToDict(
        config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    _put(document, values)
    written = tomlkit.dumps(document)
    try:
        fits = parse(written) == config
    except (ValueError, InvalidField):  # a table may have come to stand between what another one has
        fits = False
    if not fits:
        what = "the change cannot be written into this layout of the file: write each product as [products.au]"
        raise Refused(what, "BAD_CONFIG_FILE")
    return written


def _put(table: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    """Change what differs, so that the comments beside the rest stay."""
    for name in table.keys() - values.keys():
        del table[name]
    for name, value in values.items():
        if isinstance(value, dict) and name in table:
            _put(table[name], value)
        elif table.get(name, type(value)()) != value:
            table[name] = value
