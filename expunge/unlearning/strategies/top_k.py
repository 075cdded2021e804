"""Top-K: perturb the parameters that matter most to the forgotten rows."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.unlearning.laws import NOISES, Law, Noise
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.saliency import KINDS, SaliencyKind
from expunge.unlearning.strategies.base import Strategy, check_settings, register
from expunge.unlearning.work import Work


@register("top_k")
@dataclass(frozen=True)
class TopK(Strategy):
    """Source: Zuo et al., arXiv 2401.04385 (TKDE 2025), "Top-K"; details ours, see the method.

    `fraction` in (0, 1] of all parameters, or with `per_layer` of each; `scale` > 0 is the law's
    s (`reinit` reads none); `microbatch` rows share a gradient.
    """

    fraction: float
    noise: Noise = "variance_preserving"
    scale: float = 1.0
    saliency: SaliencyKind = "fisher"
    microbatch: int = 8
    per_layer: bool = False

    def __post_init__(self) -> None:
        check_settings(
            "Top-K",
            fraction=0 < self.fraction <= 1,
            noise=self.noise in NOISES,
            scale=self.scale > 0,
            saliency=self.saliency in KINDS,
            microbatch=self.microbatch >= 1,
        )

    def change(self, work: Work) -> Perturbed:
        """Saliency, selection, perturbation."""
        saliencies = work.saliency(self.saliency, self.microbatch)
        selection = work.top_k(saliencies, self.fraction, per_layer=self.per_layer)
        return work.perturb(selection, Law(self.noise, self.scale))
