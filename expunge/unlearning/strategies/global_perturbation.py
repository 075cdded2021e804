"""Global perturbation: perturb every parameter."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.unlearning.laws import NOISES, Law, Noise
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.strategies.base import Strategy, check_settings, register
from expunge.unlearning.work import Work


@register("global_perturbation")
@dataclass(frozen=True)
class GlobalPerturbation(Strategy):
    """What the fine-grained strategies (Zuo et al., arXiv 2401.04385) are to be better than.

    Random-k at a fraction of 1: the same noise by the same key. `scale` > 0 is the law's s
    (`reinit` reads none). With `shrink` it is the shrink-and-perturb of Ash and Adams, "On
    warm-starting neural network training", NeurIPS 2020, towards a fresh initialisation.
    """

    noise: Noise = "variance_preserving"
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_settings("Global perturbation", noise=self.noise in NOISES, scale=self.scale > 0)

    def change(self, work: Work) -> Perturbed:
        """Perturbation of everything; the forgotten rows are not read."""
        return work.perturb(work.random_k(1.0), Law(self.noise, self.scale))
