"""What the pictures read of a metric: `expunge.evaluation.Metric` is one."""

from __future__ import annotations

import math
from typing import Protocol


class Measured(Protocol):
    """A value with its 95 % interval, or the reason why there is none."""

    @property
    def value(self) -> float:
        """The estimate."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""

    @property
    def undefined(self) -> str | None:
        """Why there is no value, or None."""


def missing(metric: Measured | None) -> str | None:
    """Why there is nothing to draw, or None."""
    if metric is None:
        return "not measured"
    if metric.undefined or math.isnan(metric.value):
        return metric.undefined or "no value"
    return None
