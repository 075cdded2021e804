"""Rows to look at: original, perturbed and residual, for a figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expunge.evaluation.scores import Codes
from expunge.evaluation.spdgan.fitted import Fitted
from expunge.evaluation.spdgan.perturbed import check_shape
from expunge.training import RowReader, keyed_order, labels


@dataclass(frozen=True, eq=False)
class ExampleGrid:
    """`original`, `perturbed` and their difference `residual`, float32 [n, *shape], by `labels`.

    Pictures of people's rows: a derived artifact, to be purged when one of them is erased.
    """

    original: NDArray[np.float32] = field(repr=False)
    perturbed: NDArray[np.float32] = field(repr=False)
    residual: NDArray[np.float32] = field(repr=False)
    labels: Codes


def example_grid(fitted: Fitted, rows: Any, *, per_class: int = 1, seed: int) -> ExampleGrid:
    """`per_class` rows of each class in `rows`, drawn by `seed`, before and after G.

    `rows` are held-out rows of people who are not in the batch. A class with fewer has fewer;
    without any row the arrays are empty.

    Raises:
        EvaluationError: rows of another shape than G was fitted on.
    """
    check_shape(fitted.generator, rows)
    known = labels(rows)
    order = keyed_order(len(rows), seed, "spdgan examples").numpy()
    chosen = [order[known[order] == label][:per_class] for label in np.unique(known)]
    at = np.concatenate([*chosen, np.zeros(0, np.int64)])
    if not len(at):
        empty = np.zeros((0, *fitted.generator.architecture.shape), np.float32)
        return ExampleGrid(empty, empty, empty, known[at])
    x = RowReader(rows).read(torch.from_numpy(at))[0].float()
    with torch.no_grad():
        moved = fitted.generator(x)
    return ExampleGrid(x.numpy(), moved.numpy(), (moved - x).numpy(), known[at])
