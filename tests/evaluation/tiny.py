"""A small dataset of people and a network that learns it by heart in a second."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from expunge.specs import Recipe
from expunge.training import fit, seeded


class People(torch.utils.data.Dataset):
    """Rows of people; `overlap` is how far the classes run into each other."""

    def __init__(self, x, labels, subject_codes) -> None:
        self.x = torch.as_tensor(x, dtype=torch.float32)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.subject_codes = np.asarray(subject_codes, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.x[row], int(self.labels[row])

    def select(self, rows) -> People:
        at = np.asarray(rows)
        return People(self.x[at], self.labels[at], self.subject_codes[at])

    def plus(self, other: People) -> People:
        return People(
            torch.cat([self.x, other.x]),
            np.r_[self.labels, other.labels],
            np.r_[self.subject_codes, other.subject_codes],
        )


def crowd(people: int, rows: int, seed: int, *, first: int = 0, width: int = 12) -> People:
    """`people` with `rows` rows each: three classes that overlap, so that hard rows exist."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, people * rows)
    x = rng.normal(size=(len(labels), width)) + 1.2 * np.eye(width)[labels]
    return People(x, labels, first + np.repeat(np.arange(people), rows))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 3))


FACTORY = seeded(network)
RECIPE = Recipe(epochs=30, lr=1e-2, batch_size=32)


def trained(rows, seed: int, recipe: Recipe = RECIPE) -> nn.Module:
    model = FACTORY.build(seed)
    fit(model, rows, recipe, cross_entropy, seed=seed, device="cpu")
    return model.eval()
