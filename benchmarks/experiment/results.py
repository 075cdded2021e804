"""What an experiment comes to: metrics.json for `dvc metrics`, tables for `dvc plots`."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.compare.inputs import EVALUATED, Sides, evaluation_input
from expunge.evaluation import EvaluationInput, Scores, evaluate, judge, roc_curve
from expunge.evaluation.membership import comparable, hard_rows
from expunge.unlearning import Edit

if TYPE_CHECKING:
    from torch import nn

    from benchmarks.experiment.params import Params

DIGITS = 4
MODELS = ("champion", "unlearned", "retrain")


def write_results(
    sides: Sides,
    models: Sequence[nn.Module],
    peers: list[nn.Module],
    *,
    params: Params,
    edit: Edit,
    retrain_passes: float,
    folder: Path,
) -> str:
    """Write the files; what the gate says, in words. `models` are those of MODELS.

    The gate sees what it sees in production: no retrain to compare with, and one rung.
    """
    kind, seed = params.request.kind, params.seed
    with_retrain = evaluation_input(sides, models, peers, kind=kind, seed=seed)
    as_served = evaluation_input(sides, models[:2], peers, kind=kind, seed=seed)
    found, seen = evaluate(with_retrain, seed=seed), evaluate(as_served, seed=seed)
    verdict = judge(seen, params.gate, rung=1, rungs=1, exact=params.unlearn.rung.exact)
    metrics: dict[str, Any] = {name: _number(found.metric(name).value) for name in EVALUATED}
    metrics["gate"] = verdict.outcome
    metrics["cost"] = _number(edit.cost / retrain_passes)
    metrics["of_retrain"] = {name: _number(found.metric(name).reference) for name in EVALUATED[:5]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    _table(folder / "roc.csv", ("false_positives", *MODELS), _roc(with_retrain, seed))
    _table(folder / "accuracy.csv", ("rows", "accuracy"), _accuracies(with_retrain))
    epochs = edit.history.epochs if edit.history else ()
    _table(folder / "repair.csv", ("epoch", "loss"), ((e.number, e.loss) for e in epochs))
    return "\n".join(f"{each.outcome}: {each.words}" for each in verdict.criteria)


def _number(value: float | None) -> float | None:
    """Rounded; None where it is undefined, which JSON knows."""
    return None if value is None or math.isnan(value) else round(value, DIGITS)


def _table(file: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(heading)
        writer.writerows(rows)


def _roc(inputs: EvaluationInput, seed: int) -> Iterable[tuple[float, ...]]:
    """True positive rates of the attack on hard rows, one column for each model."""
    forget, held_out = inputs.forget, inputs.held_out
    masks = hard_rows(forget.reference_margin, held_out.reference_margin, "classification")
    rows = comparable(forget.champion, held_out.champion, masks)
    if rows.empty:
        return
    pairs = [
        (forget.champion, held_out.champion),
        (forget.candidate, held_out.candidate),
        (forget.retrain, held_out.retrain),
    ]
    curves = [roc_curve(rows, pair, resamples=2, seed=seed) for pair in pairs]
    for point, at in enumerate(curves[0].fpr):
        yield float(at), *(float(curve.tpr[point]) for curve in curves)


def _accuracies(inputs: EvaluationInput) -> Iterable[tuple[str, float]]:
    splits = {"forgotten": inputs.forget, "retained": inputs.retain, "held out": inputs.held_out}
    for split, scores in splits.items():
        models = (scores.champion, scores.candidate, scores.retrain)
        for model, each in zip(MODELS, models, strict=True):
            yield f"{split}: {model}", round(_accuracy(each), DIGITS)


def _accuracy(scores: Scores | None) -> float:
    return math.nan if scores is None else 1 - float(scores.error.mean())
