"""How a message becomes JSON for a browser, and a browser's JSON a message.

The encoder is compiled once per message type, because json_format takes seven times as long and
every tick goes through here. Keys are the contract's JSON names. Numbers are numbers (ours stay
below 2^53), a time is milliseconds since 1970, an enum is its name without the prefix ("BUY"), an
absent optional is a missing key.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from arbig.errors import InvalidField

Encode = Callable[[Any], Any]

_BLAMED = re.compile(r"Failed to parse (\w+) field")


@cache
def encoder(described: Descriptor) -> Encode:
    """Compile the function that makes a message of this type a dict for orjson."""
    if described.full_name == "google.protobuf.Timestamp":
        return _milliseconds
    if described.full_name == "google.protobuf.Struct":
        return json_format.MessageToDict  # JSON already
    every = [(field, (field.json_name, field.name, _converter(field))) for field in described.fields if not _map(field)]
    entries = [(field, field.message_type) for field in described.fields if _map(field)]
    maps = [(field.json_name, field.name, _values(entry)) for field, entry in entries if entry]
    repeated = [names for field, names in every if field.is_repeated]
    optional = [names for field, names in every if field.has_presence]
    single = [names for field, names in every if not field.is_repeated and not field.has_presence]
    plain = [(key, name) for key, name, convert in single if convert is None]
    converted = [(key, name, convert) for key, name, convert in single if convert]

    def encode(message: Any) -> dict[str, Any]:
        out = {key: getattr(message, name) for key, name in plain}
        for key, name, convert in converted:
            out[key] = convert(getattr(message, name))
        for key, name, maybe in optional:
            if message.HasField(name):
                out[key] = maybe(getattr(message, name)) if maybe else getattr(message, name)
        for key, name, each in repeated:
            values = getattr(message, name)
            out[key] = [each(value) for value in values] if each else list(values)
        for key, name, by_key in maps:
            out[key] = by_key(getattr(message, name))
        return out

    return encode


def _map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _values(entry: Descriptor) -> Encode:
    each = _converter(entry.fields_by_name["value"])
    return lambda values: {str(key): each(values[key]) if each else values[key] for key in sorted(values)}


def _milliseconds(time: Any) -> float:
    return float(time.seconds * 1_000 + time.nanos / 1_000_000)


def _converter(field: FieldDescriptor) -> Encode | None:
    if field.enum_type:
        names = {value.number: _short(field.enum_type, value.name) for value in field.enum_type.values}
        return lambda number: names.get(number, number)
    if field.message_type:
        return encoder(field.message_type)
    return None


@cache
def _prefix(described: EnumDescriptor) -> str:
    # buf's rule: the names of an enum begin with its own name in upper snake case.
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", described.name).upper() + "_"


def _short(described: EnumDescriptor, name: str) -> str:
    return name.removeprefix(_prefix(described))


def decode(kind: type[Any], value: Any) -> Message:
    """Make a request of a browser's JSON; raises InvalidField that names what is wrong."""
    message: Message = kind()
    spelled = _spell_out(kind.DESCRIPTOR, value, "")
    try:
        json_format.ParseDict(spelled, message)
    except json_format.ParseError as error:
        blamed = _BLAMED.search(str(error))
        raise InvalidField(blamed[1] if blamed else "request", str(error).split("\n", 1)[0]) from error
    return message


def _spell_out(described: Descriptor, value: Any, path: str) -> Any:
    """Give enum names their prefix back, and refuse fields that the message does not have."""
    if described.full_name.startswith("google.protobuf."):
        return value
    if not isinstance(value, dict):
        raise InvalidField(path or "request", "must be an object")
    fields = {name: field for field in described.fields for name in (field.name, field.json_name)}
    out = {}
    for name, given in value.items():
        field = fields.get(name)
        if field is None:
            raise InvalidField(f"{path}{name}", f"{described.full_name} has no such field", "UNKNOWN_FIELD")
        out[name] = _spell_field(field, given, f"{path}{field.name}")
    return out


def _spell_field(field: FieldDescriptor, given: Any, path: str) -> Any:
    if field.is_repeated and isinstance(given, list):
        return [_spell_one(field, one, path) for one in given]
    return _spell_one(field, given, path)


def _spell_one(field: FieldDescriptor, given: Any, path: str) -> Any:
    if field.message_type and given is not None:
        return _spell_out(field.message_type, given, f"{path}.")
    if field.enum_type and isinstance(given, str):
        full = _prefix(field.enum_type) + given
        return full if full in field.enum_type.values_by_name else given
    return given
