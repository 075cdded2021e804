"""A perceptron for tables that hold categories: an embedding for each of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class TabularMLP(nn.Module):
    """Standardised numbers and embedded categories, through linear layers with LayerNorm and ReLU.

    Numbers are standardised by a BatchNorm without weights: its statistics are of training rows,
    and expunge re-estimates them on retained ones. Input [B, inputs], float: codes of the columns
    at `categorical` are whole numbers from 0 on, below the number at the same place of `levels`; a
    code outside, as of a category that was never seen, has an embedding of its own.
    Output [B, classes].
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        categorical: Sequence[int] = (),
        levels: Sequence[int] = (),
        hidden: Sequence[int] = (64, 64),
    ) -> None:
        super().__init__()
        if len(categorical) != len(levels):
            raise ValueError(f"{len(categorical)} categorical columns, {len(levels)} levels")
        self.categorical, self.levels = list(categorical), list(levels)
        self.numeric = [place for place in range(inputs) if place not in set(categorical)]
        count = len(self.numeric)
        self.standardise = nn.BatchNorm1d(count, affine=False)
        sizes = [min(32, (level + 3) // 2) for level in levels]
        self.embeddings = nn.ModuleList(
            nn.Embedding(level + 1, size) for level, size in zip(levels, sizes, strict=True)
        )
        layers: list[nn.Module] = []
        before = count + sum(sizes)
        for after in hidden:
            layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU()]
            before = after
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, [B, classes]."""
        parts = [self.standardise(x[:, self.numeric])]
        for place, level, table in zip(self.categorical, self.levels, self.embeddings, strict=True):
            code = x[:, place].round().long()
            known = (code >= 0) & (code < level)
            parts.append(table(torch.where(known, code, level)))
        logits: torch.Tensor = self.classifier(self.layers(torch.cat(parts, dim=1)))
        return logits


class TabularRegressor(TabularMLP):
    """The same for a label that is a real number: `centre` + `scale` times the last layer's number.

    Give about the mean and the standard deviation of the label: the network then begins near it,
    whatever its units are. Output [B].
    """

    def __init__(
        self,
        inputs: int,
        *,
        centre: float = 0.0,
        scale: float = 1.0,
        categorical: Sequence[int] = (),
        levels: Sequence[int] = (),
        hidden: Sequence[int] = (64, 64),
    ) -> None:
        super().__init__(inputs, 1, categorical=categorical, levels=levels, hidden=hidden)
        self.centre, self.scale = centre, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values in the units of the label, [B]."""
        return self.centre + self.scale * super().forward(x).squeeze(1)
