"""One MLflow run per batch, with its report; the candidates' plots read back for it.

The run of a batch lies in an experiment of its dataset, beside those of the models: it is there
whether models were unlearned, held or not concerned. What always holds: a run that is finished is
complete, since finishing it is the last thing that is written; a half-made one is deleted by the
next attempt.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from expunge.lineage.connection import RegistryRefusedError, mlflow_errors
from expunge.lineage.registry import Registry
from expunge.lineage.runs import discard_runs

_PLOTS = "plots"


@dataclass(frozen=True)
class BatchRun:
    """What is logged of a batch. `files` by name; `description` is Markdown for MLflow's page."""

    effect_key: str
    batch_id: str
    dataset: str
    description: str
    files: Mapping[str, str] = field(repr=False)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LoggedRun:
    """The run of a batch, and the address of its artifacts."""

    run_id: str
    experiment_id: str
    artifacts: str


@dataclass(frozen=True)
class BatchRuns(Registry):
    """The same store, for the runs of batches."""

    def find_run(self, effect_key: str, dataset: str) -> LoggedRun | None:
        """The finished run under an effect key, if there is one."""
        with mlflow_errors("look for the run of a batch"):
            found = self.client.search_runs(
                [self._experiment(_place(dataset))],
                f"tags.`expunge.effect` = '{effect_key}' and attributes.status = 'FINISHED'",
                max_results=1,
            )
            return _logged(found[0]) if found else None

    def log_run(self, made: BatchRun) -> LoggedRun:
        """Log a batch's report as a run; idempotent by effect key."""
        if found := self.find_run(made.effect_key, made.dataset):
            return found
        left = "The batch itself is as it was; a half-made run is deleted by the next attempt."
        with mlflow_errors("log the report of a batch", left=left):
            experiment = self._experiment(_place(made.dataset))
            discard_runs(self.client, experiment, made.effect_key)
            run = self.client.create_run(experiment, tags=_tags(made), run_name=made.batch_id)
            self.client.log_batch(run.info.run_id, metrics=_metrics(made))
            for name, text in made.files.items():
                self.client.log_text(run.info.run_id, text, name)
            self.client.set_terminated(run.info.run_id, "FINISHED")
            return _logged(run)

    def plots(self, run_id: str) -> dict[str, bytes]:
        """The pictures of a candidate's run by file name; none of a run that was purged."""
        try:
            with mlflow_errors("read the plots of a run"):
                if not self.client.list_artifacts(run_id, _PLOTS):
                    return {}
                root = self.client.get_run(run_id).info.artifact_uri
        except RegistryRefusedError:
            return {}
        with self.passing() as scratch:
            folder = self._download(f"{root}/{_PLOTS}", scratch)
            return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}

    @property
    def pages(self) -> str | None:
        """Address of MLflow's web pages; None where the store has no server."""
        return self.uri.rstrip("/") if self.uri.startswith(("http://", "https://")) else None


def _place(dataset: str) -> str:
    """The experiment's name; no model's, since a model's name has no slash."""
    return f"batches/{dataset}"


def _tags(made: BatchRun) -> dict[str, str]:
    ours = {
        "expunge.effect": made.effect_key,
        "expunge.batch_id": made.batch_id,
        "expunge.kind": "batch",
        "mlflow.note.content": made.description,
    }
    return {**made.tags, **ours}


def _metrics(made: BatchRun) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, 0) for name, value in made.metrics.items()]


def _logged(run: Any) -> LoggedRun:
    info = run.info
    return LoggedRun(str(info.run_id), str(info.experiment_id), str(info.artifact_uri))
