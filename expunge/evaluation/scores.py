"""How well a model knows each row: what it gets wrong of it, by what margin, and its loss.

Of a class, the margin s = z_y − logsumexp(z of the other classes) is its log odds. It is computed
in float64 from the logits: 44 % of a champion's rows can have a float32 loss of exactly 0, while
their margins still differ, and membership hides in that difference (method.md, section 3).

Of a real label the margin is ours: minus the absolute error |y − ŷ|, in the units of the label. A
ranking by it is the same in any other unit, and the same as by minus the squared error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from expunge.evaluation.metric import EvaluationError
from expunge.specs import Task

if TYPE_CHECKING:
    import torch

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

_CHUNK = 65_536


@dataclass(frozen=True, eq=False)
class Scores:
    """One model on N rows. `subjects` are codes: equal codes, same person; never an id.

    `error`: 0 or 1 of a class, |y − ŷ| of a real label. `loss`: the cross-entropy of a class, the
    error of a real label. `labels`: int64 for classes, float64 for real numbers.
    """

    error: Floats
    margin: Floats
    loss: Floats
    labels: NDArray[Any]
    subjects: Codes = field(repr=False)

    def __post_init__(self) -> None:
        lengths = {len(self.error), len(self.margin), len(self.loss), len(self.labels)}
        if lengths != {len(self.subjects)}:
            raise EvaluationError(
                f"Scores of one model have different lengths: {sorted(lengths)}.",
                fix="score labels, subjects and logits of the same rows",
            )
        if np.isnan(self.margin).any():
            raise EvaluationError(
                f"{int(np.isnan(self.margin).sum())} of {len(self)} margins are NaN.",
                fix="the model's outputs are not numbers: train or unlearn it again",
            )

    def __len__(self) -> int:
        return len(self.subjects)

    @property
    def task(self) -> Task:
        """What the model predicts, as the labels are."""
        return task_of(self.labels)

    @property
    def correct(self) -> Mask:
        """Where the model names the right class."""
        return np.asarray(self.error == 0)

    def take(self, rows: NDArray[Any]) -> Scores:
        """The same for some rows, given by indices or a mask."""
        return Scores(
            self.error[rows],
            self.margin[rows],
            self.loss[rows],
            self.labels[rows],
            self.subjects[rows],
        )

    def same_rows(self, other: Scores) -> bool:
        """Whether both models were scored on the same rows in the same order."""
        return np.array_equal(self.labels, other.labels) and np.array_equal(
            self.subjects, other.subjects
        )


def task_of(labels: NDArray[Any]) -> Task:
    """Whole numbers are classes; real numbers are predicted as such."""
    return "classification" if np.issubdtype(labels.dtype, np.integer) else "regression"


def scores_of_outputs(
    outputs: NDArray[Any], labels: NDArray[Any], subjects: NDArray[Any]
) -> Scores:
    """Scores from a network's outputs: logits where labels are classes, else one number a row."""
    scored = scores_of_logits if task_of(labels) == "classification" else scores_of_values
    return scored(outputs, labels, subjects)


def scores_of_values(values: NDArray[Any], labels: NDArray[Any], subjects: NDArray[Any]) -> Scores:
    """Scores from predicted values [N] or [N, 1], real labels [N] and subject codes [N]."""
    if values.size != len(labels) or values.ndim > 2:
        raise EvaluationError(
            f"Outputs have the shape {values.shape} for {len(labels)} labels.",
            fix="the model must return one number for each input where labels are real numbers",
        )
    labels = np.asarray(labels, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # NaN is refused below, by Scores
        error = np.abs(np.asarray(values, dtype=np.float64).reshape(-1) - labels)
    return Scores(error, -error, error, labels, np.asarray(subjects, dtype=np.int64))


def scores_of_logits(logits: NDArray[Any], labels: NDArray[Any], subjects: NDArray[Any]) -> Scores:
    """Scores from logits [N, C], labels [N] in 0 … C−1 and subject codes [N].

    Exact to float64 however large the logits: loss = log(1 + e^−s), never 1 − p.
    A tie for the largest logit counts as the lower class.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if logits.ndim != 2 or len(logits) != len(labels) or logits.shape[1] < 2:
        raise EvaluationError(
            f"Logits have the shape {logits.shape} for {len(labels)} labels.",
            fix="the model must return one row of at least two logits for each input",
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < logits.shape[1]):
        raise EvaluationError(
            f"Labels reach from {labels.min()} to {labels.max()}; the model has "
            f"{logits.shape[1]} classes.",
            fix="give the model's factory as many classes as the dataset's spec",
        )
    starts = range(0, len(labels), _CHUNK)
    parts = [_margins(logits[i : i + _CHUNK], labels[i : i + _CHUNK]) for i in starts]
    correct = np.concatenate([part[0] for part in parts] or [np.zeros(0, dtype=bool)])
    margin = np.concatenate([part[1] for part in parts] or [np.zeros(0)])
    with np.errstate(invalid="ignore"):  # NaN is refused below, by Scores
        loss = np.logaddexp(0.0, -margin)
    error = 1.0 - correct
    return Scores(error, margin, loss, labels, np.asarray(subjects, dtype=np.int64))


def _margins(logits: NDArray[Any], labels: Codes) -> tuple[Mask, Floats]:
    z = np.array(logits, dtype=np.float64)
    rows = np.arange(len(labels))
    correct = z.argmax(axis=1) == labels
    own = z[rows, labels].copy()
    z[rows, labels] = -np.inf
    top = z.max(axis=1)
    with np.errstate(invalid="ignore"):  # inf − inf likewise
        others = top + np.log(np.exp(z - top[:, None]).sum(axis=1))
    return correct, own - others


def score(model: torch.nn.Module, rows: Any, *, device: str, batch_size: int = 1024) -> Scores:
    """Scores of `model` on `rows`, a map-style dataset of (x, y) with `.subject_codes`.

    Raises:
        EvaluationError: outputs are NaN, or do not fit the labels.
    """
    from expunge.training import labels, predict

    outputs = predict(model, rows, device=device, batch_size=batch_size)
    return scores_of_outputs(outputs.numpy(), labels(rows), rows.subject_codes)
