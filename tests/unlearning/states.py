"""Comparing networks in tests."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: nn.Module, other: nn.Module) -> bool:
    theirs = state(other)
    return all(torch.equal(value, theirs[name]) for name, value in state(one).items())


def mean_loss(model: nn.Module, rows: TensorDataset) -> float:
    x, y = rows.tensors
    with torch.no_grad():
        return float(cross_entropy(model.eval()(x), y))
