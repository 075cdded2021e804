"""Evaluate: score champion and candidate on forget, retain and held-out rows.

The scores stay beside the candidate (numbers per row, no row and no id), so that plots and
later tests need no erased row again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from expunge.dataset import ArrowRows, Where, forget_rows
from expunge.evaluation import (
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
from expunge.line.references import references
from expunge.line.unlearn import base_weights
from expunge.networks import device_of, network
from expunge.requests import Fence
from expunge.worker import WEIGHTS

if TYPE_CHECKING:
    import torch

    from expunge.specs import ModelSpec

SCORES = "scores.npz"


@dataclass(frozen=True)
class Splits:
    """The three row sets that every metric reads."""

    forget: ArrowRows
    retain: ArrowRows
    held_out: ArrowRows


def evaluate(line: Line, batch_id: str, fence: Fence, attempt: Attempt) -> None:
    """Measure the attempt's candidate against the champion."""
    with line.station(batch_id, "evaluate", fence, attempt.part) as outcome:
        if outcome is None:
            return
        unlearned = line.found(batch_id, "unlearn", attempt.part)
        if unlearned["diverged"]:
            outcome |= {"evaluation": None, "diverged": unlearned["diverged"]}
            return
        line.progress("evaluate", f"{attempt.model}: {unlearned['strategy']}")
        inputs = _inputs(line, fence, attempt, exact=unlearned["strategy"] == "exact_retrain")
        evaluation = measure(inputs, seed=seed_of(batch_id))
        save_scores(attempt.folder(line) / SCORES, inputs)
        outcome |= {"evaluation": evaluation.to_json()}


def _inputs(line: Line, fence: Fence, attempt: Attempt, *, exact: bool) -> EvaluationInput:
    spec, rows = attempt.spec(line), _rows(line, attempt)
    device, peers = device_of(spec), references(line, fence, spec)
    champion = _load(line, spec, base_weights(line, attempt))
    candidate = _load(line, spec, attempt.folder(line) / WEIGHTS)

    def scored(split: ArrowRows, *, hard: bool) -> SplitScores:
        after = score(candidate, split, device=device)
        return SplitScores(
            champion=score(champion, split, device=device),
            candidate=after,
            retrain=after if exact else None,
            reference_margin=reference_margin(peers, split, device=device) if hard else None,
        )

    return EvaluationInput(
        forget=scored(rows.forget, hard=True),
        retain=scored(rows.retain, hard=False),
        held_out=scored(rows.held_out, hard=True),
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
    retain = line.rows(dataset, "T")
    return Splits(
        forget=forget_rows(dataset, line.workspace.keys, sealed, where=seen),
        retain=retain.select(sample_rows(len(retain), seed=seed_of(attempt.batch_id))),
        held_out=line.rows(dataset, "E"),
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
    np.savez_compressed(path, **arrays)


def load_scores(path: Path, split: str, model: str) -> Scores:
    """Scores that `save_scores` wrote: split forget, retain or held_out; champion or candidate."""
    with np.load(path, allow_pickle=False) as arrays:
        return Scores(
            **{field.name: arrays[f"{split}.{model}.{field.name}"] for field in fields(Scores)}
        )
