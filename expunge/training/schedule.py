"""The learning rate over one run."""

from __future__ import annotations

import math
from typing import Protocol


class TrainingSettings(Protocol):
    """What `fit` reads: specs.Recipe, specs.RepairSpec and unlearning.Repair all have it."""

    @property
    def epochs(self) -> float:
        """Passes over the rows; may be a fraction."""

    @property
    def lr(self) -> float:
        """Peak learning rate."""

    @property
    def batch_size(self) -> int:
        """Rows of a batch at most."""

    @property
    def weight_decay(self) -> float:
        """AdamW's decoupled weight decay."""

    @property
    def beta2(self) -> float:
        """AdamW's second β."""

    @property
    def warmup(self) -> float:
        """Share of the steps in which the learning rate rises, in [0, 1)."""

    @property
    def schedule(self) -> str:
        """`one_cycle` or `constant`."""


def learning_rate_factor(step: int, steps: int, settings: TrainingSettings) -> float:
    """Share of the peak learning rate in step `step` (from 0) of `steps`, in (0, 1].

    One cycle: a linear rise over the first `warmup` of the steps, then half a cosine towards 0.
    """
    if settings.schedule == "constant":
        return 1.0
    rise = settings.warmup * steps
    if step + 1 <= rise:
        return (step + 1) / rise
    passed = (step + 1 - rise) / (steps - rise + 1)
    return 0.5 * (1 + math.cos(math.pi * min(max(passed, 0.0), 1.0)))
