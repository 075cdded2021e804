"""A multi-layer perceptron for tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class MLP(nn.Module):
    """Linear layers with ReLU between them; inputs of any shape are flattened.

    Input [B, ...] with `inputs` numbers a row; output [B, classes].
    """

    def __init__(self, inputs: int, classes: int, hidden: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, [B, classes]."""
        logits: torch.Tensor = self.layers(x)
        return logits
