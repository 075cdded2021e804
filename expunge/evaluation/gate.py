"""The gate: pass, fail or inconclusive, per criterion and in one sentence each.

A criterion has a margin δ. It passes if the one-sided upper bound of (estimate − reference) is at
most δ, fails if the lower bound is above δ, and is inconclusive between: then the rows do not
decide. Over-forgetting is the same on the other side. Bounds hold at 1 − α/rungs: a ladder that
tries several strategies gets no more chances to pass by luck than one that tries one. A candidate
passes only if every criterion does; inconclusive never promotes (method.md, section 3).

People of earlier batches, where their rows may be read again, passed once already. For them the
burden of proof is turned round: a candidate fails only where it is shown to know them again.

A retrain has nothing to forget and is judged on utility only. When it is the last rung nothing
better can be had, and refusing it leaves erased people in service: there the burden of proof is
turned round, and it fails only if it is shown to be worse than the champion by more than δ. A fast
retrain on an earlier rung has to show that it is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from expunge.evaluation.metric import (
    GENERALISATION,
    LEVELS,
    Evaluation,
    EvaluationError,
    Metric,
)
from expunge.evaluation.verdict import Criterion, Outcome, Verdict
from expunge.specs import GateSpec

UNKNOWN = (math.nan, math.nan)


@dataclass(frozen=True)
class _Side:
    """One side on which the hard-row AUC can miss its reference, and how to say so."""

    name: str
    margin: Literal["hard_row_auc", "over_forgetting"]
    above: bool
    verb: str

    def bound(self, low: float, high: float, outcome: Outcome) -> str:
        """The bound that decides: the far one of a pass, the near one of a failure."""
        near = outcome == "fail"
        return f"at most {high:+.3f}" if self.above != near else f"at least {low:+.3f}"

    def says(self, outcome: Outcome) -> str:
        if outcome == "inconclusive":
            return f"these rows do not decide whether it {self.verb}s them"
        return f"it {self.verb}s them" if outcome == "fail" else "that is within the margin"


FORGETTING = _Side("forgetting", "hard_row_auc", above=True, verb="know")
OVER_FORGETTING = _Side("over_forgetting", "over_forgetting", above=False, verb="shun")


def judge(evaluation: Evaluation, gate: GateSpec, *, rung: int, rungs: int, exact: bool) -> Verdict:
    """Judge the candidate of rung `rung` (1 … `rungs`) of a ladder.

    Raises:
        EvaluationError: the rung is not on the ladder.
    """
    if not 1 <= rung <= rungs:
        raise EvaluationError(
            f"There is no rung {rung} on a ladder of {rungs}.", fix="count rungs from 1"
        )
    alpha = gate.alpha / rungs
    if exact:
        last = rung == rungs
        criteria: tuple[Criterion, ...] = (_held_out(evaluation, gate, alpha, last=last),)
    else:
        criteria = (
            _membership(evaluation, gate, alpha, FORGETTING),
            _membership(evaluation, gate, alpha, OVER_FORGETTING),
            _held_out(evaluation, gate, alpha, last=False),
            _each_person(evaluation, gate, alpha),
            *_earlier(evaluation, gate, alpha),
        )
    return Verdict(_overall(criteria), criteria, rung, rungs, exact, alpha)


def _overall(criteria: tuple[Criterion, ...]) -> Outcome:
    outcomes = {criterion.outcome for criterion in criteria}
    if "fail" in outcomes:
        return "fail"
    return "inconclusive" if "inconclusive" in outcomes else "pass"


def bounds(metric: Metric, alpha: float, *, floor: float = 0.0) -> tuple[float, float]:
    """One-sided lower and upper bounds, each at 1 − α, of value − reference.

    Student's t with the metric's degrees of freedom; NaN where there is no reference or no error.
    `floor` is added to the error in quadrature.
    """
    if metric.reference is None or math.isnan(metric.value) or math.isnan(metric.gap_se):
        return math.nan, math.nan
    degrees = metric.degrees if metric.degrees >= 1 else math.inf
    half = float(stats.t.isf(alpha, degrees)) * math.hypot(metric.gap_se, floor)
    gap = metric.value - metric.reference
    return gap - half, gap + half


def _outcome(low: float, high: float, margin: float) -> Outcome:
    if math.isnan(low) or math.isnan(high):
        return "inconclusive"
    if high <= margin:
        return "pass"
    return "fail" if low > margin else "inconclusive"


def _unjudged(metric: Metric, gate: GateSpec) -> str | None:
    """Why the hard-row AUC cannot be judged, or None."""
    if metric.undefined:
        return metric.undefined
    if metric.n < gate.min_hard_rows:
        return f"{metric.n} hard rows, {gate.min_hard_rows} needed"
    if metric.left_out > metric.n:
        return f"{metric.left_out} hard rows are of classes with too few held-out rows"
    if metric.reference is None:
        return "too few held-out people for a reference"
    if math.isnan(metric.gap_se):
        return "too few people for an error"
    return None


def _membership(evaluation: Evaluation, gate: GateSpec, alpha: float, side: _Side) -> Criterion:
    metric = evaluation.metric("hard_row_auc")
    margin: float = getattr(gate, side.margin)
    low, high = bounds(metric, alpha)
    if why := _unjudged(metric, gate):
        outcome: Outcome = "inconclusive"
        words = f"Whether it {side.verb}s the forgotten rows cannot be told: {why}."
    else:
        outcome = _outcome(low, high, margin) if side.above else _outcome(-high, -low, margin)
        words = (
            f"It ranks the {metric.n:,} hard forgotten rows above held-out ones with AUC "
            f"{metric.value:.3f}; {metric.reference:.3f} is expected, {margin:g} "
            f"{'more' if side.above else 'less'} allowed, and the difference is "
            f"{side.bound(low, high, outcome)} at {1 - alpha:.1%}: {side.says(outcome)}."
        )
    return _criterion(side.name, metric, margin, (low, high), outcome=outcome, words=words)


def _held_out(evaluation: Evaluation, gate: GateSpec, alpha: float, *, last: bool) -> Criterion:
    metric, margin = evaluation.generalisation, gate.utility(evaluation.task)
    level = LEVELS[evaluation.task]
    if metric.undefined:
        words = f"Held-out {level} cannot be told: {metric.undefined}."
        return _criterion("held_out", metric, margin, UNKNOWN, outcome="inconclusive", words=words)
    # A handful of rows without a discordant one has SE 0 and proves nothing: one row's worth more.
    low, high = bounds(metric, alpha, floor=1 / metric.n)
    outcome = _outcome(-high, -low, margin)
    if last and outcome == "inconclusive":
        outcome = "pass"
    end = {
        "pass": "so it is not shown to be worse" if last else "so it is as good as the champion",
        "fail": "so it is damaged",
        "inconclusive": f"so {metric.n:,} held-out rows do not decide; a wider margin or more "
        "held-out people would",
    }[outcome]
    words = f"{_change(metric, (low, high), margin)}, {end}."
    return _criterion("held_out", metric, margin, (low, high), outcome=outcome, words=words)


def _change(metric: Metric, ends: tuple[float, float], margin: float) -> str:
    """What became of held-out rows: accuracy in points, the mean absolute error as a share."""
    low, high = ends
    if metric.name == GENERALISATION["classification"]:
        return (
            f"Held-out accuracy changes by {100 * metric.value:+.2f} points on {metric.n:,} rows "
            f"({100 * low:+.2f} to {100 * high:+.2f}), where a loss of {100 * margin:g} is allowed"
        )
    grown, least, most = (0.0 - 100 * number for number in (metric.value, high, low))
    return (
        f"The mean absolute error on {metric.n:,} held-out rows changes by {grown:+.2f} % "
        f"({least:+.2f} to {most:+.2f}), where {100 * margin:g} % more is allowed"
    )


def _each_person(evaluation: Evaluation, gate: GateSpec, alpha: float) -> Criterion:
    worst, margin = evaluation.worst_subject, gate.hard_row_auc
    gap = worst.auc - worst.reference
    se = gap / worst.score if worst.score else math.nan
    if worst.undefined:
        outcome: Outcome = "inconclusive"
        words = f"Single people cannot be told apart: {worst.undefined}."
    else:
        outcome = "fail" if worst.p_holm < alpha and gap > margin else "pass"
        end = "so this person is still known" if outcome == "fail" else "as chance would have it"
        words = (
            f"Of {worst.subjects} forgotten people the best remembered stands {worst.score:.1f} "
            f"standard errors above people never seen (Holm-corrected p = {worst.p_holm:.2g}), "
            f"{end}."
        )
    return Criterion(
        name="each_person",
        metric="hard_row_auc",
        outcome=outcome,
        estimate=worst.auc,
        reference=worst.reference,
        reference_kind="leave_subject_out",
        se=se,
        margin=margin,
        lower=math.nan,
        upper=math.nan,
        words=words,
    )


def _earlier(evaluation: Evaluation, gate: GateSpec, alpha: float) -> tuple[Criterion, ...]:
    """Whether people of earlier batches are known again; none where no row of theirs was scored.

    They passed once, so doubt is no refusal: it fails if the lower bound is above the margin, and
    passes otherwise, with too few rows as well.
    """
    known = {each.name: each for each in evaluation.metrics}
    metric, margin = known.get("earlier_hard_row_auc"), gate.hard_row_auc
    if metric is None or metric.undefined:
        return ()
    low, high = bounds(metric, alpha)
    why = _unjudged(metric, gate)
    outcome: Outcome = "fail" if not why and low > margin else "pass"
    if why:
        words = (
            f"Whether it knows people of earlier batches again cannot be told ({why}), and they "
            "passed once."
        )
    else:
        end = "so it knows them again" if low > margin else "so it is not shown to know them again"
        words = (
            f"It ranks the {metric.n} hard rows of earlier batches above held-out ones with AUC "
            f"{metric.value:.3f}; {metric.reference:.3f} is expected, {margin:g} more allowed, and "
            f"the difference is at least {low:+.3f} at {1 - alpha:.1%}, {end}."
        )
    return (_criterion("earlier", metric, margin, (low, high), outcome=outcome, words=words),)


def _criterion(
    name: str,
    metric: Metric,
    margin: float,
    ends: tuple[float, float],
    *,
    outcome: Outcome,
    words: str,
) -> Criterion:
    return Criterion(
        name=name,
        metric=metric.name,
        outcome=outcome,
        estimate=metric.value,
        reference=math.nan if metric.reference is None else metric.reference,
        reference_kind=metric.reference_kind,
        se=metric.gap_se,
        margin=margin,
        lower=ends[0],
        upper=ends[1],
        words=words,
    )
