"""One MLflow run per registered model: parameters, curves, dataset inputs, table and pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from expunge.lineage.candidate import Candidate, DatasetInput
from expunge.lineage.packaging import write_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput as LoggedInput
    from mlflow.entities import Metric

T = TypeVar("T")
_NOTE = "mlflow.note.content"  # shown as the description of a run
# Limits of MLflow's log_batch.
_MAX_PARAMS, _MAX_METRICS, _MAX_VALUE = 100, 1000, 6000


@dataclass(frozen=True)
class Run:
    """A run under way, and the logged model that it makes."""

    client: MlflowClient
    run_id: str
    model_id: str
    location: str

    @classmethod
    def start(cls, client: MlflowClient, experiment: str, candidate: Candidate) -> Run:
        """Open a run with the candidate's tags, its effect key among them, and its model."""
        tags = candidate.all_tags
        note = {_NOTE: candidate.description} if candidate.description else {}
        run = client.create_run(experiment, tags={**tags, **note}, run_name=candidate.run_name)
        model = client.create_logged_model(
            experiment,
            name=candidate.model,
            source_run_id=run.info.run_id,
            tags=tags,
            params=dict(_params(candidate)),
            model_type=candidate.kind,
        )
        return cls(client, run.info.run_id, model.model_id, model.artifact_location)

    def log_facts(self, candidate: Candidate, parent_model_id: str | None) -> None:
        """Parameters, metrics, curves, dataset versions and the parent model."""
        from mlflow.entities import LoggedModelInput, LoggedModelOutput, Param

        params = [Param(name, value) for name, value in _params(candidate)]
        metrics = list(_metrics(candidate, self.run_id, self.model_id))
        for some in _chunks(params, _MAX_PARAMS):
            self.client.log_batch(self.run_id, params=some)
        for many in _chunks(metrics, _MAX_METRICS):
            self.client.log_batch(self.run_id, metrics=many)
        parents = [LoggedModelInput(parent_model_id)] if parent_model_id else []
        inputs = _inputs(candidate.datasets)
        self.client.log_inputs(self.run_id, datasets=inputs, models=parents)
        self.client.log_outputs(self.run_id, models=[LoggedModelOutput(self.model_id, step=0)])

    def log_files(self, candidate: Candidate, scratch: Path) -> None:
        """The metric table, JSON artifacts and pictures of the run, and the model's folder."""
        from mlflow.models import Model

        own = scratch / "run"
        own.mkdir()
        _write_artifacts(candidate, own)
        self.client.log_artifacts(self.run_id, str(own))
        described = Model(
            artifact_path=self.location,
            run_id=self.run_id,
            model_id=self.model_id,
            model_uuid=self.model_id,
        )
        write_model(candidate, described, scratch / "model")
        self.client.log_model_artifacts(self.model_id, str(scratch / "model"))

    def link(self, model: str, version: str) -> None:
        """Let MLflow's page of the logged model show its version; only a server does so itself."""
        versions = json.dumps([{"name": model, "version": int(version)}])
        self.client.set_logged_model_tags(self.model_id, {"mlflow.modelVersions": versions})

    def finish(self) -> None:
        """Mark the model ready and the run finished."""
        self.client.finalize_logged_model(self.model_id, "READY")
        self.client.set_terminated(self.run_id, "FINISHED")


def discard_runs(client: MlflowClient, experiment: str, effect_key: str) -> int:
    """Delete what a killed attempt left under an effect key; number of runs."""
    from mlflow.entities import ViewType

    condition = f"tags.`expunge.effect` = '{effect_key}'"
    runs = client.search_runs([experiment], condition, ViewType.ACTIVE_ONLY)
    for run in runs:
        models = f"source_run_id = '{run.info.run_id}'"
        for model in client.search_logged_models([experiment], models):
            client.delete_logged_model(model.model_id)
        client.set_terminated(run.info.run_id, "KILLED")
        client.delete_run(run.info.run_id)
    return len(runs)


def _params(candidate: Candidate) -> Iterator[tuple[str, str]]:
    factory = candidate.factory
    own = {"factory": factory.reference, "source_digest": factory.source_digest}
    own |= {f"args.{name}": value for name, value in factory.args.items()}
    for name, value in {**own, **candidate.params}.items():
        yield name, str(value)[:_MAX_VALUE]


def _metrics(candidate: Candidate, run_id: str, model_id: str) -> Iterator[Metric]:
    """Final metrics, tied to the logged model, and a point per epoch for every curve."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    version = candidate.datasets[0]
    for name, value in candidate.metrics.items():
        yield Metric(
            name,
            float(value),
            now,
            0,
            model_id=model_id,
            run_id=run_id,
            dataset_name=version.name,
            dataset_digest=version.md5,
        )
    for name, values in candidate.curves.items():
        for epoch, value in enumerate(values, start=1):
            yield Metric(name, float(value), now, epoch)


def _inputs(datasets: Iterable[DatasetInput]) -> list[LoggedInput]:
    """A dataset input per version; MLflow keeps one, so rows of the same version go together."""
    versions: dict[tuple[str, str], DatasetInput] = {}
    for each in datasets:
        key = (each.name, each.md5)
        same = versions.get(key, each)
        versions[key] = replace(each, rows={**same.rows, **each.rows})
    return [_input(version) for version in versions.values()]


def _input(version: DatasetInput) -> LoggedInput:
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput as LoggedInput
    from mlflow.entities import InputTag

    from expunge.lineage.dvc_source import DvcDatasetSource

    source = DvcDatasetSource(version.name, version.md5, version.commit, version.ordinal)
    pointer = MetaDataset(source, name=version.name, digest=version.md5)
    tags = {f"expunge.rows.{context}": str(rows) for context, rows in version.rows.items()}
    tags["mlflow.data.context"] = "+".join(version.rows)
    return LoggedInput(
        pointer._to_mlflow_entity(), [InputTag(key, value) for key, value in tags.items()]
    )


def _write_artifacts(candidate: Candidate, folder: Path) -> None:
    values = {"metrics": [dict(row) for row in candidate.metric_table], **candidate.artifacts}
    for name, value in values.items():
        text = json.dumps(value, indent=2, sort_keys=True, default=_plain)
        (folder / f"{name.removesuffix('.json')}.json").write_text(text + "\n", encoding="utf-8")
    if candidate.figures:
        (folder / "plots").mkdir()
    for name, figure in candidate.figures.items():
        (folder / "plots" / f"{name.removesuffix('.png')}.png").write_bytes(_png(figure))


def _plain(value: Any) -> Any:
    """A numpy scalar, a path or another small value in JSON."""
    return value.item() if hasattr(value, "item") else str(value)


def _png(figure: Figure | bytes) -> bytes:
    if isinstance(figure, bytes):
        return figure
    from expunge.lineage.plots import to_png

    return to_png(figure)


def _chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
