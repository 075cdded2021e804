"""How many perturbed rows a champion gets right and another model does not, on two sides.

The two sides are forget rows and held-out rows with the forget set's classes. They are different
people, so their errors add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from expunge.evaluation.levels import worth
from expunge.evaluation.membership import Population, balanced, comparable
from expunge.evaluation.scores import Codes, Floats, Scores
from expunge.evaluation.uncertainty import subject_covariance, units


@dataclass(frozen=True, eq=False)
class Change:
    """Accuracy that candidate [, retrain] lose against the champion: `mean` [k], `cov` [k, k].

    `n` rows of `people`; `left_out` forget rows have no counterpart.
    """

    mean: Floats
    cov: Floats
    n: int
    people: int
    left_out: int = 0

    def minus(self, other: Change) -> Change:
        """The difference to `other` people's; `n` stays that of this side."""
        people = min(self.people, other.people)
        mean, cov = self.mean - other.mean, self.cov + other.cov
        return Change(mean, cov, self.n, people, self.left_out)


@dataclass(frozen=True, eq=False)
class Sides:
    """Champion, candidate [, retrain] on the perturbed rows of both sides."""

    forget: Sequence[Scores]
    held_out: Sequence[Scores]

    @property
    def rows(self) -> Population:
        """Which rows of both sides are compared: those of classes that both have."""
        return comparable(self.forget[0], self.held_out[0])

    def all_forget(self) -> Change:
        """The change on every forget row."""
        return _change(lost(self.forget), self.forget[0].subjects)

    def matched(self) -> tuple[Change, Change] | None:
        """The change on either side, held-out rows weighted; None where no class is on both."""
        rows = self.rows
        if rows.empty:
            return None
        ones = np.ones((len(rows.forget), 1)), np.ones((len(rows.held_out), 1))
        f, h = (weights[:, 0] for weights in balanced(rows, *ones))
        forget = lost(self.forget)[rows.forget]
        held_out = lost(self.held_out)[rows.held_out]
        return (
            _change(forget, rows.forget_subjects, f, left_out=rows.left_out),
            _change(held_out, rows.held_out_subjects, h),
        )


def lost(scores: Sequence[Scores]) -> Floats:
    """−1, 0 or 1 [N, k]: whether the champion (first) is right minus whether the others are."""
    before = worth(scores[0])
    return np.column_stack([before - worth(after) for after in scores[1:]])


def _change(
    columns: Floats, people: Codes, weights: Floats | None = None, *, left_out: int = 0
) -> Change:
    w = np.ones(len(columns)) if weights is None else weights
    cov = subject_covariance(columns, people, w)
    return Change(w @ columns / w.sum(), cov, len(columns), units(people)[1], left_out)
