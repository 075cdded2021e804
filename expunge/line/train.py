"""Train: a champion from scratch on the current dataset version.

Refuses a version that still holds erased people. A champion trained on clean data owes nothing:
its promotion pays every debt of the model.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from expunge.dataset import ArrowRows, subjects_in
from expunge.errors import TerminalError
from expunge.line.candidate import factory_reference
from expunge.line.context import Line
from expunge.line.ingest import refuse_open_batch
from expunge.line.recover import recover
from expunge.lineage import Candidate, DatasetInput, Registered
from expunge.lineage.candidate import Context
from expunge.networks import device_of, loss_of, network
from expunge.requests import DatasetVersion, Fence, ModelVersion
from expunge.specs import DatasetSpec, ModelSpec

if TYPE_CHECKING:
    import torch

    from expunge.training import History


class DirtyVersionError(TerminalError):
    """The dataset version cannot be trained on: it holds erased people, or is not current."""


@dataclass(frozen=True)
class Trained:
    """A new champion. Accuracies in 0 … 1; `seconds` of the training loop."""

    model: str
    version: str
    run_id: str
    dataset_version: str
    rows: int
    train_accuracy: float
    held_out_accuracy: float
    seconds: float


def train(line: Line, model: str) -> Trained:
    """Train governed model `model` by its recipe and make it champion."""
    spec = line.workspace.model(model)
    dataset = line.workspace.dataset(spec.dataset)
    with line.lock(dataset.name) as fence:
        recover(line, dataset.name, fence)
        refuse_open_batch(line, dataset.name, unless_published=True)
        version = _clean_version(line, dataset)
        before = line.registry.champion(model)
        rows, held_out = line.rows(dataset, "T"), line.rows(dataset, "E")
    fitted = _fit(line, spec, rows, held_out)
    with line.lock(dataset.name) as fence, TemporaryDirectory() as folder:
        _still_clean(line, version)
        line.progress("register", "model, curves and dataset to MLflow")
        registered = line.registry.register(_candidate(line, spec, version, fitted, Path(folder)))
        _promote(line, fence, version, registered, before)
    return Trained(
        model=model,
        version=registered.version,
        run_id=registered.run_id,
        dataset_version=version.md5,
        rows=fitted.rows,
        train_accuracy=fitted.train_accuracy,
        held_out_accuracy=fitted.held_out_accuracy,
        seconds=round(fitted.history.seconds, 2),
    )


@dataclass(frozen=True)
class _Fitted:
    module: torch.nn.Module
    history: History
    rows: int
    train_accuracy: float
    held_out_accuracy: float


def _fit(line: Line, spec: ModelSpec, rows: ArrowRows, held_out: ArrowRows) -> _Fitted:
    from expunge.evaluation import score
    from expunge.training import fit

    device = device_of(spec)
    module = network(line.workspace, spec).build(spec.recipe.seed)
    history = fit(
        module,
        rows,
        spec.recipe,
        loss_of(spec),
        seed=spec.recipe.seed,
        device=device,
        on_epoch=lambda epoch: line.progress(
            "train", f"loss {epoch.loss:.3f}", epoch.number, epoch.of
        ),
    )
    known, unknown = (
        float(score(module, split, device=device).correct.mean()) for split in (rows, held_out)
    )
    return _Fitted(module, history, len(rows), known, unknown)


def _promote(
    line: Line, fence: Fence, version: DatasetVersion, registered: Registered, before: str | None
) -> None:
    """Record the new model, make it champion, and pay the model's debts with it."""
    model = registered.model
    line.ledger.record_model(
        fence,
        ModelVersion(
            model=model,
            version=registered.version,
            dataset=version.dataset,
            dataset_ordinal=version.ordinal,
            ingest_seen=version.ingest,
            clean_as_of=version.ordinal,
            kind="trained",
            parent=None,
            batch_id=None,
            run_id=registered.run_id,
            strategy=None,
            edits=0,
            created_at=datetime.now(UTC),
        ),
    )
    line.registry.promote(model, registered.version, before)
    line.ledger.record_promotion(fence, model, registered.version)
    line.ledger.settle_by_training(fence, model, registered.version)


def _clean_version(line: Line, dataset: DatasetSpec) -> DatasetVersion:
    version = line.current_version(dataset.name)
    suppressed = line.ledger.suppressed(dataset.name)
    present = sum(len(suppressed.contains(some)) for some in subjects_in(line.store(dataset)))
    if present and dataset.reappearance == "block":
        raise DirtyVersionError(
            f"The shards in data/{dataset.name} hold {present} erased person(s): "
            "they are not those of the current version.",
            fix=f"git checkout {version.commit[:12]} -- data/{dataset.name}.dvc && "
            f"dvc checkout data/{dataset.name}.dvc",
        )
    return version


def _still_clean(line: Line, version: DatasetVersion) -> None:
    """Training takes long and holds no lock: someone may have been erased meanwhile."""
    versions = line.ledger.versions(version.dataset)
    if any(v.kind == "erasure" for v in versions if v.ordinal > version.ordinal):
        raise DirtyVersionError(
            f"People were erased from {version.dataset!r} while the model was training on them.",
            left="The champion is as it was; the new model was dropped.",
            fix="train again",
        )


def _candidate(
    line: Line, spec: ModelSpec, version: DatasetVersion, fitted: _Fitted, folder: Path
) -> Candidate:
    from expunge.training import save_weights

    weights = folder / "weights.safetensors"
    save_weights(fitted.module, weights)
    rows: dict[Context, int] = {"training": fitted.rows}
    return Candidate(
        effect_key=f"train:{spec.name}:{secrets.token_hex(8)}",
        model=spec.name,
        kind="trained",
        module=fitted.module,
        weights=weights,
        factory=factory_reference(line.workspace, spec),
        input_shape=line.workspace.dataset(spec.dataset).features.input_shape,
        datasets=(
            DatasetInput(
                version.dataset,
                version.md5,
                version.commit,
                version.ordinal,
                rows,
            ),
        ),
        params=spec.recipe.model_dump(),
        metrics={
            "train_accuracy": fitted.train_accuracy,
            "held_out_accuracy": fitted.held_out_accuracy,
        },
        curves={"train_loss": [epoch.loss for epoch in fitted.history.epochs]},
    )
