"""Every setting there is, one class per concern.

A new setting is a field here, with its description; a new concern is a class, and a field of
`Settings`. The name in the environment is the class's prefix and the field's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from expunge.settings.concern import Concern


class LedgerSettings(Concern):
    """The database of requests, batches and events."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_LEDGER_")

    url: SecretStr = Field(description="SQLAlchemy URL: a SQLite file, or PostgreSQL")

    @classmethod
    def defaults(cls, root: Path) -> dict[str, Any]:
        """A SQLite file of the workspace."""
        return {"url": f"sqlite:///{root / '.expunge' / 'ledger.db'}"}


class MlflowSettings(Concern):
    """The store of runs and models."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_MLFLOW_")

    tracking_uri: SecretStr = Field(
        description="store and registry: URL of a server, or of a database"
    )
    artifacts: str | None = Field(
        None, description="artifact root of new experiments; not a server's"
    )
    username: str | None = Field(None, description="user of a server that asks for a login")
    password: SecretStr | None = Field(None, description="password of that user")

    @classmethod
    def defaults(cls, root: Path) -> dict[str, Any]:
        """SQLite and a folder, both of the workspace."""
        private = root / ".expunge"
        return {
            "tracking_uri": f"sqlite:///{private / 'mlflow.db'}",
            "artifacts": (private / "mlartifacts").as_uri(),
        }


class FolderSettings(Concern):
    """Folders; relative ones are below the workspace."""

    keys: Path = Field(description="the key files, outside every database")
    state: Path = Field(description="staging, sealed rows, scratch copies, unlearning jobs")

    @classmethod
    def defaults(cls, root: Path) -> dict[str, Any]:
        """The workspace's private folder."""
        return {"keys": root / ".expunge" / "keys", "state": root / ".expunge"}

    def below(self, root: Path) -> Self:
        """Relative folders below the workspace, wherever the process stands."""
        return self.model_copy(update={"keys": root / self.keys, "state": root / self.state})


class GitSettings(Concern):
    """The git repository that holds the pointers to dataset versions."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_GIT_")

    remote: str | None = Field(None, description="name of the git remote that publish pushes to")

    @field_validator("remote")
    @classmethod
    def _without_password(cls, remote: str | None) -> str | None:
        if remote and re.search(r"//[^/@]*:[^@]*@", remote):
            raise ValueError(
                "a password does not belong here: name a remote (git remote add), and keep the "
                "password in a git credential helper"
            )
        return remote


class BatchSettings(Concern):
    """What goes into a batch."""

    max_batch: int = Field(10_000, ge=1, description="targets of one batch at most")


class ScheduleSettings(Concern):
    """What a scheduled run takes upon itself."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_SCHEDULE_")

    urgent_days: int = Field(
        5, ge=0, description="a deadline so many days away is near: it does not wait for the night"
    )
    batches: int = Field(100, ge=1, description="batches of one run at most")
    hours: float = Field(12, gt=0, description="after these a run begins no further batch")


class PlacementSettings(Concern):
    """Where models are unlearned."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_PLACEMENT_")

    deployment: str | None = Field(
        None,
        description="Prefect deployment with a run for each model, such as unlearn-model/gpu; "
        "without one they are unlearned in turn, where the batch runs",
    )


class LockSettings(Concern):
    """The lock that makes one process the only writer of a dataset."""

    lease_seconds: float = Field(60.0, gt=0.1, description="a lock that nobody renews ends then")


class TaskSettings(Concern):
    """Retries of a station that met a transient error; read when the tasks are imported."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_TASK_")

    retries: int = Field(default=3, ge=0, description="how often; 0 for never")
    retry_delays: list[float] = Field(
        default=[5, 30, 120], min_length=1, description="seconds before each; the last one repeats"
    )


class LogSettings(Concern):
    """What is logged on standard error."""

    model_config = SettingsConfigDict(env_prefix="EXPUNGE_LOG_")

    format: Literal["text", "json"] = Field(
        "text", description="`json`: one object a line, progress and errors too"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level of expunge's own lines, as JSON"
    )


class Invocation(Concern):
    """What belongs to one process, not to a workspace."""

    workspace: Path = Field(Path(), description="the workspace, where `--workspace` is not given")
    secrets_dir: Path | None = Field(
        None, description="folder with a file for each secret, named like its variable"
    )
    source_url: SecretStr | None = Field(
        None, description="database that `expunge request import-table` reads"
    )
    data: Path | None = Field(
        None, description="folder of more datasets, for the benchmarks and the test suite"
    )


ENVIRONMENT_ONLY: tuple[type[Concern], ...] = (TaskSettings, LogSettings, Invocation)


@dataclass(frozen=True)
class Settings:
    """Settings of one workspace, by concern."""

    ledger: LedgerSettings
    mlflow: MlflowSettings
    folders: FolderSettings
    git: GitSettings
    batches: BatchSettings
    schedule: ScheduleSettings
    placement: PlacementSettings
    locks: LockSettings
