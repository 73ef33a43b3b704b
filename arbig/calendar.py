"""When something happened, by the exchange's own words: dates and times of Shanghai, never ours."""

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

# China has had no summer time since 1991.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
_OFFSET = 8 * 3600


@lru_cache(maxsize=16)
def _midnight(day: str) -> int | None:
    """Seconds since 1970 at which the day YYYYMMDD begins in Shanghai; None if it is no day."""
    if len(day) != 8 or not day.isdigit():
        return None
    try:
        begins = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
    except ValueError:
        return None
    return int(begins.timestamp()) - _OFFSET


@lru_cache(maxsize=4_096)
def exchange_second(day: str, clock: str) -> int | None:
    """Give the instant of `clock` "HH:MM:SS" on the natural day YYYYMMDD, in seconds since 1970.

    None if either is no such thing.
    """
    begins = _midnight(day)
    if begins is None or len(clock) != 8 or clock[2] != ":" or clock[5] != ":":
        return None
    hours, minutes, seconds = clock[:2], clock[3:5], clock[6:]
    if not (hours + minutes + seconds).isdigit() or hours > "23" or minutes > "59" or seconds > "59":
        return None
    return begins + int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def exchange_time(day: str, clock: str, milliseconds: int = 0) -> Timestamp | None:
    """Give the same instant as a Timestamp."""
    second = exchange_second(day, clock)
    return None if second is None else Timestamp(seconds=second, nanos=milliseconds % 1000 * 1_000_000)
