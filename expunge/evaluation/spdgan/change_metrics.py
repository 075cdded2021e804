"""Changes as metrics: with interval and reference, and as a share of the retrain's."""

from __future__ import annotations

import math
from dataclasses import replace

from expunge.evaluation.metric import Metric, undefined
from expunge.evaluation.spdgan.change import Change
from expunge.evaluation.uncertainty import Z95, denominator_floor, fieller, ratio_se


def change_metric(name: str, change: Change) -> Metric:
    """The candidate's change as a metric, with the retrain's as its reference."""
    value, se = float(change.mean[0]), math.sqrt(change.cov[0, 0])
    found = Metric(
        name,
        value,
        se,
        value - Z95 * se,
        value + Z95 * se,
        change.n,
        degrees=change.people - 1,
        left_out=change.left_out,
    )
    if len(change.mean) == 1:
        return found
    gap = math.sqrt(max(0.0, change.cov[0, 0] + change.cov[1, 1] - 2 * change.cov[0, 1]))
    reference = float(change.mean[1])
    return replace(found, reference=reference, reference_kind="exact_retrain", gap_se=gap)


def normalised(change: Change) -> Metric:
    """nUD with Fieller's interval; undefined where the retrain's UD_cal says too little."""
    if len(change.mean) == 1:
        return undefined("nud", "no exact retrain to compare with", change.n)
    top, bottom = (float(mean) for mean in change.mean)
    floor = denominator_floor(math.sqrt(change.cov[1, 1]))
    if bottom < floor:
        why = f"the denominator is {bottom:.3f}, below {floor:.3f}"
        return undefined("nud", why, change.n)
    low, high = fieller(top, bottom, change.cov)
    se = ratio_se(top, bottom, change.cov)
    return Metric(
        "nud",
        top / bottom,
        se,
        low,
        high,
        change.n,
        1.0,
        "exact_retrain",
        gap_se=se,
        degrees=change.people - 1,
        left_out=change.left_out,
    )
