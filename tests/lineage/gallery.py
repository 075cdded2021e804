"""Every picture once, from made-up numbers of the size that real runs have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from expunge.evaluation import Metric
from expunge.lineage import plots
from expunge.lineage.plots import Attack, CostPoint, Level, MarginPair, SplitAccuracy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Layer:
    name: str
    parameters: int
    masked: int
    changed: int


@dataclass(frozen=True)
class Curve:
    fpr: Any
    tpr: Any
    low: Any
    high: Any


@dataclass(frozen=True)
class Grid:
    original: Any
    perturbed: Any
    residual: Any
    labels: Any


def said(figure: Figure) -> set[str]:
    """Every text in a figure."""
    from matplotlib.text import Text

    return {text.get_text() for text in figure.findobj(Text)}  # type: ignore[attr-defined]


def pair(shift: float, rows: int = 200, auc: float | None = 0.7) -> MarginPair:
    draw = np.random.default_rng(3).normal
    return MarginPair(draw(shift, 2, rows), draw(0, 2, rows), auc)


def metric(value: float, se: float = 0.02) -> Metric:
    return Metric("ud", value, se, value - 1.96 * se, value + 1.96 * se, 300)


def unknown(why: str) -> Metric:
    return Metric("ud", np.nan, np.nan, np.nan, np.nan, 0, undefined=why)


def curve(power: float, held_out: int = 2_000) -> Curve:
    """TPR = FPR ** power, AUC 1 / (1 + power)."""
    fpr = np.geomspace(1 / held_out, 1, 101)
    tpr = fpr**power
    return Curve(fpr, tpr, tpr * 0.8, np.minimum(tpr * 1.2, 1))


def grid(shape: tuple[int, ...], classes: int, seed: int = 1, size: float = 0.25) -> Grid:
    """Three rows of each class."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(3 * classes, *shape))
    residual = size * np.tanh(draw.normal(size=rows.shape))
    return Grid(rows, rows + residual, residual, np.arange(3 * classes) % classes)


def points() -> list[CostPoint]:
    return [
        CostPoint("fine-tune", 0.30, 0.17, 0.01, 0.03, "repair only"),
        CostPoint("gradient ascent", 0.03, 0.31, 0.002, 0.06, "other", damaged=True),
        CostPoint("Top-K 5 % additive", 0.08, 0.21, 0.004, 0.02, "perturbation"),
        CostPoint("Random-k 5 % additive", 0.081, 0.225, 0.004, 0.02, "perturbation"),
        CostPoint("Top-K 20 % VP", 0.29, 0.02, 0.01, 0.02, "perturbation"),
        CostPoint("Random-k 80 % VP", 0.29, 0.015, 0.01, 0.02, "perturbation"),
        CostPoint("shrink", 0.10, 0.03, 0.004, 0.02, "perturbation"),
        CostPoint("fresh classifier", 0.10, 0.02, 0.002, 0.03, "re-initialise"),
        CostPoint("fast exact retrain", 0.10, 0.018, 0.002, 0.015, "retrain"),
    ]


GALLERY: dict[str, Callable[[], Figure]] = {
    "training": lambda: plots.training_curve([2.0, 1.0, 0.5]),
    "scores": lambda: plots.score_distributions(pair(3), pair(0, auc=0.5)),
    "accuracy": lambda: plots.accuracy_bars(
        [SplitAccuracy("forget", 1.0, 0.83, 0.81, (0.99, 1.0), (0.8, 0.87), (0.78, 0.84))]
    ),
    "sparsity": lambda: plots.sparsity_by_layer([Layer("fc.weight", 400, 100, 60)]),
    "roc": lambda: plots.attack_roc(
        Attack(curve(0.3), metric(0.77)),
        Attack(curve(0.8), metric(0.55)),
        Attack(curve(1.0), metric(0.5)),
        held_out_rows=2_000,
    ),
    "degree": lambda: plots.unlearning_degree(
        metric(0.16),
        unseen=metric(0.04),
        sign_noise=metric(0.15),
        calibrated=metric(0.12),
        normalised=metric(0.9, 0.1),
        retrain=metric(0.17),
    ),
    "pictures": lambda: plots.perturbation_grid(grid((1, 8, 8), 2)),
    "vectors": lambda: plots.perturbation_grid(grid((9,), 2)),
    "cost": lambda: plots.forgetting_against_cost(
        points(), champion=Level(0.38, 0.02), retrain=Level(0.016, 0.01)
    ),
}
