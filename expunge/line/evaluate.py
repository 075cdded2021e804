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
)
from expunge.evaluation import evaluate as measure
from expunge.line.attempt import Attempt, base_of, forgotten_batches, seed_of
from expunge.line.context import Line
from expunge.line.generator import generator
from expunge.line.pair import Pair, pair_of
from expunge.line.request import request_facts
from expunge.line.retest import earlier_facts, retest
from expunge.requests import Fence

if TYPE_CHECKING:
    from expunge.evaluation.scores import Floats
    from expunge.evaluation.spdgan import ExampleGrid, Fitted

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
    earlier: Mapping[str, Any] | None = None
    rows = None
    if not unlearned["diverged"]:
        rows = _rows(line, attempt)
        facts = request_facts(line, fence, attempt, rows)
        earlier = earlier_facts(line, fence, attempt, rows)
    with line.station(batch_id, "evaluate", fence, attempt.part) as outcome:
        if outcome is None:
            return
        if rows is None:
            outcome |= {"evaluation": None, "diverged": unlearned["diverged"]}
            return
        line.progress("evaluate", f"{attempt.model}: {unlearned['strategy']}")
        pair = pair_of(line, fence, attempt)
        evaluation, inputs = _measured(line, fence, attempt, pair, rows)
        if facts["blind"]["distribution_differs"]:
            evaluation = evaluation.without_membership(facts["blind"]["words"].rstrip("."))
        again = retest(line, attempt, earlier, inputs, pair.hard)
        evaluation = evaluation.extended(again.metrics, again.notes)
        outcome |= {"evaluation": evaluation.to_json(), "earlier": again.found}


def _measured(
    line: Line, fence: Fence, attempt: Attempt, pair: Pair, rows: Splits
) -> tuple[Evaluation, EvaluationInput]:
    """All metrics on the attempt's own batch; scores and pictures are kept beside the candidate."""
    inputs = pair.inputs(rows)
    save_scores(attempt.folder(line) / SCORES, inputs)
    evaluation = measure(inputs, seed=rows.seed)
    fitted = generator(line, fence, attempt.spec(line), pair.peers)
    save_grid(attempt.folder(line) / GRID, fitted, rows.held_out, seed=rows.seed)
    degree = pair.degree(fitted, rows)
    probed = pair.probed(rows, inputs)
    found = evaluation.extended((*degree.metrics, *degree.accuracies, *probed), degree.notes)
    return found, inputs


def _rows(line: Line, attempt: Attempt) -> Splits:
    dataset = line.workspace.dataset(attempt.spec(line).dataset)
    return Splits(
        forget=forget_split(line, attempt),
        retain=line.rows(dataset, "T"),
        held_out=line.rows(dataset, "E"),
        seed=seed_of(attempt.batch_id),
    )


def forget_split(line: Line, attempt: Attempt) -> ArrowRows:
    """The sealed rows that the attempt's base has to forget, in one order, into memory."""
    dataset = line.workspace.dataset(attempt.spec(line).dataset)
    base = base_of(line, attempt.model, attempt.base)
    seen = Where(max_ingest=base.ingest_seen)
    sealed = {batch: line.sealed(batch) for batch in forgotten_batches(line, base)}
    return forget_rows(dataset, line.workspace.keys, sealed, where=seen)


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


def save_grid(path: Path, fitted: Fitted | None, held_out: ArrowRows, *, seed: int) -> None:
    """Write a few held-out rows, perturbed, to one npz file: pictures for people to look at."""
    from expunge.evaluation.spdgan import example_grid

    if fitted is not None and fitted.resolvable:
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
