"""The time that this service gives to what it is told."""

from datetime import UTC, datetime


def now() -> datetime:
    """Give the time as the tables keep it: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)
