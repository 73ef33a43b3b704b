"""A recorded day becomes exactly the ticks, flags and bars that its text says."""

from pathlib import Path

import pytest

from tests.mesh.harness import RECORDED, recorded_day
from tests.recorded.play import disagreements, heard

OTHERS = [path for path in sorted(RECORDED.glob("*.csv.gz")) if path.name != "ru1901-20181009.csv.gz"]


async def test_a_recorded_day_is_what_its_text_says(tmp_path: Path) -> None:
    """Through the vendor's library: each row a tick with its flags, and the bars as SQL reckons them."""
    day = recorded_day(tmp_path)
    assert list(disagreements(day, await heard(day, tmp_path / "mesh"))) == []


@pytest.mark.long
@pytest.mark.parametrize("day", OTHERS, ids=[path.name.split(".")[0] for path in OTHERS])
async def test_every_recorded_day_is_what_its_text_says(day: Path, tmp_path: Path) -> None:
    """Days without a night, after a holiday, and of an exchange with other manners."""
    assert list(disagreements(day, await heard(day, tmp_path / "mesh"))) == []
