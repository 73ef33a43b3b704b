"""Which refused logins count, and what makes them count no more."""

from pathlib import Path

import pytest

from trade_svc.tries import LoginTries

TODAY, TOMORROW = "20261125", "20261126"
CREDENTIALS = ("tcp://broker:1", "9999", "sim", "app", "code", "secret-password")


def spent(directory: Path) -> LoginTries:
    """Give a budget of two tries that is spent."""
    tries = LoginTries(directory / "refused.json", CREDENTIALS, 2)
    for _ in range(2):
        assert tries.locked(TODAY) == ""
        tries.refuse("CTP error 3", TODAY)
    return tries


def test_after_so_many_refusals_none_is_tried_that_day(tmp_path: Path) -> None:
    """The reason names how many, why, and the file."""
    reason = spent(tmp_path).locked(TODAY)
    assert "refused 2 logins today, the last by CTP error 3" in reason
    assert str(tmp_path / "refused.json") in reason


def test_the_next_day_begins_anew(tmp_path: Path) -> None:
    """Brokers count by day too; a day still to come is a clock set back, and counts."""
    tries = spent(tmp_path)
    assert tries.locked(TOMORROW) == ""
    assert tries.locked("20261124") != ""
    assert "1 of 2 refusals today" in tries.refuse("CTP error 3", TOMORROW)


@pytest.mark.parametrize("changed", range(len(CREDENTIALS)))
def test_other_credentials_begin_anew(tmp_path: Path, changed: int) -> None:
    """Whoever mended the password need not find a file."""
    spent(tmp_path)
    others = [f"other {one}" if at == changed else one for at, one in enumerate(CREDENTIALS)]
    assert LoginTries(tmp_path / "refused.json", others, 2).locked(TODAY) == ""


def test_who_deletes_the_file_may_try_again(tmp_path: Path) -> None:
    """As the reason says."""
    tries = spent(tmp_path)
    (tmp_path / "refused.json").unlink()
    assert tries.locked(TODAY) == ""


def test_the_file_keeps_no_secret(tmp_path: Path) -> None:
    """Only its owner reads it, and the same secrets look different each time."""
    spent(tmp_path)
    path = tmp_path / "refused.json"
    first = path.read_text()
    assert not any(one in first for one in CREDENTIALS[:1] + CREDENTIALS[4:])
    assert path.stat().st_mode & 0o077 == 0
    path.unlink()
    spent(tmp_path)
    assert path.read_text().splitlines()[-2] != first.splitlines()[-2]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"day": "20261125"}'])
def test_a_file_that_cannot_be_read_allows_no_login(tmp_path: Path, text: str) -> None:
    """What it would have said is not known; nothing is overwritten."""
    path = tmp_path / "refused.json"
    path.write_text(text)
    tries = LoginTries(path, CREDENTIALS, 2)
    assert f"{path} cannot be read" in tries.locked(TODAY)
    assert "not counted" in tries.refuse("CTP error 3", TODAY)
    assert path.read_text() == text


def test_a_refusal_that_cannot_be_counted_is_said(tmp_path: Path) -> None:
    """The service stays up with it: to end would be to try again."""
    tries = LoginTries(tmp_path / "gone" / "refused.json", CREDENTIALS, 2)
    reason = tries.refuse("CTP error 3", TODAY)
    assert reason.startswith("CTP error 3; not counted in")
    assert "do not restart" in reason
