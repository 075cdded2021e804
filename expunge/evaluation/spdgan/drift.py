"""Whether the data have moved away from those that a generator was fitted on."""

from __future__ import annotations

from typing import Any

from expunge.evaluation.spdgan.fitted import Fitted
from expunge.evaluation.spdgan.generator import Generator


def drift(fitted: Fitted, rows: Any) -> float:
    """How far the mean of `rows` lies from that of the fit: the largest shift of a feature.

    In standard deviations of the fit, 0 or more, channels of pictures as a whole. Features that
    were constant, and categorical ones, do not count.
    """
    then = fitted.generator
    now = Generator(then.architecture)
    now.adapt(rows)
    moving = then.scale > 0
    shift = (now.mean - then.mean).abs()[moving] / then.scale[moving]
    return float(shift.max()) if shift.numel() else 0.0
