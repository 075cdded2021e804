"""NegGrad+: raise the loss on the forgotten rows while lowering it on the retained ones."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.training import History, TrainingSettings
from expunge.unlearning.ascent import Term
from expunge.unlearning.perturbation import Perturbed, untouched
from expunge.unlearning.strategies.base import Strategy, check_settings, no_repair, register
from expunge.unlearning.work import Work


@register("neggrad_plus")
@dataclass(frozen=True)
class NegGradPlus(Strategy):
    """Source: the baseline NegGrad+ of Kurmanji, Triantafillou, Hayes, Triantafillou, "Towards
    unbounded machine unlearning" (SCRUB), NeurIPS 2023, arXiv 2302.09880.

    Minimises `alpha` · L(D_r) − (1 − `alpha`) · L(D_f), `alpha` in [0, 1]; with 1, without a clip,
    it is fine-tuning. A step reads a batch of each; epochs are passes over the retain split (over
    the forget split where `alpha` is 0). Ours: AdamW in place of SGD; `clip`, the longest gradient
    (None: any); forgotten rows leave no BatchNorm statistics, which are re-estimated on D_r.
    """

    recipe: TrainingSettings
    alpha: float = 0.95
    clip: float | None = 1.0

    def __post_init__(self) -> None:
        check_settings(
            "NegGrad+",
            alpha=0 <= self.alpha <= 1,
            clip=self.clip is None or self.clip > 0,
        )

    def training(self, repair: TrainingSettings | None) -> TrainingSettings:
        """Its own; a repair beside it is refused."""
        no_repair("NegGrad+", repair)
        return self.recipe

    def change(self, work: Work) -> Perturbed:
        """Nothing is masked: the training is everything."""
        return untouched(work.network)

    def train(self, work: Work, settings: TrainingSettings) -> History:
        """Descend on the retain split, ascend on the forget split."""
        terms = [
            Term(work.retain, self.alpha, forgotten=False),
            Term(work.forget, self.alpha - 1, forgotten=True),
        ]
        history = work.contend(terms, settings, self.clip)
        work.settle(settings.batch_size)
        return history
