"""Scores of champion, candidate and exact retrain on the three splits: what an evaluation reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import nn

from expunge.dataset import ArrowRows
from expunge.evaluation import (
    EvaluationInput,
    RequestKind,
    SplitScores,
    reference_margin,
    sample_rows,
    score,
)

EVALUATED = (
    "forget_accuracy",
    "retain_accuracy",
    "held_out_accuracy",
    "auc",
    "hard_row_auc",
    "forgetting_rate",
    "memory_retention_rate",
    "generalisation",
)


class Sides(Protocol):
    """The rows of one request."""

    @property
    def forget(self) -> ArrowRows: ...
    @property
    def retain(self) -> ArrowRows: ...
    @property
    def held_out(self) -> ArrowRows: ...


def evaluation_input(
    sides: Sides,
    models: Sequence[nn.Module],
    peers: list[nn.Module],
    *,
    kind: RequestKind,
    seed: int,
) -> EvaluationInput:
    """`models`: champion, candidate and, where a retrain is to be compared with, that.

    The retain split is sampled by `seed`; `peers` say which forget and held-out rows are hard.
    """
    retain = sides.retain.select(sample_rows(len(sides.retain), seed=seed))

    def scored(rows: ArrowRows, *, hard: bool) -> SplitScores:
        each = [score(model, rows, device="cpu") for model in models]
        margin = reference_margin(peers, rows) if hard else None
        return SplitScores(each[0], each[1], each[2] if len(each) > 2 else None, margin)

    return EvaluationInput(
        forget=scored(sides.forget, hard=True),
        retain=scored(retain, hard=False),
        held_out=scored(sides.held_out, hard=True),
        request=kind,
    )
