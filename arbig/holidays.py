"""The exchanges' holidays, read from a file: `arbig/holidays.toml`, or the one that `[market] holidays` names."""

import logging
import tomllib
from datetime import date
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from arbig.errors import ConfigError, Refused

log = logging.getLogger(__name__)

PACKAGED = Path(__file__).with_name("holidays.toml")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Evenings(_Part):
    """From one evening to another, both included."""

    first: date
    last: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"first {self.first} is after last {self.last}")
        return self


class Holidays(_Part):
    """What the file says: the weekdays of each year on which the exchanges are closed, and evenings without a night."""

    file: str
    closed: dict[int, frozenset[date]]
    no_night: tuple[Evenings, ...] = ()

    @field_validator("closed")
    @classmethod
    def _weekdays_of_their_year(cls, closed: dict[int, frozenset[date]]) -> dict[int, frozenset[date]]:
        for year, days in closed.items():
            for day in sorted(days):
                if day.year != year:
                    raise ValueError(f"{day} is no day of {year}")
                if day.weekday() >= 5:
                    raise ValueError(f"{day} is a {day:%A}, closed anyway")
        return closed

    def is_closed(self, day: date) -> bool:
        """Whether the exchanges are closed on this weekday; raises Refused for a year that is not in the file."""
        days = self.closed.get(day.year)
        if days is None:
            text = f"{self.file} has no holidays of {day.year}: the exchange's notice of that year has them"
            raise Refused(text, "HOLIDAYS_UNKNOWN")
        return day in days

    def has_night(self, evening: date) -> bool:
        """Whether there is a night session on the evening of a trading day."""
        return not any(one.first <= evening <= one.last for one in self.no_night)


class Assumed:
    """A file's holidays, and none, with a warning, in the years that it does not have: ticks come in any year."""

    def __init__(self, holidays: Holidays) -> None:
        self._holidays = holidays
        self._warned: set[int] = set()
        self.has_night = holidays.has_night

    def is_closed(self, day: date) -> bool:
        """Whether the exchanges are closed on this weekday, as far as is known."""
        try:
            return self._holidays.is_closed(day)
        except Refused as unknown:
            if day.year not in self._warned:
                self._warned.add(day.year)
                log.warning("every weekday is taken for a trading day", extra={"why": str(unknown)})
            return False


def load(path: Path | None = None) -> Holidays:
    """Read the file, the packaged one unless another is named; raises ConfigError that names what is wrong."""
    path = path or PACKAGED
    try:
        return Holidays.model_validate({**tomllib.loads(path.read_text()), "file": str(path)})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"holidays {path}: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"holidays {path}: {wrong}") from error
