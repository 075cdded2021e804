"""Bottom-K: perturb the parameters that matter least to the forgotten rows, as a control."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.unlearning.laws import Law
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.strategies.base import register
from expunge.unlearning.strategies.top_k import TopK
from expunge.unlearning.work import Work


@register("bottom_k")
@dataclass(frozen=True)
class BottomK(TopK):
    """The control to Top-K (Zuo et al., arXiv 2401.04385, TKDE 2025); the definition is ours.

    Settings, ties and cost are Top-K's. What it forgets, forgetting needs no saliency for.
    """

    def change(self, work: Work) -> Perturbed:
        """Saliency, selection of the least salient, perturbation."""
        saliencies = work.saliency(self.saliency, self.microbatch)
        selection = work.bottom_k(saliencies, self.fraction, per_layer=self.per_layer)
        return work.perturb(selection, Law(self.noise, self.scale))
