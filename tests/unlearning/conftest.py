from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot
from torch.utils.data import TensorDataset

from expunge.training import Factory, fit, seeded
from expunge.unlearning import Repair


class Net(nn.Module):
    """A small network with a BatchNorm, a frozen scale and a norm weight."""

    def __init__(self, normalised: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(6, 20)
        self.norm = nn.BatchNorm1d(20) if normalised else nn.Identity()
        self.second = nn.Linear(20, 3)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(torch.relu(self.norm(self.first(x)))) * self.frozen
        return out


@dataclass(frozen=True)
class Case:
    """A trained champion with its splits."""

    champion: nn.Module
    forget: TensorDataset
    retain: TensorDataset
    factory: Factory


def rows(count: int, seed: int) -> TensorDataset:
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (count,), generator=draw)
    return TensorDataset(torch.randn(count, 6, generator=draw) + 3 * one_hot(y, 6), y)


def made(normalised: bool) -> Case:
    factory = seeded(lambda: Net(normalised))
    champion, retain = factory.build(0), rows(120, 1)
    forget = rows(30, 2)
    both = [torch.cat(pair) for pair in zip(retain.tensors, forget.tensors, strict=True)]
    fit(champion, TensorDataset(*both), Repair(3, 1e-2), cross_entropy, seed=0, device="cpu")
    return Case(champion, forget, retain, factory)


@pytest.fixture(scope="session")
def case() -> Case:
    return made(normalised=False)


@pytest.fixture(scope="session")
def normalised_case() -> Case:
    return made(normalised=True)
