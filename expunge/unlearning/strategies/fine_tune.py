"""Fine-tune: go on training on the retain split, and let memory of the rest fade."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.errors import TerminalError
from expunge.training import TrainingSettings
from expunge.unlearning.perturbation import Perturbed, untouched
from expunge.unlearning.strategies.base import Strategy, register
from expunge.unlearning.work import Work


@register("fine_tune")
@dataclass(frozen=True)
class FineTune(Strategy):
    """The usual baseline: no parameter is masked; the repair is everything."""

    def training(self, repair: TrainingSettings | None) -> TrainingSettings:
        """The repair, which has to be given."""
        if repair is None:
            raise TerminalError(
                "Fine-tuning without a repair would change nothing.",
                fix="pass repair=Repair(epochs=..., lr=...)",
            )
        return repair

    def change(self, work: Work) -> Perturbed:
        """Nothing is changed."""
        return untouched(work.network)
