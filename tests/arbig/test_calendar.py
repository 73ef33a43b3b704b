"""The exchange's dates and times."""

from datetime import UTC, datetime

import pytest

from arbig.calendar import exchange_time


def test_a_friday_night_tick_is_on_friday() -> None:
    """ActionDay is the natural day at SHFE: 21:00 in Shanghai is 13:00 UTC."""
    time = exchange_time("20240412", "21:00:00", 500)
    assert time is not None
    assert time.ToDatetime(UTC) == datetime(2024, 4, 12, 13, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(
    ("day", "clock"),
    [("", "09:00:00"), ("20240230", "09:00:00"), ("2024041x", "09:00:00"), ("20240412", ""), ("20240412", "24:00:00"),
     ("20240412", "09:60:00"), ("20240412", "09-00-00"), ("20240412", "0x:00:00")],
)  # fmt: skip
def test_what_is_no_time_is_absent_and_not_guessed(day: str, clock: str) -> None:
    """An exchange that sends no date has no event time."""
    assert exchange_time(day, clock) is None
