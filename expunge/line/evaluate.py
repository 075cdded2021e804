"""Evaluate: score champion and candidate on forget, retain and held-out rows.

The scores stay beside the candidate (numbers per row, no row and no id), so that plots and
later tests need no erased row again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expunge.dataset import ArrowRows, Where, forget_rows
from expunge.evaluation import (
    Evaluation,
    EvaluationInput,
    Scores,
    SplitScores,
    reference_margin,
    sample_rows,
    score,
)
from expunge.evaluation import evaluate as measure
from expunge.line.attempt import Attempt, base_of, forgotten_batches, seed_of
from expunge.line.context import Line
from expunge.line.generator import generator
from expunge.line.references import references
from expunge.line.request import request_facts
from expunge.line.unlearn import base_weights
from expunge.networks import device_of, network
from expunge.requests import Fence
from expunge.worker import WEIGHTS

if TYPE_CHECKING:
    import torch

    from expunge.evaluation.scores import Floats
    from expunge.evaluation.spdgan import Degree, ExampleGrid, Fitted
    from expunge.specs import ModelSpec

SCORES, GRID = "scores.npz", "grid.npz"


@dataclass(frozen=True)
class Splits:
    """The three row sets that every metric reads."""

    forget: ArrowRows
    retain: ArrowRows
    held_out: ArrowRows
    seed: int


def evaluate(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> None:
    """Measure the attempt's candidate against the champion."""
    if line.ledger.outcome(batch_id, "evaluate", attempt.part) is not None:
        return
    unlearned = line.found(batch_id, "unlearn", attempt.part)
    facts: Mapping[str, Any] = {}
    rows = None
    if not unlearned["diverged"]:
        rows = _rows(line, attempt)
        facts = request_facts(line, fence, attempt, rows)
    with line.station(batch_id, "evaluate", fence, attempt.part) as outcome:
        if outcome is None:
            return
        if rows is None:
            outcome |= {"evaluation": None, "diverged": unlearned["diverged"]}
            return
        line.progress("evaluate", f"{attempt.model}: {unlearned['strategy']}")
        evaluation = _measured(line, fence, attempt, rows)
        if facts["blind"]["distribution_differs"]:
            evaluation = evaluation.without_membership(facts["blind"]["words"].rstrip("."))
        outcome |= {"evaluation": evaluation.to_json()}


def _measured(line: Line, fence: Fence, attempt: Attempt, rows: Splits) -> Evaluation:
    """All metrics of the candidate; scores and pictures of perturbed rows are kept beside it."""
    spec = attempt.spec(line)
    exact = attempt.strategy(line) == "exact_retrain"
    peers = references(line, fence, spec)
    champion = _load(line, spec, base_weights(line, attempt))
    candidate = _load(line, spec, attempt.folder(line) / WEIGHTS)
    inputs = _inputs(spec, rows, (champion, candidate), peers, exact=exact)
    save_scores(attempt.folder(line) / SCORES, inputs)
    evaluation = measure(inputs, seed=seed_of(attempt.batch_id))
    fitted = generator(line, fence, spec, peers)
    save_grid(attempt.folder(line) / GRID, fitted, rows.held_out, seed=rows.seed)
    degree = _degree(fitted, rows, (champion, candidate), exact=exact, device=device_of(spec))
    return evaluation.extended((*degree.metrics, *degree.accuracies), degree.notes)


def _inputs(
    spec: ModelSpec,
    rows: Splits,
    models: tuple[torch.nn.Module, torch.nn.Module],
    peers: list[torch.nn.Module],
    *,
    exact: bool,
) -> EvaluationInput:
    device = device_of(spec)

    def scored(split: ArrowRows, *, hard: bool) -> SplitScores:
        before, after = (score(model, split, device=device) for model in models)
        return SplitScores(
            champion=before,
            candidate=after,
            retrain=after if exact else None,
            reference_margin=reference_margin(peers, split, device=device) if hard else None,
        )

    retain = rows.retain.select(sample_rows(len(rows.retain), seed=rows.seed))
    return EvaluationInput(
        forget=scored(rows.forget, hard=True),
        retain=scored(retain, hard=False),
        held_out=scored(rows.held_out, hard=True),
    )


def _degree(
    fitted: Fitted,
    rows: Splits,
    models: tuple[torch.nn.Module, torch.nn.Module],
    *,
    exact: bool,
    device: str,
) -> Degree:
    from expunge.evaluation.spdgan import Models, unlearning_degree

    known = Models(*models, models[1] if exact else None)
    return unlearning_degree(
        fitted, known, rows.forget, rows.held_out, seed=rows.seed, device=device
    )


def _load(line: Line, spec: ModelSpec, weights: Path) -> torch.nn.Module:
    from expunge.training import load_weights

    model = network(line.workspace, spec).build(spec.recipe.seed)
    load_weights(model, weights)
    return model


def _rows(line: Line, attempt: Attempt) -> Splits:
    dataset = line.workspace.dataset(attempt.spec(line).dataset)
    base = base_of(line, attempt.model, attempt.base)
    seen = Where(max_ingest=base.ingest_seen)
    sealed = {batch: line.sealed(batch) for batch in forgotten_batches(line, base)}
    return Splits(
        forget=forget_rows(dataset, line.workspace.keys, sealed, where=seen),
        retain=line.rows(dataset, "T"),
        held_out=line.rows(dataset, "E"),
        seed=seed_of(attempt.batch_id),
    )


def save_scores(path: Path, inputs: EvaluationInput) -> None:
    """Write every score array to one npz file, for plots and later tests."""
    arrays = {
        f"{split}.{model}.{field.name}": getattr(scores, field.name)
        for split, found in vars(inputs).items()
        if isinstance(found, SplitScores)
        for model, scores in vars(found).items()
        if isinstance(scores, Scores)
        for field in fields(Scores)
    }
    for split, found in vars(inputs).items():
        if isinstance(found, SplitScores) and found.reference_margin is not None:
            arrays[f"{split}.reference_margin"] = found.reference_margin
    np.savez_compressed(path, **arrays)


def load_margin(path: Path, split: str) -> Floats:
    """Mean reference margin [N] of the rows of forget or held_out, from `save_scores`."""
    with np.load(path, allow_pickle=False) as arrays:
        return np.asarray(arrays[f"{split}.reference_margin"])


def save_grid(path: Path, fitted: Fitted, held_out: ArrowRows, *, seed: int) -> None:
    """Write a few held-out rows, perturbed, to one npz file: pictures for people to look at."""
    from expunge.evaluation.spdgan import example_grid

    if fitted.resolvable:
        np.savez_compressed(path, **vars(example_grid(fitted, held_out, seed=seed)))


def load_grid(path: Path) -> ExampleGrid:
    """The pictures that `save_grid` wrote."""
    from expunge.evaluation.spdgan import ExampleGrid

    with np.load(path, allow_pickle=False) as arrays:
        return ExampleGrid(**{name: arrays[name] for name in arrays.files})


def load_scores(path: Path, split: str, model: str) -> Scores:
    """Scores that `save_scores` wrote: split forget, retain or held_out; champion or candidate."""
    with np.load(path, allow_pickle=False) as arrays:
        return Scores(
            **{field.name: arrays[f"{split}.{model}.{field.name}"] for field in fields(Scores)}
        )
