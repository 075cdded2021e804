"""Selective Synaptic Dampening: shrink the parameters that matter more to D_f than to all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Subset

from expunge.training import Rows, TrainingSettings, keyed_order
from expunge.unlearning.laws import Values
from expunge.unlearning.perturbation import Perturbed
from expunge.unlearning.philox import Indices
from expunge.unlearning.selection import Mask
from expunge.unlearning.strategies.base import Strategy, check_settings, no_repair, register
from expunge.unlearning.work import Work


@register("ssd")
@dataclass(frozen=True)
class SSD(Strategy):
    """Source: Foster, Schoepf, Brintrup, "Fast machine unlearning without retraining through
    selective synaptic dampening", AAAI 2024, arXiv 2308.07707.

    With I the mean squared gradient (the diagonal empirical Fisher), a parameter is masked where
    I_f > `alpha` · I_D, and multiplied by min(`dampening` · I_D / I_f, 1). D is the paper's, all
    training rows: I_D is the mean of I_f and I_r by size, so I_f / I_D is at most |D| / |D_f|, and
    a larger `alpha` masks nothing. Ours: I_r is taken on `sample` rows of D_r at most; a gradient
    is that of `microbatch` rows (1 is the paper's formula); BatchNorm's statistics, which hold the
    forgotten rows, are re-estimated on D_r. There is no repair.
    """

    alpha: float = 10.0
    dampening: float = 1.0
    microbatch: int = 8
    sample: int = 10_000

    def __post_init__(self) -> None:
        check_settings(
            "SSD",
            alpha=self.alpha > 0,
            dampening=self.dampening > 0,
            microbatch=self.microbatch >= 1,
            sample=self.sample >= 1,
        )

    def training(self, repair: TrainingSettings | None) -> None:
        """None; a repair is refused."""
        no_repair("SSD", repair)

    def change(self, work: Work) -> Perturbed:
        """Both importances, then selection and dampening in one."""
        sample = self._sample(work)
        rule = Dampening(
            forget=work.saliency("fisher", self.microbatch),
            retain=work.saliency("fisher", self.microbatch, rows=sample),
            share=len(work.forget) / (len(work.forget) + len(work.retain)),
            alpha=self.alpha,
            dampening=self.dampening,
        )
        perturbed = work.alter(rule, lambda name, _: Dampened(rule, name))
        work.settle()
        return perturbed

    def _sample(self, work: Work) -> Rows:
        order = keyed_order(len(work.retain), work.seed, "importance sample")
        return Subset(work.retain, order[: self.sample].tolist())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Dampening:
    """Which parameters are dampened, by the roots of their importances to D_f and D_r.

    `share` is D_f's of all rows.
    """

    forget: Mapping[str, torch.Tensor]
    retain: Mapping[str, torch.Tensor]
    share: float
    alpha: float
    dampening: float
    ties: int = 0

    def mask(self, name: str, start: int, stop: int) -> Mask:
        """Where I_f > α · I_D."""
        forget, everywhere = self.importances(name, np.arange(start, stop))
        masked: Mask = forget > self.alpha * everywhere
        return masked

    def importances(self, name: str, indices: Indices) -> tuple[Values, Values]:
        """I_f and I_D, float64 [n], at `indices` of parameter `name`."""
        at = torch.from_numpy(indices)
        forget, retain = (
            found[name].reshape(-1)[at].double().square().numpy()
            for found in (self.forget, self.retain)
        )
        return forget, self.share * forget + (1 - self.share) * retain


@dataclass(frozen=True)
class Dampened:
    """The rule of one parameter."""

    rule: Dampening
    name: str

    def apply(self, weights: Values, indices: Indices) -> Values:
        """w · min(λ · I_D / I_f, 1); I_f of a masked parameter is above 0."""
        forget, everywhere = self.rule.importances(self.name, indices)
        shrunk: Values = weights * np.minimum(self.rule.dampening * everywhere / forget, 1.0)
        return shrunk
