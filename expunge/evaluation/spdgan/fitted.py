"""A fitted SPD-GAN: the generator, its ε, and how that ε was found."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from expunge.evaluation.metric import json_ready, read_fields
from expunge.evaluation.spdgan.generator import Generator
from expunge.evaluation.spdgan.settings import SpdGanSettings
from expunge.training import pick_device


@dataclass(frozen=True)
class CurvePoint:
    """At this ε the references lost `drop` of accuracy on role V, with its error by subject."""

    epsilon: float
    drop: float
    se: float

    def to_json(self) -> dict[str, Any]:
        """The fields by name; NaN as None."""
        return json_ready(asdict(self))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CurvePoint:
        """The point that `to_json` wrote. Raises EvaluationError for other fields."""
        return read_fields(cls, record, ("se",))


@dataclass(frozen=True)
class Calibration:
    """ε, the points tried in their order, and why it is `not_resolvable`; None when it is."""

    epsilon: float
    curve: tuple[CurvePoint, ...]
    not_resolvable: str | None = None

    @property
    def resolvable(self) -> bool:
        """Whether the references lose what they should, for certain enough."""
        return self.not_resolvable is None


@dataclass(frozen=True, eq=False)
class Fitted:
    """G at its calibrated ε, in evaluation mode on the CPU.

    Made from the rows of role F (`fit_rows` of them), role V (`tune_rows`) and of the people whom
    the references were trained on: a derived model, to be rebuilt when one of them is erased.
    """

    generator: Generator = field(repr=False)
    calibration: Calibration
    settings: SpdGanSettings
    seed: int
    references: int
    fit_rows: int
    tune_rows: int

    def generator_on(self, device: str) -> Generator:
        """A copy of G on `device`, so that this value stays as it is."""
        return copy.deepcopy(self.generator).to(pick_device(device))

    @property
    def epsilon(self) -> float:
        """Size of the perturbation, in standard deviations of the input."""
        return self.calibration.epsilon

    @property
    def resolvable(self) -> bool:
        """Whether unlearning degrees may be measured with it."""
        return self.calibration.resolvable
