"""Does the model score forgotten rows above rows nobody trained on?

AUC = P(s_f > s_h) + ½P(s_f = s_h), s the margin, with held-out rows weighted so that their classes
have the forget set's shares. The hard-row AUC is the same on the rows, of both sides, whose mean
reference score is below 1: easy rows look the same whether trained on or not, and hide memory.

Where labels are real numbers, ours: in place of classes stand strata, fifths of the held-out
labels; and a row is hard where the reference models' mean absolute error on it is above the median
of that of the held-out rows, half of which are hard by this.

Errors are a bootstrap by subject, both sides resampled on their own, class weights recomputed in
each resample; every draw depends on the seed alone, and models are compared on the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expunge.evaluation.scores import Codes, Floats, Mask, Scores, task_of
from expunge.evaluation.uncertainty import units
from expunge.specs import Task

HARD_BELOW = 1.0
STRATA = 5
MIN_HELD_OUT_PER_CLASS = 5
_CELLS = 2_000_000

TwoSides: TypeAlias = tuple[Scores, Scores]


@dataclass(frozen=True, eq=False)
class Population:
    """Which rows of the two sides are compared: class by class, with `left_out` forget rows.

    `forget` and `held_out` are row numbers into the two sides; the labels, classes or strata of
    real ones, and subjects are theirs.
    """

    forget: NDArray[np.int64]
    held_out: NDArray[np.int64]
    forget_labels: Codes
    held_out_labels: Codes
    forget_subjects: Codes
    held_out_subjects: Codes
    left_out: int

    @property
    def empty(self) -> bool:
        """Whether a side has no row."""
        return len(self.forget) == 0 or len(self.held_out) == 0

    def margins(self, model: TwoSides) -> tuple[Floats, Floats]:
        """One model's margins on the rows of both sides, from its scores on all of both."""
        return model[0].margin[self.forget], model[1].margin[self.held_out]


def comparable(
    forget: Scores, held_out: Scores, hard: tuple[Mask, Mask] | None = None
) -> Population:
    """The rows to compare, only the `hard` ones (masks of both sides) if given.

    Classes with fewer than five held-out rows are left out of both sides and counted.
    """
    f = np.arange(len(forget)) if hard is None else np.flatnonzero(hard[0])
    h = np.arange(len(held_out)) if hard is None else np.flatnonzero(hard[1])
    mine, theirs = strata(forget.labels, held_out.labels)
    classes, counts = np.unique(theirs[h], return_counts=True)
    enough = classes[counts >= MIN_HELD_OUT_PER_CLASS]
    kept = f[np.isin(mine[f], enough)]
    h = h[np.isin(theirs[h], np.intersect1d(enough, mine[kept]))]
    return Population(
        forget=kept,
        held_out=h,
        forget_labels=mine[kept],
        held_out_labels=theirs[h],
        forget_subjects=forget.subjects[kept],
        held_out_subjects=held_out.subjects[h],
        left_out=len(f) - len(kept),
    )


def strata(forget: NDArray[Any], held_out: NDArray[Any]) -> tuple[Codes, Codes]:
    """What rows of both sides have to share to be compared: their class, or a fifth of the labels.

    The fifths are of the held-out labels, whichever of these rows are hard.
    """
    if task_of(held_out) == "classification":
        return forget, held_out
    if not len(held_out):
        return np.zeros(len(forget), np.int64), np.zeros(0, np.int64)
    edges = np.quantile(held_out, np.arange(1, STRATA) / STRATA)
    mine, theirs = (np.searchsorted(edges, side, side="right") for side in (forget, held_out))
    return mine.astype(np.int64), theirs.astype(np.int64)


def hard_rows(forget: Floats, held_out: Floats, task: Task) -> tuple[Mask, Mask]:
    """Rows of both sides that models trained on other people find hard, by their mean margins.

    Of classes those below 1; of real labels those below the held-out rows' median.
    """
    below = HARD_BELOW if task == "classification" else _median(held_out)
    return np.asarray(forget < below), np.asarray(held_out < below)


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else math.nan


def weighted_auc(
    forget: Floats, held_out: Floats, forget_weights: Floats, held_out_weights: Floats
) -> Floats:
    """AUC [B] of scores [n_f] over [n_h] under B pairs of non-negative weights [n, B].

    Ties count half; scaling a column of weights changes nothing; NaN where a side weighs nothing.
    """
    order = np.argsort(held_out, kind="stable")
    ranked = held_out[order]
    below = np.zeros((len(held_out) + 1, held_out_weights.shape[1]))
    np.cumsum(held_out_weights[order], axis=0, out=below[1:])
    beaten = below[np.searchsorted(ranked, forget, side="left")]
    beaten += below[np.searchsorted(ranked, forget, side="right")]
    wins = np.einsum("nb,nb->b", forget_weights, beaten) / 2
    mass = forget_weights.sum(axis=0) * below[-1]
    return np.asarray(np.divide(wins, mass, out=np.full(len(wins), np.nan), where=mass > 0))


def auc(population: Population, model: TwoSides) -> float:
    """The AUC of one model on `population`; NaN when it is empty."""
    if population.empty:
        return math.nan
    ones = np.ones((len(population.forget), 1)), np.ones((len(population.held_out), 1))
    return float(weighted_auc(*population.margins(model), *balanced(population, *ones))[0])


def resampled_aucs(
    population: Population,
    models: Sequence[TwoSides],
    *,
    resamples: int,
    seed: int,
    forget_fixed: bool = False,
) -> Floats:
    """AUC [models, B] on B bootstrap resamples of the people, the same ones for every model.

    Forget and held-out people are drawn independently, each with replacement; `forget_fixed`
    leaves the forget side as it is.
    """
    margins = [population.margins(model) for model in models]
    forget, held_out = units(population.forget_subjects), units(population.held_out_subjects)
    step = max(1, _CELLS // (len(forget[0]) + len(held_out[0])))
    parts = []
    for number, start in enumerate(range(0, resamples, step)):
        count = min(step, resamples - start)
        rng = np.random.default_rng([seed, number])
        drawn = _draw(rng, held_out, count)
        kept = np.ones((len(forget[0]), count)) if forget_fixed else _draw(rng, forget, count)
        weights = balanced(population, kept, drawn)
        parts.append([weighted_auc(*each, *weights) for each in margins])
    return np.concatenate([np.asarray(part) for part in parts], axis=1)


def _draw(rng: np.random.Generator, people: tuple[Codes, int], count: int) -> Floats:
    """How often each row [N, count] occurs when its m people are drawn m times."""
    dense, m = people
    drawn = rng.integers(0, m, size=(count, m)) * count + np.arange(count)[:, None]
    times = np.bincount(drawn.ravel(), minlength=count * m).reshape(m, count)
    return times.astype(np.float64)[dense]


def balanced(rows: Population, forget: Floats, held_out: Floats) -> tuple[Floats, Floats]:
    """Weights [n, B] with which the held-out side has the forget side's classes.

    A class that a resample lost from the held-out side is left out of it on both sides.
    """
    classes, f = np.unique(rows.forget_labels, return_inverse=True)
    h = np.searchsorted(classes, rows.held_out_labels)
    wanted, found = _by_class(forget, f, len(classes)), _by_class(held_out, h, len(classes))
    ratio = np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)
    if not found.all():
        forget = forget * (found > 0)[f]
    return forget, held_out * ratio[h]


def _by_class(weights: Floats, classes: Codes, count: int) -> Floats:
    n = len(classes)
    onehot = sparse.csr_array((np.ones(n), (classes, np.arange(n))), shape=(count, n))
    return np.asarray(onehot @ weights)
