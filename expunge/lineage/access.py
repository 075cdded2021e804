"""Reaching one MLflow store: its client, a version's record, a version's files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from expunge.lineage.connection import (
    UnknownModelVersionError,
    connect,
    log_in,
    missing,
    mlflow_errors,
)
from expunge.lineage.passing import passing, sweep_passing
from expunge.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException


_PREFIX = "mlflow-"


@contextmanager
def _elsewhere() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Access:
    """A store's address; MLflow is imported, and the store reached, at the first question.

    `artifacts` is the root for artifacts of new experiments, `scratch` the folder of passing
    copies: the system's own where None.
    """

    uri: str = field(repr=False)
    artifacts: str | None
    scratch: Path | None = None

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The store of the settings."""
        mlflow, scratch = settings.mlflow, settings.folders.state / "scratch"
        log_in(mlflow)
        return cls(mlflow.tracking_uri.get_secret_value(), mlflow.artifacts, scratch)

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client of this store."""
        return connect(self.uri)

    def prepare(self) -> None:
        """Create the tables of an empty store now (3 s with SQLite) rather than at first use."""
        with mlflow_errors("open the MLflow store"):
            self.client.search_registered_models(max_results=1)

    def _version(self, model: str, version: str) -> Any:
        from mlflow.exceptions import MlflowException

        with mlflow_errors(f"read version {version} of {model!r}"):
            try:
                return self.client.get_model_version(model, version)
            except MlflowException as error:
                absent = missing(error) or error.error_code == "INVALID_PARAMETER_VALUE"
                if not absent and not self._hidden(model, error):
                    raise
        raise UnknownModelVersionError(
            f"{model!r} has no version {version!r} in the registry.",
            fix=f"list its versions: expunge trace model {model}",
        )

    def _hidden(self, model: str, error: MlflowException) -> bool:
        """Whether a refusal only says that there is no such model.

        MLflow behind its basic-auth refuses to speak of an absent one to all but administrators.
        """
        refused: bool = error.error_code == "PERMISSION_DENIED"
        return refused and not self.client.search_registered_models(f"name = '{model}'")

    def _location(self, model: str, version: str) -> str:
        self._version(model, version)
        with mlflow_errors(f"read version {version} of {model!r}"):
            return str(self.client.get_model_version_download_uri(model, version))

    def passing(self) -> AbstractContextManager[Path]:
        """A folder for the time of one call, within the workspace's state where it has one."""
        if self.scratch is None:
            return _elsewhere()
        return passing(self.scratch, _PREFIX)

    def sweep(self) -> None:
        """Remove the passing copies of processes that were killed."""
        if self.scratch is not None:
            sweep_passing(self.scratch, _PREFIX)

    def _download(self, uri: str, folder: Path) -> Path:
        from mlflow.artifacts import download_artifacts

        with mlflow_errors("fetch artifacts"):
            return Path(
                download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self.uri)
            )
