"""The file of limits: what it may hold, and how it is changed."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from arbig.errors import ConfigError, InvalidField, Unavailable
from arbig.trade.v1 import trade_pb2 as pb
from trade_svc import limits


def test_the_defaults_are_kept_as_they_are(tmp_path: Path) -> None:
    """What is written is what is read."""
    made = limits.made(limits.DEFAULTS, "sim")
    limits.save(tmp_path / "limits.toml", made)
    assert limits.load(tmp_path / "limits.toml", "sim") == made


def test_what_the_file_does_not_name_is_no_limit(tmp_path: Path) -> None:
    """A file of one line is a file."""
    (tmp_path / "limits.toml").write_text("max_order_volume = 5\n")
    assert limits.load(tmp_path / "limits.toml", "sim") == pb.RiskLimits(account_id="sim", max_order_volume=5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_ordr_volume = 5", "max_ordr_volume: is no limit; the limits are max_order_volume"),
        ("account_id = 'x'", "account_id: is no limit"),
        ("max_order_volume = -1", "max_order_volume: must be 0 to 2,147,483,647, got -1"),
        ("max_order_volume = 3000000000", "must be 0 to 2,147,483,647"),
        ("max_order_volume = 1.5", "max_order_volume: must be a whole number, got 1.5"),
        ("max_order_volume = true", "must be a whole number"),
        ("price_band = nan", "price_band: must be 0 to"),
        ("price_band = inf", "price_band: must be 0 to"),
        ("price_band = '2%'", "price_band: must be a number, got '2%'"),
        ("allow_self_cross = 1", "allow_self_cross: must be true or false"),
        ("max_order_volume", "limits.toml"),
        ("\x00", "limits.toml"),
    ],
)
def test_a_bad_file_is_named_with_its_line_of_reasoning(text: str, words: str, tmp_path: Path) -> None:
    """The service does not start on it."""
    (tmp_path / "limits.toml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        limits.load(tmp_path / "limits.toml", "sim")
    assert words in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A live account must not trade without its limits."""
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        limits.load(tmp_path / "none.toml", "sim")


def test_a_change_takes_what_the_mask_names() -> None:
    """The others stay, also those that are 0 in the request."""
    before = pb.RiskLimits(account_id="sim", max_order_volume=5, max_open_orders=7)
    wanted = pb.RiskLimits(max_order_volume=9)
    after = limits.changed(before, wanted, FieldMask(paths=["max_order_volume"]))
    assert (after.max_order_volume, after.max_open_orders) == (9, 7)
    assert limits.changed(before, pb.RiskLimits(), FieldMask(paths=["max_open_orders"])).max_open_orders == 0


@pytest.mark.parametrize(
    ("values", "paths", "field", "reason"),
    [
        ({}, [], "update_mask", "MISSING"),
        ({}, ["account_id"], "update_mask", "UNKNOWN_LIMIT"),
        ({}, ["max_ordr_volume"], "update_mask", "UNKNOWN_LIMIT"),
        ({"max_order_volume": -1}, ["max_order_volume"], "max_order_volume", "BAD_LIMIT"),
        ({"price_band": float("nan")}, ["price_band"], "price_band", "BAD_LIMIT"),
    ],
)
def test_a_bad_change_changes_nothing(values: dict[str, Any], paths: list[str], field: str, reason: str) -> None:
    """It names the field, with a stable reason."""
    before = pb.RiskLimits(account_id="sim", max_order_volume=5)
    with pytest.raises(InvalidField) as raised:
        limits.changed(before, pb.RiskLimits(**values), FieldMask(paths=paths))
    assert (raised.value.field, raised.value.reason) == (field, reason)
    assert before.max_order_volume == 5


def test_limits_that_cannot_be_kept_are_not_changed(tmp_path: Path) -> None:
    """They would be gone after the next start."""
    with pytest.raises(Unavailable, match="nothing changed"):
        limits.save(tmp_path / "no" / "limits.toml", pb.RiskLimits())
