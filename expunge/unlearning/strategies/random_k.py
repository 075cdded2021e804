"""Random-k: perturb parameters that a keyed hash chooses."""

from __future__ import annotations

from dataclasses import dataclass

from expunge.unlearning.laws import NOISES, Law, Noise
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.strategies.base import Strategy, check_settings, register
from expunge.unlearning.work import Work


@register("random_k")
@dataclass(frozen=True)
class RandomK(Strategy):
    """Source: Zuo et al., arXiv 2401.04385 (TKDE 2025), "Random-k"; details ours.

    `fraction` in (0, 1] of all parameters; `scale` > 0 is the law's s (`reinit` reads none).
    """

    fraction: float
    noise: Noise = "variance_preserving"
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_settings(
            "Random-k",
            fraction=0 < self.fraction <= 1,
            noise=self.noise in NOISES,
            scale=self.scale > 0,
        )

    def change(self, work: Work) -> Perturbed:
        """Selection, perturbation; the forgotten rows are not read."""
        return work.perturb(work.random_k(self.fraction), Law(self.noise, self.scale))
