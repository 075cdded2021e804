"""How well a champion answers the rows that it was trained on, and rows that nobody trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expunge.dataset import ArrowRows
from expunge.evaluation.metric import LEVELS
from expunge.specs import Task

if TYPE_CHECKING:
    import torch

    from expunge.evaluation import Scores


@dataclass(frozen=True)
class Answers:
    """Level on training and on held-out rows: accuracies in 0 … 1, or mean absolute errors.

    `guessed`: what is reached on the training rows without reading them, by the most frequent
    class or by the median label. `alike`: held-out rows are answered as well as training rows.
    """

    task: Task
    training: float
    held_out: float
    guessed: float
    alike: bool

    @property
    def better_than_guessing(self) -> bool:
        """Whether the network has learned anything of the training rows."""
        if self.task == "classification":
            return self.training > self.guessed
        return self.training < self.guessed

    @property
    def words(self) -> str:
        """`100.0% there, 85.2% held out`, or `3.21 there, 41.7 held out`."""
        return f"{self.said(self.training)} there, {self.said(self.held_out)} held out"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "accuracy" if self.task == "classification" else "mean absolute error"

    def said(self, value: float) -> str:
        """A level as people read it."""
        return f"{value:.1%}" if self.task == "classification" else f"{value:.4g}"

    def metrics(self) -> dict[str, float]:
        """What is logged to MLflow: `train_accuracy`, `held_out_accuracy`, or `…_error`."""
        word = LEVELS[self.task]
        return {f"train_{word}": self.training, f"held_out_{word}": self.held_out}


def answers(
    module: torch.nn.Module, rows: ArrowRows, held_out: ArrowRows, *, device: str
) -> Answers:
    """Score a network on both; the held-out rows are not empty.

    Raises:
        EvaluationError: its outputs are NaN, or do not fit the labels.
    """
    from expunge.evaluation import score

    known, unknown = (score(module, split, device=device) for split in (rows, held_out))
    return Answers(
        known.task, _level(known), _level(unknown), _guessed(known), _alike(known, unknown)
    )


def _level(scores: Scores) -> float:
    right = 1 - scores.error if scores.task == "classification" else scores.error
    return float(right.mean())


def _guessed(scores: Scores) -> float:
    if scores.task == "regression":
        return float(np.abs(scores.labels - np.median(scores.labels)).mean())
    _, counts = np.unique(scores.labels, return_counts=True)
    return float(counts.max() / counts.sum())


def _alike(known: Scores, unknown: Scores) -> bool:
    """Whether held-out rows have no larger error than training rows, to two standard errors."""
    mean, n = float(unknown.error.mean()), len(unknown)
    spread = float(unknown.error.var())
    if unknown.task == "classification":
        spread = max(spread, 0.25 / n)
    return mean - float(known.error.mean()) <= 2 * math.sqrt(spread / n)
