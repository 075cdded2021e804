"""Exact retrain: train from scratch on the retain split, with the champion's recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from expunge.errors import TerminalError
from expunge.training import History, TrainingSettings
from expunge.unlearning.laws import Law
from expunge.unlearning.parameters import working_copy
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.strategies.base import Strategy, register
from expunge.unlearning.work import Work


@register("exact_retrain")
@dataclass(frozen=True)
class ExactRetrain(Strategy):
    """The reference that every other strategy is measured by; nothing of the champion is left.

    `recipe` is how it is trained (specs.Recipe, or a Repair). The fresh network is the factory's;
    without one, a copy whose modules have reset themselves, in which frozen parameters stay.
    """

    recipe: TrainingSettings
    exact: ClassVar[bool] = True

    def training(self, repair: TrainingSettings | None) -> TrainingSettings:
        """The recipe; a repair beside it is refused."""
        if repair is not None:
            raise TerminalError(
                "An exact retrain takes its recipe, and no repair.", fix="leave `repair` out"
            )
        return self.recipe

    def change(self, work: Work) -> Perturbed:
        """Every parameter is masked and drawn anew; buffers are the fresh network's too."""
        everything = work.random_k(1.0)
        perturbed = work.perturb(everything, Law("reinit", 1.0))
        flags = [module.training for module in work.model.modules()]
        work.network = working_copy(work.fresh.model)
        for module, flag in zip(work.network.modules(), flags, strict=True):
            module.training = flag
        return perturbed

    def train(self, work: Work, settings: TrainingSettings) -> History:
        """Training as a champion's, not a repair."""
        return work.train(settings)
