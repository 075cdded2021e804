"""The edit budget: what edits cost together since the last exact model, and whether it is spent.

Each edit loses a little, and leaves a little of the people it should forget. What one candidate
loses is within the margins of the gate; what ten lose in a row need not be. So the costs are
added up with each version, and where the spec's budget is spent the next batch retrains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from expunge.evaluation import Evaluation
from expunge.requests import ModelVersion
from expunge.specs import BudgetSpec, GateSpec


@dataclass(frozen=True)
class Spent:
    """What the edits of a version came to; None where it was not kept track of.

    `held_out_loss`: sum of −GEN (of real labels the relative one), so that a gain pays a loss back.
    `hard_row_auc`: sum of the excesses over the reference; one edit that shuns its people pays
    nothing back for another that knows them, since they are other people.
    """

    edits: int
    held_out_loss: float | None
    hard_row_auc: float | None


def spent_by(version: ModelVersion) -> Spent:
    """What the version's edits came to; nothing for an exact model."""
    if version.edits == 0:
        return Spent(0, 0.0, 0.0)
    return Spent(version.edits, version.held_out_loss, version.hard_row_excess)


def after_edit(base: ModelVersion, evaluation: Evaluation, gate: GateSpec) -> Spent:
    """What the edits come to with one more, which made the evaluated candidate from `base`.

    A cost that could not be measured counts as the gate's margin for it: as much as the gate
    would have let pass.
    """
    before = spent_by(base)
    return Spent(
        before.edits + 1,
        _sum(before.held_out_loss, _loss(evaluation, gate)),
        _sum(before.hard_row_auc, _excess(evaluation, gate)),
    )


def over_budget(budget: BudgetSpec, spent: Spent) -> str | None:
    """Which limits are reached, in words; None while there is something left of all."""
    reached = [
        f"{words} {_number(used)} of {_number(limit)}"
        for words, used, limit in (
            ("edits", spent.edits, budget.edits),
            ("held-out loss", spent.held_out_loss, budget.held_out_loss),
            ("hard-row AUC above its reference", spent.hard_row_auc, budget.hard_row_auc),
        )
        if limit is not None and used is not None and used >= limit
    ]
    return ", ".join(reached) or None


def _sum(before: float | None, own: float) -> float | None:
    return None if before is None else before + own


def _loss(evaluation: Evaluation, gate: GateSpec) -> float:
    metric, margin = evaluation.generalisation, gate.utility(evaluation.task)
    return margin if metric.undefined or math.isnan(metric.value) else -metric.value


def _excess(evaluation: Evaluation, gate: GateSpec) -> float:
    metric = evaluation.metric("hard_row_auc")
    if metric.undefined or metric.reference is None or metric.n < gate.min_hard_rows:
        return gate.hard_row_auc
    return max(0.0, metric.value - metric.reference)


def _number(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
