"""SalUn: train the weights that the forgotten rows' loss pulls at most, on random labels."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.training import History, TrainingSettings
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.relabelled import Relabelled
from expunge.unlearning.strategies.base import Strategy, check_settings, no_repair, register
from expunge.unlearning.work import Work


@register("salun")
@dataclass(frozen=True)
class SalUn(Strategy):
    """Source: Fan, Liu, Zhang, Wong, Wei, Liu, "SalUn: empowering machine unlearning via
    gradient-based weight saliency", ICLR 2024, arXiv 2310.12508.

    The mask is the `fraction` of weights with the largest |gradient of the forget split's loss|
    (the paper's threshold is the median: 0.5). They alone are trained, on D_r and on D_f under
    random labels. So it trains on the inputs of forgotten rows, which "repair on D_r only"
    (method.md, section 2) forbids our own strategies: for comparison.

    Ours: both splits are mixed in one stream, so that D_f weighs what its rows weigh; labels are
    drawn once; AdamW in place of SGD, without decay, which would move weights outside the mask;
    BatchNorm's statistics are re-estimated on D_r. A gradient of `microbatch` rows is computed at
    once, to the same sum.
    """

    recipe: TrainingSettings
    fraction: float = 0.5
    microbatch: int = 64

    def __post_init__(self) -> None:
        check_settings(
            "SalUn",
            fraction=0 < self.fraction <= 1,
            microbatch=self.microbatch >= 1,
            weight_decay=self.recipe.weight_decay == 0,
        )

    def training(self, repair: TrainingSettings | None) -> TrainingSettings:
        """Its own; a repair beside it is refused."""
        no_repair("SalUn", repair)
        return self.recipe

    def change(self, work: Work) -> Perturbed:
        """Saliency and selection; what changes the masked weights is the training."""
        saliencies = work.saliency("whole_gradient", self.microbatch)
        return work.confine(work.top_k(saliencies, self.fraction))

    def train(self, work: Work, settings: TrainingSettings) -> History:
        """Train the masked weights on retained rows and relabelled forgotten ones."""
        rows = Relabelled(work.retain, work.forget, work.seed)
        history = work.train(settings, rows)
        work.settle(settings.batch_size)
        return history
