"""Gradient ascent: raise the loss on the forgotten rows."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.training import History, TrainingSettings
from expunge.unlearning.ascent import Term
from expunge.unlearning.perturbation import Perturbed, untouched
from expunge.unlearning.strategies.base import Strategy, check_settings, no_repair, register
from expunge.unlearning.work import Work


@register("gradient_ascent")
@dataclass(frozen=True)
class GradientAscent(Strategy):
    """Source: "NegGrad" of Golatkar, Achille, Soatto, "Eternal sunshine of the spotless net",
    CVPR 2020, arXiv 1911.04933; undoing updates as in Thudi, Deza, Chandrasekaran, Papernot,
    "Unrolling SGD", EuroS&P 2022, arXiv 2109.13398.

    Nothing bounds the loss that is raised, and no retained row holds it back. Ours: AdamW in place
    of SGD, whose steps a large gradient does not lengthen, and `clip`, the longest gradient (None:
    any), so that no batch rules the moments; BatchNorm's statistics, closed to forgotten rows, are
    re-estimated on the retain split afterwards. `recipe` counts its epochs over the forget split.
    """

    recipe: TrainingSettings
    clip: float | None = 1.0

    def __post_init__(self) -> None:
        check_settings("Gradient ascent", clip=self.clip is None or self.clip > 0)

    def training(self, repair: TrainingSettings | None) -> TrainingSettings:
        """Its own; a repair beside it is refused."""
        no_repair("Gradient ascent", repair)
        return self.recipe

    def change(self, work: Work) -> Perturbed:
        """Nothing is masked: the training is everything."""
        return untouched(work.network)

    def train(self, work: Work, settings: TrainingSettings) -> History:
        """Ascend the loss of the forget split."""
        terms = [Term(work.forget, -1.0, forgotten=True)]
        history = work.contend(terms, settings, self.clip)
        work.settle(settings.batch_size)
        return history
