"""Settings: the file, the environment over it, and clear errors."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from arbig import config
from arbig.errors import ConfigError

DOCUMENTED = Path(__file__).parents[2] / "deploy" / "arbig.toml"


def defaults(model: BaseModel) -> dict[str, Any]:
    """Give what the settings are when nobody sets them, without what a file cannot say."""
    values = model.model_dump(mode="json", exclude={"data"}, exclude_none=True)
    return dict(values)


def test_the_documented_file_has_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file says is what happens without it."""
    monkeypatch.setenv("ARBIG_CONFIG", "nowhere.toml")
    documented = tomllib.loads(DOCUMENTED.read_text())
    documented.pop("data")
    assert documented == defaults(config.load())


def test_the_documented_file_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be copied as it is."""
    monkeypatch.setenv("ARBIG_CONFIG", str(DOCUMENTED))
    assert config.load().port_base == 7100


def test_the_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable for one setting."""
    monkeypatch.setenv("ARBIG_CONFIG", str(DOCUMENTED))
    monkeypatch.setenv("ARBIG_STORE__BATCH", "7")
    monkeypatch.setenv("ARBIG_PORT_BASE", "8100")
    settings = config.load()
    assert (settings.store.batch, settings.address("trade")) == (7, "127.0.0.1:8120")


@pytest.mark.parametrize("fronts", ["host:1", "tcp://host", "tcp://a:1, tcp://b:2", "tcp://a:1,"])
def test_a_front_without_an_address_is_an_error(fronts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would try to connect for ever and say nothing."""
    monkeypatch.setenv("ARBIG_CTP__TRADE_FRONT", fronts)
    with pytest.raises(ConfigError, match=r"trade_front.* is not tcp://host:port"):
        config.load()


@pytest.mark.parametrize("name", ["ARBIG_PORTBASE", "ARBIG_STORE__BATCHES", "ARBIG_STORE"])
def test_a_misspelt_variable_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not be silently without effect."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=name if name != "ARBIG_STORE" else "store"):
        config.load()
