"""All gate metrics of one candidate, from scores alone: no model and no row is read here."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from expunge.evaluation.inputs import EvaluationInput
from expunge.evaluation.levels import (
    LevelReference,
    estimated_level,
    level,
    retrained_level,
)
from expunge.evaluation.membership import (
    Population,
    TwoSides,
    auc,
    comparable,
    hard_rows,
    resampled_aucs,
)
from expunge.evaluation.metric import (
    LEVELS,
    Evaluation,
    Metric,
    ReferenceKind,
    WorstSubject,
    undefined,
)
from expunge.evaluation.per_subject import (
    between_people,
    held_out_people,
    stranger_variance,
    worst_subject,
)
from expunge.evaluation.rates import forgetting_rate, generalisation, memory_retention
from expunge.evaluation.references import Statistic, reference_kind
from expunge.evaluation.scores import Floats, Scores
from expunge.evaluation.uncertainty import Z95, units

RESAMPLES = 1_000
FEW_PEOPLE = 10


def evaluate(inputs: EvaluationInput, *, seed: int, resamples: int = RESAMPLES) -> Evaluation:
    """Measure the candidate; the same inputs and seed give the same numbers.

    Metrics: forget, retain and held-out accuracy, AUC and hard-row AUC, each also as
    `…_before` of the champion; forgetting_rate, memory_retention_rate, generalisation. Of real
    labels `…_error` in place of `…_accuracy`, and relative_generalisation.
    """
    forget, held_out = inputs.forget, inputs.held_out
    everyone = comparable(forget.champion, held_out.champion)
    hard = _hard_population(inputs)
    metrics = [
        *_levels(inputs),
        generalisation(*_staying(inputs)),
        *_memberships("auc", inputs, everyone, seed, resamples),
        *_memberships("hard_row_auc", inputs, hard, seed, resamples),
    ]
    asked = len(np.unique(forget.champion.subjects))
    worst = _worst(hard, inputs, asked)
    task = forget.champion.task
    return Evaluation(tuple(metrics), worst, inputs.request, seed, resamples, task=task)


def hard_row_aucs(
    inputs: EvaluationInput, *, seed: int, resamples: int = RESAMPLES
) -> list[Metric]:
    """Hard-row AUC of candidate and champion alone, as `evaluate` measures it."""
    return _memberships("hard_row_auc", inputs, _hard_population(inputs), seed, resamples)


def _staying(inputs: EvaluationInput) -> tuple[Scores, Scores]:
    """Held-out scores of champion and candidate, without a class that is to be forgotten whole.

    Losing that class is what was asked for, and no damage.
    """
    held_out = inputs.held_out
    if inputs.request != "class":
        return held_out.champion, held_out.candidate
    stays = ~np.isin(held_out.champion.labels, np.unique(inputs.forget.champion.labels))
    return held_out.champion.take(stays), held_out.candidate.take(stays)


def _levels(inputs: EvaluationInput) -> list[Metric]:
    forget, retain, held_out = inputs.forget, inputs.retain, inputs.held_out
    target, word = _level_reference(inputs), LEVELS[forget.champion.task]
    on_retain, on_held_out = (
        retrained_level(split.retrain) if split.retrain else None for split in (retain, held_out)
    )
    return [
        level(f"forget_{word}", forget.candidate, target),
        level(f"forget_{word}_before", forget.champion, target),
        level(f"retain_{word}", retain.candidate, on_retain),
        level(f"retain_{word}_before", retain.champion, on_retain),
        level(f"held_out_{word}", held_out.candidate, on_held_out),
        level(f"held_out_{word}_before", held_out.champion, on_held_out),
        forgetting_rate(forget.champion, forget.candidate, target),
        memory_retention(retain.champion, retain.candidate),
    ]


def _level_reference(inputs: EvaluationInput) -> LevelReference | None:
    held_out, forget = inputs.held_out.champion, inputs.forget
    if forget.retrain is not None:
        return retrained_level(forget.retrain) if len(forget.retrain) else None
    kind = _kind("accuracy", inputs, held_out)
    if kind == "zero":
        return LevelReference("zero", 0.0, 0.0)
    if kind is None or not len(forget.champion):
        return None
    return estimated_level(kind, held_out, forget.champion)


def _kind(statistic: Statistic, inputs: EvaluationInput, held_out: Scores) -> ReferenceKind | None:
    return reference_kind(
        statistic,
        inputs.request,
        has_retrain=inputs.forget.retrain is not None and inputs.held_out.retrain is not None,
        held_out_subjects=len(np.unique(held_out.subjects)),
        held_out_rows=len(held_out),
    )


def _hard_population(inputs: EvaluationInput) -> Population | None:
    forget, held_out = inputs.forget, inputs.held_out
    if forget.reference_margin is None or held_out.reference_margin is None:
        return None
    margins = forget.reference_margin, held_out.reference_margin
    masks = hard_rows(*margins, forget.champion.task)
    return comparable(forget.champion, held_out.champion, masks)


def _memberships(
    name: str, inputs: EvaluationInput, rows: Population | None, seed: int, resamples: int
) -> list[Metric]:
    names = (name, f"{name}_before")
    if rows is None:
        return [undefined(each, "no reference model says which rows are hard") for each in names]
    if rows.empty:
        why = f"no forget and held-out rows of one class{' are hard' if 'hard' in name else ''}"
        return [replace(undefined(each, why), left_out=rows.left_out) for each in names]
    kind = _kind("membership", inputs, inputs.held_out.champion.take(rows.held_out))
    forget, held_out = inputs.forget, inputs.held_out
    models = [(forget.candidate, held_out.candidate), (forget.champion, held_out.champion)]
    retrain = None
    if forget.retrain is not None and held_out.retrain is not None:
        retrain = forget.retrain, held_out.retrain
    if retrain is not None:
        models.append(retrain)
    drawn = resampled_aucs(rows, models, resamples=resamples, seed=seed)
    target = drawn[2] if retrain else np.zeros(resamples)
    reference = auc(rows, retrain) if retrain else 0.5 if kind else None
    found = []
    for each, model, own in zip(names, models, drawn, strict=False):
        # A retrain is of the very same people: how they differ from others does not enter.
        spread = None if retrain else _few_people_se(rows, model, resamples=resamples, seed=seed)
        metric = _membership(each, rows, auc(rows, model), (own, own - target), spread)
        found.append(replace(metric, reference=reference, reference_kind=kind))
    return found


def _membership(
    name: str,
    rows: Population,
    value: float,
    drawn: tuple[Floats, Floats],
    few_people: tuple[float, int] | None,
) -> Metric:
    """The AUC with its errors: `drawn` resamples of it, and of its gap to the reference."""
    people = min(units(rows.forget_subjects)[1], units(rows.held_out_subjects)[1])
    se, gap = (_bootstrap_se(each, people) for each in drawn)
    degrees = people - 1
    if few_people is not None:
        gap, degrees = float(np.fmax(gap, few_people[0])), few_people[1]
    return Metric(
        name=name,
        value=value,
        se=se,
        low=max(0.0, value - Z95 * se),
        high=min(1.0, value + Z95 * se),
        n=len(rows.forget),
        gap_se=gap,
        degrees=degrees,
        left_out=rows.left_out,
    )


def _few_people_se(
    rows: Population, model: TwoSides, *, resamples: int, seed: int
) -> tuple[float, int] | None:
    """The gap's error and degrees of freedom when the forget set is a handful of people.

    Resampling them cannot show how people differ; the held-out people can, and the held-out side
    is resampled as always. None if there are people enough.
    """
    sizes = np.unique(rows.forget_subjects, return_counts=True)[1].astype(np.float64)
    if len(sizes) >= FEW_PEOPLE:
        return None
    tau2 = between_people(held_out_people(rows, model[1]))
    shares = sizes / sizes.sum()
    theirs = float((shares**2 * stranger_variance(sizes, tau2)).sum())
    drawn = resampled_aucs(rows, [model], resamples=resamples, seed=seed, forget_fixed=True)[0]
    people = len(np.unique(rows.held_out_subjects))
    return math.sqrt(theirs + _bootstrap_se(drawn, people) ** 2), people - 1


def _bootstrap_se(drawn: Floats, people: int) -> float:
    """Standard deviation of the resamples, widened for few people; NaN if there is only one."""
    known = drawn[~np.isnan(drawn)]
    if len(known) < 2 or people < 2:
        return math.nan
    return float(known.std(ddof=1)) * math.sqrt(people / (people - 1))


def _worst(hard: Population | None, inputs: EvaluationInput, asked: int) -> WorstSubject:
    if hard is None:
        nan = math.nan
        return WorstSubject(nan, nan, nan, 0, asked, 0, undefined="no reference models")
    return worst_subject(hard, inputs.forget.candidate, inputs.held_out.candidate, asked=asked)
