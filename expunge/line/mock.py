"""Mock requests: ordinary training rows that nobody asked to erase, drawn to try strategies on.

Drawn by seed alone, as positions in the training rows of the current version. Only rows that the
champion saw are drawn; what is retained is every other row, as in a real batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from expunge.dataset import ArrowRows
from expunge.errors import TerminalError
from expunge.evaluation.scores import task_of
from expunge.requests import MockKind

Positions = npt.NDArray[np.int64]

MIN_ROWS = 300  # fewer do not tell a retrain from the champion (method.md, section 4)


class MockError(TerminalError):
    """No mock request of this kind can be drawn from these training rows."""


@dataclass(frozen=True)
class Mock:
    """One mock request; `forget` are sorted positions in the training rows, never an id."""

    kind: MockKind
    draw: int
    forget: Positions = field(repr=False)
    people: int

    @property
    def rows(self) -> int:
        """Rows to forget."""
        return len(self.forget)


def draw_mock(
    training: ArrowRows, kind: MockKind, *, rows: int, draw: int, seed: int, ingest_seen: int
) -> Mock:
    """Mock request number `draw` (from 0): whole people, `rows` random rows, or a whole class.

    People are added until at least `rows` rows are theirs. Draws of a seed are apart: each has
    its own random order, and classes follow one order, so that they differ while there are any.

    Raises:
        MockError: fewer than `rows`, or more than half of the rows, would be forgotten.
    """
    seen = np.flatnonzero(training.ingests <= ingest_seen)
    if len(seen) < 2 * rows:
        raise MockError(
            f"The champion saw {len(seen)} training rows; a mock request of {rows} needs "
            f"{2 * rows}, so that at least as many are retained.",
            fix=f"ingest more people; at least {MIN_ROWS} rows are asked for",
        )
    random = np.random.default_rng([seed, draw])
    if kind == "rows":
        picked = random.choice(seen, rows, replace=False)
    elif kind == "subjects":
        picked = _people(training, seen, rows, random)
    else:
        picked = _class(training, seen, rows, draw, np.random.default_rng([seed]))
    if len(training) - len(picked) < rows:
        raise MockError(
            f"Forgetting {len(picked)} of {len(training)} training rows leaves fewer than {rows}.",
            fix="ask for another kind of mock request, or ingest more people",
        )
    forget = np.sort(picked)
    return Mock(kind, draw, forget, len(np.unique(training.subject_codes[forget])))


def _people(
    training: ArrowRows, seen: Positions, rows: int, random: np.random.Generator
) -> Positions:
    """Every row of people in random order, until there are enough."""
    codes = training.subject_codes[seen]
    people, dense, counts = np.unique(codes, return_inverse=True, return_counts=True)
    order = random.permutation(len(people))
    enough = int(np.searchsorted(np.cumsum(counts[order]), rows)) + 1
    return seen[np.isin(dense, order[:enough])]


def _class(
    training: ArrowRows, seen: Positions, rows: int, draw: int, random: np.random.Generator
) -> Positions:
    labels = training.labels[seen]
    if task_of(labels) == "regression":
        raise MockError(
            "Labels are real numbers: there is no class that a mock request could be of.",
            fix="audit whole subjects or random rows",
        )
    classes, counts = np.unique(labels, return_counts=True)
    large = classes[(counts >= rows) & (len(seen) - counts >= rows)]
    if not len(large):
        raise MockError(
            f"The largest class has {counts.max()} training rows that the champion saw; a mock "
            f"request of a class needs {rows}, and as many of other classes.",
            fix="audit whole subjects or random rows",
        )
    chosen = random.permutation(large)[draw % len(large)]
    return np.asarray(seen[labels == chosen])
