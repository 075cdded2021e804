"""Losses by the name that a model's spec gives them; each is a mean over the batch.

Those of real labels read one number a row, in the units of the label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch.nn import functional

from expunge.errors import TerminalError

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class OutputError(TerminalError):
    """A network whose outputs do not fit the labels."""


def one_number(outputs: torch.Tensor) -> torch.Tensor:
    """Outputs [B] or [B, 1] as [B].

    Raises:
        OutputError: another shape, which would be compared with every label of the batch.
    """
    if outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1):
        return outputs.reshape(-1)
    raise OutputError(
        f"The network's outputs have the shape {list(outputs.shape)}; a real label needs one "
        "number a row.",
        fix="let the network return [B] or [B, 1]",
    )


def squared_error(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean of (output − y)²; outputs [B] or [B, 1], y [B]."""
    found = one_number(outputs)
    return functional.mse_loss(found, y.to(found.dtype))


def absolute_error(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean of |output − y|; outputs [B] or [B, 1], y [B]."""
    found = one_number(outputs)
    return functional.l1_loss(found, y.to(found.dtype))


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
}
"""Every loss by the name that a spec uses."""
