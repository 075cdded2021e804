"""The request itself: what is measured of the forgotten rows before any candidate.

Once per batch and base version: whether the inputs alone tell them from held-out rows (then no
membership metric judges anything), and whether others hold near copies of them (then forgetting
them cannot show).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from expunge.evaluation import Evaluation, Metric
from expunge.evaluation.validity import validity
from expunge.evaluation.validity_rules import METRICS
from expunge.line.attempt import Attempt, seed_of
from expunge.line.context import Line
from expunge.requests import Fence

if TYPE_CHECKING:
    from expunge.line.evaluate import Splits


def request_facts(line: Line, fence: Fence, attempt: Attempt, rows: Splits) -> Mapping[str, Any]:
    """`blind` and `duplicates` of the attempt's forget rows, measured at most once."""
    part = f"{attempt.model}/{attempt.base}/request"
    with line.station(attempt.batch_id, "evaluate", fence, part) as outcome:
        if outcome is not None:
            line.progress("evaluate", f"{attempt.model}: are the forgotten rows like others?")
            outcome.update(_facts(rows, seed_of(attempt.batch_id)))
    return line.found(attempt.batch_id, "evaluate", part)


def _facts(rows: Splits, seed: int) -> dict[str, Any]:
    from expunge.evaluation.blind import blind_classifier
    from expunge.evaluation.duplicates import near_duplicates

    return {
        "forget_rows": len(rows.forget),
        "held_out_rows": len(rows.held_out),
        "held_out_people": len(np.unique(rows.held_out.subject_codes)),
        "blind": blind_classifier(rows.forget, rows.held_out, seed=seed).to_json(),
        "duplicates": near_duplicates(rows.forget, rows.retain, rows.held_out, seed=seed).to_json(),
    }


def validity_of(
    metric: Metric, evaluation: Evaluation, request: Mapping[str, Any]
) -> tuple[bool | None, str]:
    """Whether a metric says anything of a request with these facts, and why.

    None for one that the validity table does not know. A hard-row metric has the hard rows only.
    """
    if metric.name not in METRICS:
        return None, ""
    found = validity(
        metric.name,
        evaluation.request,
        has_retrain=False,
        has_null=False,
        held_out_subjects=request["held_out_people"],
        held_out_rows=request["held_out_rows"],
        forget_rows=metric.n if "hard_row_auc" in metric.name else request["forget_rows"],
        inputs_differ=request["blind"]["distribution_differs"],
    )
    return found.valid, found.why
