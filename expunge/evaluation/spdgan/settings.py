"""How an SPD-GAN is fitted; the defaults fit 28×28 images in half a minute on two cores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from expunge.evaluation.metric import EvaluationError, json_ready, read_fields


@dataclass(frozen=True)
class SpdGanSettings:
    """Settings of one fit.

    `steps` of `batch_size` rows of role F; `width` channels of the networks; `lr` of both;
    each step asks `references_per_step` of the references, in turn.
    The generator lowers the references' margins to `hinge_margin` (0: where they begin to err),
    plus `adversarial` times the discriminator's hinge. ε starts at `epsilon`, never exceeds
    `epsilon_max` (both in standard deviations of the input), and is sought in at most
    `evaluations` passes over role V so that the references lose `low` to `high` of accuracy.
    """

    steps: int = 250
    batch_size: int = 64
    width: int = 16
    references_per_step: int = 2
    lr: float = 2e-3
    adversarial: float = 1.0
    hinge_margin: float = 0.0
    epsilon: float = 0.1
    epsilon_max: float = 2.0
    low: float = 0.04
    high: float = 0.06
    evaluations: int = 16

    def __post_init__(self) -> None:
        counts = self.steps, self.batch_size, self.width, self.references_per_step, self.evaluations
        sound = (
            min(counts) >= 1
            and self.lr > 0
            and self.adversarial >= 0
            and math.isfinite(self.hinge_margin)
            and 0 < self.epsilon <= self.epsilon_max < math.inf
            and 0 < self.low < self.high < 1
        )
        if not sound:
            raise EvaluationError(
                f"An SPD-GAN cannot be fitted with these settings: {self}.",
                fix="give positive counts, 0 < epsilon <= epsilon_max and 0 < low < high < 1",
            )

    @property
    def target(self) -> float:
        """The loss of accuracy in the middle of the band."""
        return (self.low + self.high) / 2

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return json_ready(asdict(self))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> SpdGanSettings:
        """The settings that `to_json` wrote. Raises EvaluationError for other fields."""
        return read_fields(cls, record, ())
