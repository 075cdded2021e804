"""Real rows, small: digits by synthetic writers, and a table with a categorical column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from expunge.cli.demo.writers import page
from expunge.evaluation import train_references
from expunge.evaluation.spdgan import SpdGanSettings
from expunge.specs import Recipe
from expunge.training import seeded

# A wide band is reached with few rows; the true one, 4-6 points, needs some two thousand.
QUICK = SpdGanSettings(steps=40, width=8, low=0.02, high=0.16, references_per_step=1)
CATEGORICAL = (4, 9)


@dataclass(frozen=True)
class People:
    """A map-style dataset in memory, with subjects as codes."""

    x: np.ndarray
    labels: np.ndarray
    subject_codes: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row):
        return torch.from_numpy(self.x[row]), torch.tensor(self.labels[row])

    def take(self, rows) -> People:
        return People(self.x[rows], self.labels[rows], self.subject_codes[rows])


def written(first: int, last: int, shape=(1, 16, 16)) -> People:
    """The pages of some writers; `shape` may also cut a corner of the images out."""
    pages = [page(writer) for writer in range(first, last)]
    x = np.concatenate([each.pixels for each in pages]).reshape(-1, 1, 16, 16)
    x = np.ascontiguousarray(x[:, :, : shape[-2], : shape[-1]]).reshape(-1, *shape)
    people = np.repeat(np.arange(first, last), 20)
    return People(x, np.concatenate([each.labels for each in pages]), people)


def table() -> People:
    """Breast-cancer measurements of people with two rows each; two columns cut into categories."""
    data = load_breast_cancer()
    x = data.data.astype(np.float32)
    for column in CATEGORICAL:
        x[:, column] = np.digitize(x[:, column], np.quantile(x[:, column], (0.3, 0.7)))
    order = np.random.default_rng(0).permutation(len(x))
    return People(x[order], data.target[order].astype(np.int64), np.arange(len(x)) // 2)


def digit_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


class Scaled(nn.Module):
    """A perceptron over columns of very different scales."""

    def __init__(self, rows: People) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(rows.x.mean(axis=0)))
        self.register_buffer("scale", torch.from_numpy(rows.x.std(axis=0)))
        self.net = nn.Sequential(nn.Linear(rows.x.shape[1], 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        return self.net((x - self.mean) / self.scale)


def trained(make, rows: People, *, models: int, epochs: float, seed: int) -> list[nn.Module]:
    recipe = Recipe(epochs=epochs, lr=0.01, batch_size=64)
    return train_references(seeded(make), rows, recipe, models=models, seed=seed, device="cpu")
