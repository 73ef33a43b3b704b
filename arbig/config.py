"""Every setting of the mesh: `arbig.toml`, overridden by the environment, checked at start.

An unknown key is an error. `ARBIG_STORE__DATABASE` overrides `database` in `[store]`. A secret is
named by the file that holds it, never written here.
"""

import os
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from arbig.errors import ConfigError
from arbig.options import password_in_query

# Where each listener is, counted from port_base.
PORTS = {
    "market": 10,
    "trade": 20,
    "store": 30,
    "bridge": 40,
    "front_market": 50,
    "front_trade": 51,
    "front": 52,
    "edge": 80,
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ctp(_Section):
    """Who logs in to CTP, and where. In simulation the front is ours, on loopback."""

    broker_id: str = "sim"
    account_id: str = Field("sim001", description="CTP's InvestorID; it is the UserID too")
    app_id: str = "arbig_sim_1"
    password_file: Path | None = None
    auth_code_file: Path | None = None
    market_front: str = Field("", description="tcp://host:port, or several with commas; empty means the local front")
    trade_front: str = Field("", description="tcp://host:port, or several with commas; empty means the local front")
    production: bool = Field(True, description="false for a broker's evaluation fronts")

    @field_validator("market_front", "trade_front")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for front in value.split(",") if value else []:
            if not re.fullmatch(r"(tcp|ssl)://[^\s:/]+:\d{1,5}", front):
                raise ValueError(f"{front!r} is not tcp://host:port")
        return value


class Front(_Section):
    """The simulated exchange."""

    replay: list[FilePath] = []
    speed: Literal["1", "10", "max"] = "1"
    hold: bool = False
    seed: int = 1
    initial_balance: float = 1_000_000.0
    hours: Literal["auto", "keep", "open"] = Field(
        "auto", description="the exchange's sessions: auto keeps them while a recording is played, open is always open"
    )
    position_limit: int = Field(0, ge=0, description="lots on one side of a contract; more is error 106")
    orders_per_second: int = Field(0, ge=0, description="of an account; more is error 116")
    cancels_per_second: int = Field(0, ge=0, description="of an account; more is error 116")
    queries_per_second: int = Field(0, ge=0, description="of a session; more is error 90")
    max_sessions: int = Field(0, ge=0, description="of an account; one more is error 60")

    @property
    def keeps_hours(self) -> bool:
        """Whether the exchange closes."""
        return self.hours == "keep" or (self.hours == "auto" and bool(self.replay))


class Market(_Section):
    """The market service."""

    config: Path | None = Field(
        None, description="file of the market configuration; none means one in the data directory, made with defaults"
    )
    symbols: list[str] = Field(
        [], description="what the file of defaults begins with; once there is a file, that is what counts"
    )
    ring: int = Field(65_536, ge=1_024, description="ticks kept for followers that fall behind")
    holidays: FilePath | None = Field(None, description="file of the exchanges' holidays; none means the packaged one")


class Trade(_Section):
    """The trade service."""

    limits: Path | None = Field(
        None, description="file of the risk limits; none means one in the data directory, made with our defaults"
    )
    login_tries: int = Field(
        3, ge=1, description="logins that the broker may refuse in a day; then none is tried, also after a restart"
    )


class Store(_Section):
    """The storage service."""

    database: str = Field("", description="SQLAlchemy URL; empty means SQLite in the data directory")
    password_file: FilePath | None = Field(None, description="of the database's user; never in the URL")
    tls_ca: FilePath | None = Field(None, description="PEM; the database must show a certificate of this authority")
    tls_certificate: FilePath | None = Field(None, description="PEM; ours, where the database asks for one")
    tls_key: FilePath | None = Field(None, description="PEM; of our certificate")
    pool_size: int = Field(5, ge=1, le=100, description="connections kept open to the database; on MySQL twice")
    pool_overflow: int = Field(10, ge=0, le=100, description="connections more when many ask at once")
    timeout_seconds: float = Field(10.0, gt=0, description="bound on every database and Redis call")
    retries: int = Field(5, ge=0, le=100, description="of a caller's write that met a deadlock or a lock timeout")
    batch: int = Field(1_000, ge=1, le=10_000, description="events in one transaction")
    redis: str = Field(
        "", description='redis://, rediss:// or unix:// URL; empty means the embedded Valkey, "none" means no ticks'
    )
    redis_user: str = Field("", description="ACL user; empty means the default user")
    redis_password_file: FilePath | None = None
    archive: str = Field(
        "", description='directory of the ticks\' Parquet files; empty means in the data directory, "none" means none'
    )
    tick_days: int = Field(5, ge=1, description="trading days kept in Redis where there is no archive")
    log_days: int = Field(30, ge=1, description="days that system_logs are kept")
    backup_directory: str = Field("", description="empty means in the data directory")
    backup_hours: float = Field(24.0, ge=0, description="between two backups; 0 means none are made")
    backup_keep: int = Field(7, ge=1, description="backups kept; older ones are removed")

    @field_validator("redis")
    @classmethod
    def _hidden(cls, value: str) -> str:
        if password_in_query(value):
            raise ValueError("a password in its query would be shown: name its file in redis_password_file")
        return value


class Bridge(_Section):
    """The browser's bridge."""

    origins: list[str] = Field([], description="origins that may connect besides the bridge's own page")


class Edge(_Section):
    """The Envoy edge."""

    enabled: bool = True


class Settings(BaseSettings):
    """All of it; each service reads its own section and the addresses of its peers."""

    model_config = SettingsConfigDict(env_prefix="ARBIG_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data: Path = Path("data")
    host: str = "127.0.0.1"
    port_base: int = Field(7100, ge=1024, le=32_768 - 100)
    mode: Literal["simulation", "live"] = "simulation"
    log_format: Literal["text", "json"] = "text"
    ctp: Ctp = Ctp()
    front: Front = Front()
    market: Market = Market()
    trade: Trade = Trade()
    store: Store = Store()
    bridge: Bridge = Bridge()
    edge: Edge = Edge()

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @model_validator(mode="after")
    def _live_on_purpose(self) -> Self:
        wanted = {
            "ctp.market_front": self.ctp.market_front,
            "ctp.trade_front": self.ctp.trade_front,
            "trade.limits": self.trade.limits,
        }
        if self.mode == "live" and (missing := [name for name, value in wanted.items() if not value]):
            raise ValueError(f"mode: live trading needs {', '.join(missing)}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment over the file, and nothing else."""
        path = os.environ.get("ARBIG_CONFIG", "arbig.toml")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    def address(self, listener: str) -> str:
        """Give "host:port" of a listener named in PORTS."""
        return f"{self.host}:{self.port_base + PORTS[listener]}"

    def directory(self, service: str) -> Path:
        """Give the service's own directory in the data directory, made if missing.

        Raises ConfigError where it cannot be written.
        """
        path = self.data / service
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / ".writable").touch()
            (path / ".writable").unlink()
        except OSError as error:
            raise ConfigError(f"data directory {path} cannot be written: {error.strerror}") from error
        return path


def load() -> Settings:
    """Read the settings; raises ConfigError that names each key that is wrong."""
    unknown = [name for name in os.environ if name.startswith("ARBIG_") and not _known(name)]
    if unknown:
        raise ConfigError(f"unknown setting in the environment: {', '.join(sorted(unknown))}")
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError(f"bad configuration: {'; '.join(map(_wrong, error.errors()))}") from error


def _wrong(error: ErrorDetails) -> str:
    # Other values may hold a password.
    value = f" ({error['input']})" if error["type"] == "path_not_file" else ""
    where = ".".join(map(str, error["loc"]))
    return f"{where}: {error['msg']}{value}" if where else error["msg"].removeprefix("Value error, ")


def _known(name: str) -> bool:
    if name in {"ARBIG_CONFIG", "ARBIG_LIVE"}:
        return True
    first, _, rest = name.removeprefix("ARBIG_").lower().partition("__")
    field = Settings.model_fields.get(first)
    if field is None or not rest:
        return field is not None
    section = field.annotation
    return isinstance(section, type) and issubclass(section, BaseModel) and rest in section.model_fields
