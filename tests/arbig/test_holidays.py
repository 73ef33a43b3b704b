"""The exchanges' holidays, and what happens where they are not known."""

from datetime import date
from pathlib import Path

import pytest

from arbig import holidays
from arbig.calendar import Calendar
from arbig.errors import ConfigError, Refused

SOME = "[closed]\n2026 = [2026-10-01]\n"


def written(directory: Path, text: str) -> Path:
    """Write a file of holidays."""
    path = directory / "days.toml"
    path.write_text(text)
    return path


def test_the_packaged_file_has_the_years_from_2018_on() -> None:
    """Between the fifteen and the twenty weekdays that the State Council gives each year."""
    closed = holidays.load().closed
    assert sorted(closed) == list(range(2018, 2027))
    assert all(15 <= len(days) <= 20 for days in closed.values())


@pytest.mark.parametrize("day", ["20180215", "20200131", "20240209", "20241007", "20260223"])
def test_days_that_are_easily_forgotten_are_in_it(day: str) -> None:
    """What the epidemic added, and the eve that the exchanges alone took."""
    assert not Calendar(holidays.load()).is_trading_day(day)


def test_another_file_takes_its_place(tmp_path: Path) -> None:
    """It is all that counts."""
    calendar = Calendar(holidays.load(written(tmp_path, SOME)))
    assert calendar.next_day("20260930") == "20261002"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[closed]\n2026 = [2026-13-01]\n", "line 2"),
        ("[closed]\n2026 = [2026-10-03]\n", "closed: Value error, 2026-10-03 is a Saturday"),
        ("[closed]\n2026 = [2025-10-01]\n", "closed: Value error, 2025-10-01 is no day of 2026"),
        ("[closed]\n2026 = ['soon']\n", "closed.2026.0"),
        ("[closed]\nlater = []\n", "closed.later"),
        ("[open]\n", "closed: Field required; open: Extra inputs"),
        (f"{SOME}[[no_night]]\nfirst = 2026-03-02\n", "no_night.0.last: Field required"),
        (f"{SOME}[[no_night]]\nfirst = 2026-03-02\nlast = 2026-03-01\n", "first 2026-03-02 is after last 2026-03-01"),
    ],
)
def test_a_bad_file_is_refused_at_the_start_by_what_is_wrong(text: str, wrong: str, tmp_path: Path) -> None:
    """With the file's name, and the line or the key."""
    with pytest.raises(ConfigError, match=r"days\.toml") as refused:
        holidays.load(written(tmp_path, text))
    assert wrong in str(refused.value)


def test_a_year_that_is_not_in_the_file_is_not_guessed(tmp_path: Path) -> None:
    """The message says what is missing, where, and who has it."""
    calendar = Calendar(holidays.load(written(tmp_path, SOME)))
    with pytest.raises(Refused, match=r"days\.toml has no holidays of 2027: the exchange's notice") as refused:
        calendar.next_day("20261231")
    assert refused.value.reason == "HOLIDAYS_UNKNOWN"
    assert calendar.is_trading_day("20270102") is False  # a Saturday, in any year


def test_ticks_come_in_any_year_and_one_warning_a_year(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They must not stop for want of a file: weekdays count as trading days then."""
    calendar = Calendar(holidays.Assumed(holidays.load(written(tmp_path, SOME))))
    assert calendar.next_day("20260930") == "20261002"
    assert [calendar.next_day("20270101"), calendar.previous_day("20270101")] == ["20270104", "20261231"]
    assert calendar.sessions("au", "20270104")
    assert calendar.event_day("DCE", "20280105", "20280105", "21:00:00") == "20280104"
    warned = [vars(record)["why"] for record in caplog.records]
    assert ["2027" in why or "2028" in why for why in warned] == [True, True]


def test_the_night_is_left_out_from_one_evening_to_another(tmp_path: Path) -> None:
    """Both included."""
    text = f"{SOME}[[no_night]]\nfirst = 2026-03-02\nlast = 2026-03-03\n"
    known = holidays.load(written(tmp_path, text))
    assert [known.has_night(date(2026, 3, day)) for day in (1, 2, 3, 4)] == [True, False, False, True]
