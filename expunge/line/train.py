"""Train: a champion from scratch on the current dataset version."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.dataset import ArrowRows
from expunge.line.answers import Answers, answers
from expunge.line.candidate import factory_reference
from expunge.line.context import Line
from expunge.line.crowning import clean_version, make_champion, still_clean
from expunge.line.ingest import refuse_open_batch
from expunge.line.recover import recover
from expunge.lineage import Candidate, DatasetInput
from expunge.lineage.candidate import Context
from expunge.networks import device_of, loss_of, network
from expunge.requests import DatasetVersion
from expunge.specs import ModelSpec

if TYPE_CHECKING:
    import torch

    from expunge.training import History


@dataclass(frozen=True)
class Trained:
    """A new champion; `seconds` of the training loop."""

    model: str
    version: str
    run_id: str
    dataset_version: str
    rows: int
    answers: Answers
    seconds: float


def train(line: Line, model: str) -> Trained:
    """Train governed model `model` by its recipe and make it champion."""
    spec = line.workspace.model(model)
    dataset = line.workspace.dataset(spec.dataset)
    with line.lock(dataset.name) as fence:
        recover(line, dataset.name, fence)
        refuse_open_batch(line, dataset.name, unless_published=True)
        version = clean_version(line, dataset)
        before = line.registry.champion(model)
        rows, held_out = line.rows(dataset, "T"), line.rows(dataset, "E")
    fitted = _fit(line, spec, rows, held_out)
    with line.lock(dataset.name) as fence, line.registry.passing() as folder:
        still_clean(line, version)
        line.progress("register", "model, curves and dataset to MLflow")
        registered = line.registry.register(_candidate(line, spec, version, fitted, folder))
        make_champion(line, fence, version, registered, before)
    return Trained(
        model=model,
        version=registered.version,
        run_id=registered.run_id,
        dataset_version=version.md5,
        rows=fitted.rows,
        answers=fitted.answers,
        seconds=round(fitted.history.seconds, 2),
    )


@dataclass(frozen=True)
class _Fitted:
    module: torch.nn.Module
    history: History
    rows: int
    answers: Answers


def _fit(line: Line, spec: ModelSpec, rows: ArrowRows, held_out: ArrowRows) -> _Fitted:
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
    found = answers(module, rows, held_out, device=device)
    return _Fitted(module, history, len(rows), found)


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
        metrics=fitted.answers.metrics(),
        curves={"train_loss": [epoch.loss for epoch in fitted.history.epochs]},
    )
