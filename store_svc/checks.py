"""What the fields of a request may hold; each check raises InvalidField with the field's path."""

import math
import re
from datetime import date, datetime
from typing import Any

import orjson
from google.protobuf.message import Message

from arbig.errors import InvalidField
from store_svc.tables.columns import LIMIT
from store_svc.tables.documents import plain

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# MySQL's DATETIME begins there.
_EARLIEST = datetime(1000, 1, 1)  # noqa: DTZ001 - UTC, as a Timestamp gives it
DOCUMENT_BYTES = 65_536
# A client refuses a message of 100 levels, and a level of JSON is up to three of them.
DOCUMENT_LEVELS = 20


class Fields:
    """The fields of one message of a request; `path` says where in the request it is: "trigger."."""

    def __init__(self, message: Message, path: str = "") -> None:
        self._message: Any = message
        self._path = path

    def name(self, *fields: str) -> None:
        """Check names: required, at most 64 characters of A-Z a-z 0-9 . _ : -."""
        for field in fields:
            self.text(field, 64, required=True)
            if not _NAME.fullmatch(getattr(self._message, field)):
                raise self._wrong(field, "has characters other than A-Z a-z 0-9 . _ : -")

    def text(self, field: str, most: int, *, required: bool = False) -> None:
        """Check a text of at most so many characters."""
        value = getattr(self._message, field)
        if required and not value:
            raise self._wrong(field, "missing")
        if len(value) > most:
            raise self._wrong(field, f"{len(value)} characters, at most {most} are kept")

    def choice(self, field: str, *, required: bool = True) -> None:
        """Check an enum."""
        number = getattr(self._message, field)
        if required and not number:
            raise self._wrong(field, "missing")
        self._known(field, number)

    def choices(self, field: str) -> None:
        """Check a list of enums."""
        for number in getattr(self._message, field):
            self._known(field, number)

    def time(self, *fields: str, required: bool = False) -> None:
        """Check points in time."""
        for field in fields:
            if self._message.HasField(field):
                try:
                    early = getattr(self._message, field).ToDatetime() < _EARLIEST
                except (ValueError, OverflowError):
                    early = True
                if early:
                    raise self._wrong(field, "not within the years 1000 to 9999")
            elif required:
                raise self._wrong(field, "missing")

    def days(self, *fields: str) -> None:
        """Check trading days, where they are given."""
        for field in fields:
            value = getattr(self._message, field)
            if value and not _is_day(value):
                raise self._wrong(field, f'"{value[:20]}" is no day like 20260309')

    def amount(self, field: str) -> None:
        """Check a price or an amount in yuan."""
        value = getattr(self._message, field)
        if not math.isfinite(value) or abs(value) >= LIMIT:
            raise self._wrong(field, f"{value:g} is not an amount below {LIMIT:,}")

    def count(self, field: str) -> None:
        """Check a number of lots."""
        value = getattr(self._message, field)
        if value < 0:
            raise self._wrong(field, f"{value} is below 0")

    def document(self, field: str) -> None:
        """Check a JSON object."""
        try:
            document = plain(getattr(self._message, field), DOCUMENT_LEVELS)
        except ValueError as error:
            raise self._wrong(field, str(error)) from error
        size = len(orjson.dumps(document))
        if size > DOCUMENT_BYTES:
            raise self._wrong(field, f"{size} bytes as JSON, at most {DOCUMENT_BYTES} are kept")

    def _known(self, field: str, number: int) -> None:
        if number not in self._message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number:
            raise self._wrong(field, f"{number} is not in this version's contract")

    def _wrong(self, field: str, why: str) -> InvalidField:
        return InvalidField(self._path + field, why)


def _is_day(text: str) -> bool:
    try:
        return len(text) == 8 and text.isascii() and text.isdigit() and bool(date.fromisoformat(text))
    except ValueError:
        return False
