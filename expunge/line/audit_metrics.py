"""What an audit records of a strategy: each metric over the draws, and the gate's verdicts.

FR_v = (A_f(o) − A_f(u)) / (A_f(o) − class-matched A_t(o)) needs no retrain; on an erased class
the reference is 0, as a class that was never seen is never named (method.md, sections 3 and 4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from expunge.evaluation import (
    Evaluation,
    EvaluationInput,
    Metric,
    ShadowScores,
    SplitScores,
    Verdict,
    evaluate,
    judge,
    offline_lira,
)
from expunge.evaluation.levels import estimated_level, level, retrained_level
from expunge.evaluation.metric import GENERALISATION, LEVELS, undefined
from expunge.evaluation.rates import forgetting_rate
from expunge.line.trial import Ground, Made, Tested
from expunge.requests import AuditOutcome
from expunge.specs import Task


def kept(task: Task) -> tuple[str, ...]:
    """The metrics of an evaluation that an audit records."""
    level_of, lost = LEVELS[task], GENERALISATION[task]
    levels = (f"{split}_{level_of}" for split in ("forget", "retain", "held_out"))
    return ("auc", "hard_row_auc", lost, *levels, "memory_retention_rate")


@dataclass(frozen=True)
class Draw:
    """One draw of a strategy: metrics by name, and the gate's verdict in words."""

    metrics: Mapping[str, Metric]
    outcome: AuditOutcome
    why: str


def measured(ground: Ground, made: Made, *, rung: int) -> Draw:
    """Judge one trial as the gate judges a candidate of this rung."""
    if made.tested is None:
        return Draw({}, "fail", made.diverged or "")
    ladder, gate = ground.bench.spec.ladder, ground.bench.spec.gate
    evaluation = evaluation_of(ground, made.tested)
    exact = ladder[rung].exact
    verdict: Verdict = judge(evaluation, gate, rung=rung + 1, rungs=len(ladder), exact=exact)
    metrics = {name: evaluation.metric(name) for name in kept(evaluation.task)}
    metrics["forgetting_rate_v"] = _estimated_rate(ground, made.tested, evaluation)
    metrics["cost"] = plain("cost", made.cost)
    metrics["wall_seconds"] = plain("wall_seconds", made.seconds)
    return Draw(metrics, verdict.outcome, verdict.words)


def evaluation_of(ground: Ground, after: Tested, before: Tested | None = None) -> Evaluation:
    """All gate metrics of one model against the champion, or another one `before`."""
    o = before or ground.champion
    inputs = EvaluationInput(
        forget=SplitScores(o.forget, after.forget, reference_margin=ground.margin),
        retain=SplitScores(o.retain, after.retain),
        held_out=SplitScores(
            o.held_out, after.held_out, reference_margin=ground.bench.held_out_margin
        ),
        request=ground.mock.kind,
    )
    found = evaluate(inputs, seed=ground.seed)
    return _without_class(found, o, after) if ground.mock.kind == "class" else found


def _without_class(found: Evaluation, o: Tested, u: Tested) -> Evaluation:
    """Held-out accuracy on the other classes, as `evaluate` has the change of it already."""
    others = ~np.isin(o.held_out.labels, np.unique(o.forget.labels))
    before, after = o.held_out.take(others), u.held_out.take(others)
    anew = {
        "held_out_accuracy": level("held_out_accuracy", after),
        "held_out_accuracy_before": level("held_out_accuracy_before", before),
    }
    return replace(found, metrics=tuple(anew.get(each.name, each) for each in found.metrics))


def _estimated_rate(ground: Ground, u: Tested, evaluation: Evaluation) -> Metric:
    if ground.mock.kind == "class":
        return replace(evaluation.metric("forgetting_rate"), name="forgetting_rate_v")
    o = ground.champion
    target = estimated_level("class_matched", o.held_out, o.forget)
    return replace(forgetting_rate(o.forget, u.forget, target), name="forgetting_rate_v")


def against_retrain(
    ground: Ground, made: Made, retrain: Tested, null: Made | None
) -> dict[str, Metric]:
    """FR against an exact retrain of the mock; NULL, and the leak: the metric minus NULL's."""
    if made.tested is None:
        return {}
    target = retrained_level(retrain.forget)
    found = {"forgetting_rate": forgetting_rate(ground.champion.forget, made.tested.forget, target)}
    if null is None or null.tested is None:
        return found
    own = evaluation_of(ground, made.tested)
    control = evaluation_of(ground, null.tested, retrain)
    for name in ("auc", "hard_row_auc", own.level("forget").name):
        found[f"null_{name}"] = replace(control.metric(name), name=f"null_{name}")
        found[f"leak_{name}"] = _difference(f"leak_{name}", own.metric(name), control.metric(name))
    return found


def lira_of(
    ground: Ground, made: Made, retrain: Tested, shadows: tuple[ShadowScores, ShadowScores]
) -> dict[str, Metric]:
    """Offline LiRA of a trial, beside the exact retrain's."""
    if made.tested is None:
        return {}
    sides = [(each.forget, each.held_out) for each in (made.tested, retrain)]
    found = offline_lira(
        sides[0], shadows, retrain=sides[1], request=ground.mock.kind, seed=ground.seed
    )
    return {metric.name: metric for metric in found}


def noise_floor(ground: Ground, first: Tested, second: Tested) -> dict[str, Metric]:
    """Two retrains judge each other: FR of one by the other, and how far apart they are."""
    target = retrained_level(first.forget)
    rate = forgetting_rate(ground.champion.forget, second.forget, target)
    ours, theirs = evaluation_of(ground, second), evaluation_of(ground, first)
    floor = {"floor_forgetting_rate": replace(rate, name="floor_forgetting_rate")}
    levels = (ours.level(split).name for split in ("forget", "held_out"))
    for name in ("auc", "hard_row_auc", *levels):
        floor[f"floor_{name}"] = _difference(
            f"floor_{name}", ours.metric(name), theirs.metric(name)
        )
    return floor


def _difference(name: str, of: Metric, less: Metric) -> Metric:
    if why := of.undefined or less.undefined:
        return undefined(name, why)
    return plain(name, of.value - less.value)


def plain(name: str, value: float) -> Metric:
    """A number that is counted or read off, not estimated from rows."""
    return Metric(name, value, math.nan, math.nan, math.nan, 1)


def outcome_of(draws: Sequence[Draw]) -> AuditOutcome:
    """`pass` if every draw passes, `fail` if any fails: a record speaks for people unseen."""
    outcomes = {draw.outcome for draw in draws}
    if "fail" in outcomes:
        return "fail"
    return "pass" if outcomes == {"pass"} else "inconclusive"


def summary(draws: Sequence[Draw]) -> dict[str, Any]:
    """Each metric over the draws, and what the gate said of each; JSON without NaN."""
    names = list(dict.fromkeys(name for draw in draws for name in draw.metrics))
    return {
        "metrics": {name: _over(draws, name) for name in names},
        "verdicts": [{"outcome": draw.outcome, "why": draw.why} for draw in draws],
    }


def _over(draws: Sequence[Draw], name: str) -> dict[str, Any]:
    """Mean, spread (standard deviation, correction 1) and values; None where there is none."""
    found = [draw.metrics.get(name) for draw in draws]
    values = [None if each is None else _finite(each.value) for each in found]
    known = [value for value in values if value is not None]
    why = next((each.undefined for each in found if each is not None and each.undefined), None)
    references = [
        each.reference for each in found if each is not None and each.reference is not None
    ]
    return {
        "mean": float(np.mean(known)) if known else None,
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "values": values,
        "reference": float(np.mean(references)) if references else None,
        "undefined": None if known else why or "every draw diverged",
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
