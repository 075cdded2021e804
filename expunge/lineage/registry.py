"""Model versions in MLflow: registered once per effect key, promoted by alias, fetched to unlearn.

What always holds: a version with tag `expunge.effect=KEY` is complete, because it is the last
thing that `register` writes; a replay finds it, or deletes the half-made run and starts over.
The ledger is the lineage of record; this holds pointers. What a registry serves is never loaded
here: whoever may write to it could put code there. Only safetensors and JSON are read.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expunge.errors import TerminalError
from expunge.lineage.aliases import Aliases
from expunge.lineage.candidate import (
    MODEL_FILE,
    WEIGHTS_FILE,
    Candidate,
    Registered,
    SavedModel,
)
from expunge.lineage.connection import UnknownModelVersionError, mlflow_errors
from expunge.lineage.packaging import OWN_FOLDER
from expunge.lineage.runs import Run, discard_runs

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# Without it MLflow opens an experiment on its pages for language models.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_ADDED_BY_DOWNLOAD = "registered_model_meta"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/@+#=-]{0,499}")


@dataclass(frozen=True)
class Registry(Aliases):
    """The tracking store and model registry of one workspace. Opening it costs nothing: MLflow
    is imported, and the store reached, at the first question.
    """

    def find(self, effect_key: str) -> Registered | None:
        """The version registered under an effect key, if there is one."""
        with mlflow_errors("look for a model version"):
            for found in self._made(effect_key):
                return Registered(found.name, str(found.version), found.run_id)
        return None

    def register(self, candidate: Candidate) -> Registered:
        """Log the candidate and make it a version of its model; idempotent by effect key."""
        if found := self.find(candidate.effect_key):
            return found
        left = "No model version was made; a half-made run is deleted by the next attempt."
        with mlflow_errors(f"register a version of {candidate.model!r}", left=left):
            experiment = self._experiment(candidate.model)
            discard_runs(self.client, experiment, candidate.effect_key)
            run = Run.start(self.client, experiment, candidate)
            run.log_facts(candidate, self._parent_model_id(candidate))
            with self.passing() as folder:
                run.log_files(candidate, folder)
            run.finish()
            self._name(candidate.model)
            version = self.client.create_model_version(
                candidate.model,
                source=run.location,
                run_id=run.run_id,
                tags=candidate.all_tags,
                description=candidate.description or None,
                model_id=run.model_id,
                await_creation_for=0,
            )
            run.link(candidate.model, str(version.version))
            return self._first(candidate.effect_key)

    def _made(self, effect_key: str) -> list[ModelVersion]:
        """Versions under an effect key, oldest first."""
        condition = f"tag.`expunge.effect` = '{_checked_key(effect_key)}'"
        found = self.client.search_model_versions(condition)
        return sorted(found, key=lambda version: int(version.version))

    def _first(self, effect_key: str) -> Registered:
        """The oldest version under an effect key; younger ones are deleted.

        MLflow makes a second one where its client sends a request again whose answer was lost,
        and where a process goes on that had lost its lock.
        """
        first, *others = self._made(effect_key)
        for other in others:
            self.client.delete_model_version(other.name, other.version)
        return Registered(first.name, str(first.version), first.run_id)

    def fetch_weights(self, model: str, version: str, folder: Path) -> Path:
        """Bring a version's `weights.safetensors` and `model.json` into `folder`.

        Returns the path of the weights, checked against their digest; each file appears whole
        or not at all.
        """
        location = self._location(model, version)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
            brought = self._download(f"{location}/{OWN_FOLDER}", Path(scratch))
            SavedModel.read(brought)
            for name in (MODEL_FILE, WEIGHTS_FILE):
                (brought / name).replace(folder / name)
        return folder / WEIGHTS_FILE

    @contextmanager
    def fetched(self, model: str, version: str) -> Iterator[Path]:
        """All artifacts of a version, whoever registered it, in a folder of passing copies."""
        location = self._location(model, version)
        with self.passing() as scratch:
            yield self._download(location, scratch)

    def digest(self, model: str, version: str) -> str:
        """SHA-256 of every file that a version was registered with, names and bytes."""
        total = hashlib.sha256()
        with self.fetched(model, version) as folder:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                if path.name != _ADDED_BY_DOWNLOAD:
                    with path.open("rb") as file:
                        own = hashlib.file_digest(file, "sha256").hexdigest()
                    total.update(f"{path.relative_to(folder).as_posix()}\0{own}\n".encode())
        return total.hexdigest()

    def table(self, model: str, version: str) -> list[dict[str, Any]]:
        """The metric table that was logged with a version."""
        found = self._version(model, version)
        with mlflow_errors(f"read the run of version {version} of {model!r}"):
            artifacts = self.client.get_run(found.run_id).info.artifact_uri
        with self.passing() as scratch:
            file = self._download(f"{artifacts}/metrics.json", scratch)
            rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return rows

    def _experiment(self, model: str) -> str:
        from mlflow.exceptions import MlflowException

        name = f"expunge/{model}"
        if found := self.client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(name, self._artifact_root(model), _KIND))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)

    def _artifact_root(self, model: str) -> str | None:
        """Where a model's artifacts go; a server decides that itself unless told a real store."""
        root = self.artifacts
        if root is None or (self.uri.startswith("http") and root.startswith("file:")):
            return None
        return f"{root.rstrip('/')}/{model}"

    def _name(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(model, tags={"expunge.governed": "true"})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _parent_model_id(self, candidate: Candidate) -> str | None:
        """MLflow's id of the parent's logged model; None for a parent that was purged."""
        if candidate.parent is None:
            return None
        try:
            run = self.client.get_run(self._version(candidate.model, candidate.parent).run_id)
        except UnknownModelVersionError:
            return None
        made = run.outputs.model_outputs if run.outputs else []
        return str(made[0].model_id) if made else None


def _checked_key(effect_key: str) -> str:
    """An effect key that can stand in a search condition."""
    if not _KEY.fullmatch(effect_key):
        raise TerminalError(
            "An effect key holds a character that MLflow's search cannot quote.",
            fix="build keys from letters, digits and : . _ / @ + # = -",
        )
    return effect_key
