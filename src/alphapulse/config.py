"""Secure Configs: every setting, read once, at the root.

Each package declares its own small model; here they come together. Values come, strongest first,
from the command line, from the environment (``ALPHAPULSE_DATABASE__URL``), from
``alphapulse.toml`` in the data folder, and from the defaults, which are safe: this machine only,
SQLite, nothing is traded.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from alphapulse.alerting.manager import AlertingSettings
from alphapulse.api.settings import ApiSettings
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import ConfigurationInvalid
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.observability.logging import LoggingSettings
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.services.trading_settings import TradingSettings

SETTINGS_FILE = "alphapulse.toml"
LOG_FILE = "alphapulse.log"


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix="ALPHAPULSE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Path
    """Folder of the database, the master key and the log; only its owner may read it."""

    mode: Literal["live", "demo"] = "live"
    """``demo``: accounts are on the simulated exchange and everything shown is marked so."""

    mailbox_capacity_events: int = Field(default=20_000, ge=100)
    """Per reader: some seconds of every market of two venues; a slower reader loads anew."""

    database: DatabaseSettings
    exchanges: ExchangesSettings = ExchangesSettings()
    sync: SyncSettings = SyncSettings()
    execution: ExecutionSettings = ExecutionSettings()
    trading: TradingSettings = TradingSettings()
    rebalance: RebalanceSettings = RebalanceSettings()
    api: ApiSettings = ApiSettings()
    alerting: AlertingSettings = AlertingSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The strongest first; file, database and log are those of the data folder."""
        data_dir: Path = init_settings()["data_dir"]
        file = TomlConfigSettingsSource(settings_cls, data_dir / SETTINGS_FILE)
        own = {
            "database": {"url": f"sqlite:///{data_dir / 'db'}"},
            "logging": {"file": data_dir / LOG_FILE},
        }
        return (
            init_settings,
            _Environment(settings_cls),
            file,
            InitSettingsSource(settings_cls, own),
        )


class _Environment(EnvSettingsSource):
    """Also hands on what nobody reads, so that a misspelt name is refused like any other."""

    def __call__(self) -> dict[str, Any]:
        prefix, known = self.env_prefix.lower(), self.settings_cls.model_fields
        groups = {
            name.removeprefix(prefix).partition("__")[0]: value
            for name, value in self.env_vars.items()
            if name.startswith(prefix)
        }
        return super().__call__() | {n: value for n, value in groups.items() if n not in known}


def load_settings(data_dir: Path, **given: Any) -> Settings:
    """Read the settings of one data folder, which is made if it is not there.

    Args:
        given: What the command line says; it is stronger than everything else.

    Raises:
        ConfigurationInvalid: A value is missing, unknown or impossible; every one is named.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    given = {"data_dir": data_dir, **{name: value for name, value in given.items() if value}}

    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(e['loc'])}: {e['msg']}" for e in error.errors())
        raise ConfigurationInvalid(wrong, folder=str(data_dir)) from None
    except SettingsError as error:  # only the environment has lists and tables in a text
        raise ConfigurationInvalid(f"a value in the environment is not JSON: {error}") from None
    except ValueError as error:  # the file is not TOML
        raise ConfigurationInvalid(f"{SETTINGS_FILE} is not readable: {error}") from error


def _variable(path: tuple[int | str, ...]) -> str:
    return "ALPHAPULSE_" + "__".join(str(part).upper() for part in path)
