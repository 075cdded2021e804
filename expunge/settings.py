"""Settings of one workspace: `EXPUNGE_*` in the environment, then `expunge.toml`, then defaults.

The defaults need no server: SQLite for ledger and MLflow, a folder as DVC remote.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from expunge.errors import TerminalError


class Settings(BaseSettings):
    """Where the parts of one workspace live."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_", extra="forbid", frozen=True)

    ledger_url: SecretStr = Field(description="SQLAlchemy URL of the ledger")
    mlflow_tracking_uri: str = Field(description="MLflow store, and registry unless given")
    mlflow_artifacts: str | None = Field(None, description="artifact root of new experiments")
    keys: Path = Field(description="folder of the key files, outside every database")
    state: Path = Field(description="staging, sealed rows, scratch copies, unlearning jobs")
    lease_seconds: float = Field(60.0, gt=0.1, description="a dataset's lock without renewal")
    git_remote: str | None = Field(None, description="git remote that publish pushes to")
    max_batch: int = Field(10_000, ge=1, description="targets of one batch at most")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file before defaults (passed as init by `load_settings`)."""
        return (env_settings, TomlConfigSettingsSource(settings_cls), init_settings)


def load_settings(root: Path) -> Settings:
    """Settings of the workspace at `root`; relative folders are below it."""
    private = root / ".expunge"
    defaults: dict[str, Any] = {
        "ledger_url": f"sqlite:///{private / 'ledger.db'}",
        "mlflow_tracking_uri": f"sqlite:///{private / 'mlflow.db'}",
        "mlflow_artifacts": (private / "mlartifacts").as_uri(),
        "keys": private / "keys",
        "state": private,
    }
    file = root / "expunge.toml"

    class InWorkspace(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        settings = InWorkspace(**defaults)
    except tomllib.TOMLDecodeError as error:
        raise TerminalError(f"expunge.toml is not TOML: {error}", fix="edit expunge.toml") from None
    except ValidationError as error:
        fields = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise TerminalError(
            f"The settings cannot be used: {fields}.",
            fix="mend expunge.toml or the EXPUNGE_* variables",
        ) from None
    folders = {"keys": root / settings.keys, "state": root / settings.state}
    return settings.model_copy(update=folders)
