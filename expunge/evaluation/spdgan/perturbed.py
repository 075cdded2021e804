"""Models on perturbed rows: the same rows under several models, perturbed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from expunge.evaluation.metric import EvaluationError
from expunge.evaluation.scores import Floats, Scores, scores_of_logits
from expunge.evaluation.spdgan.generator import Generator
from expunge.training import RowReader, labels, pick_device, predict

Perturbation: TypeAlias = Callable[[torch.Tensor, int], torch.Tensor]
"""(x [B, ...], number of the first row) to the perturbed x."""

_CHUNK = 1024


def by_generator(generator: Generator) -> Perturbation:
    """G as a perturbation, at whatever ε the generator has when it is called."""
    return lambda x, first: generator(x)


def scores_under(
    perturb: Perturbation | None, models: Sequence[nn.Module], rows: Any, *, device: str
) -> list[Scores]:
    """Scores of every model on `rows` perturbed, or as they are.

    Raises EvaluationError where outputs are NaN or do not fit the labels.
    """
    logits: list[list[torch.Tensor]] = [[] for _ in models]
    reader = RowReader(rows, pick_device(device))
    for part in torch.split(torch.arange(len(reader)), _CHUNK) if len(reader) else ():
        x, y = reader.read(part)
        with torch.no_grad():
            moved = x if perturb is None else perturb(x, int(part[0]))
        for mine, model in zip(logits, models, strict=True):
            mine.append(predict(model, TensorDataset(moved, y), device=device))
    known, people = labels(rows), rows.subject_codes
    return [scores_of_logits(_joined(mine), known, people) for mine in logits]


def mean_hits(
    perturb: Perturbation | None, models: Sequence[nn.Module], rows: Any, *, device: str
) -> Floats:
    """Share of the models that are right about each row, [N]."""
    found = scores_under(perturb, models, rows, device=device)
    return np.asarray(np.mean([each.correct for each in found], axis=0))


def check_shape(generator: Generator, rows: Any) -> None:
    """Refuse rows that the generator was not built for.

    Raises EvaluationError.
    """
    expected = generator.architecture.shape
    if len(rows) and tuple(RowReader(rows).read(torch.tensor([0]))[0].shape[1:]) != expected:
        raise EvaluationError(
            f"The generator was fitted on rows of the shape {list(expected)}, and these have "
            "another.",
            fix="fit it again for this dataset version",
        )


def _joined(parts: list[torch.Tensor]) -> Any:
    return torch.cat(parts).numpy() if parts else np.zeros((0, 2), np.float32)
