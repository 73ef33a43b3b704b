"""Where each member of a CTP record lies on the wire.

The vendor's library describes its own records: it exports a table for each. The tables are read
from it once, so no vendor header is needed; their shape holds for one version of the library only,
and another one is refused. The library is not imported: that would need its locale.
"""

import ctypes
import functools
import importlib.metadata
import struct
from collections.abc import Mapping
from typing import Any

from arbig.errors import ConfigError
from ctp_front import wire

VERSION = "6.7.11."
ENCODING = "gb18030"

# In a table: FID u16 at 0; struct size, wire size and member count u32 at 0x68; members of 76 bytes
# from 0xd8, each type u32, memory offset, wire offset, size, then its name.
_TABLE_SIZE = 0x1E88
_COUNTS, _MEMBERS, _MEMBER_SIZE = 0x68, 0xD8, 76
_TYPE_CODES = {0: "s", 1: "H", 2: "i", 4: "d"}
_DEFAULTS: dict[str, Any] = {"s": b"", "H": 0, "i": 0, "d": 0.0}


class Record:
    """One kind of CTP record: how it is packed into a field, and unpacked."""

    def __init__(self, fid: int, members: list[tuple[str, str]]) -> None:
        self.fid = fid
        self.names = [name for name, _ in members]
        self.format = "".join(code for _, code in members)
        self._defaults = [_DEFAULTS[code[-1]] for _, code in members]
        self._struct = struct.Struct(">" + self.format)
        self.size = self._struct.size

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """Pack the values into a field; what is not named is empty or zero."""
        packed = self._struct.pack(*map(_to_wire, map(values.get, self.names, self._defaults)))
        return wire.field(self.fid, packed)

    def make(self, **values: Any) -> bytes:
        """Pack values that are written out where they are used; a misspelt name is an error."""
        unknown = values.keys() - set(self.names)
        if unknown:
            raise TypeError(f"record {self.fid:#x} has no {', '.join(sorted(unknown))}")
        return self.encode(values)

    def decode(self, payload: bytes) -> dict[str, Any]:
        """Unpack a field; raises WireError where its size is wrong."""
        if len(payload) != self.size:
            raise wire.WireError(f"field {self.fid:#x} has {len(payload)} bytes, not {self.size}")
        return dict(zip(self.names, map(_from_wire, self._struct.unpack(payload)), strict=True))


def _to_wire(value: Any) -> Any:
    return value.encode(ENCODING) if isinstance(value, str) else value


def _from_wire(value: Any) -> Any:
    return value.split(b"\0", 1)[0].decode(ENCODING, "replace") if isinstance(value, bytes) else value


@functools.cache
def record(name: str, library: str = "trader") -> Record:
    """Give the record "Order", "Trade" .. as the trader library, or "mduser", describes it."""
    symbol = f"CFTD{name}Field"
    table = (ctypes.c_char * _TABLE_SIZE).in_dll(_library(library), f"_ZN{len(symbol)}{symbol}10m_DescribeE").raw
    (fid,) = struct.unpack_from("<H", table)
    _, size, count = struct.unpack_from("<III", table, _COUNTS)
    made = Record(fid, [_member(table, _MEMBERS + index * _MEMBER_SIZE) for index in range(count)])
    if made.size != size:
        raise ConfigError(f"openctp-ctp describes {name} as {size} bytes, its members make {made.size}")
    return made


def _member(table: bytes, start: int) -> tuple[str, str]:
    kind, _, _, size = struct.unpack_from("<IIII", table, start)
    name = table[start + 16 : start + _MEMBER_SIZE].split(b"\0", 1)[0].decode()
    code = _TYPE_CODES[kind]
    return name, f"{size}s" if code == "s" else code


@functools.cache
def _library(kind: str) -> ctypes.CDLL:
    package = importlib.metadata.distribution("openctp-ctp")
    if not package.version.startswith(VERSION):
        raise ConfigError(f"the front knows openctp-ctp {VERSION}*, {package.version} is installed")
    for file in package.files or ():
        if file.name.startswith(f"libthost{kind}api"):
            return ctypes.CDLL(str(package.locate_file(file)))
    raise ConfigError(f"openctp-ctp {package.version} has no {kind} library for this machine")
