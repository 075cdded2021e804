"""Repair: a little training on the retain split, never on a forgotten row.

BatchNorm's running statistics hold the forgotten rows too: they are reset before the training and
re-estimated on the retain split after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from expunge.errors import TerminalError
from expunge.training import (
    Epoch,
    History,
    Loss,
    RowReader,
    Rows,
    TrainingSettings,
    fit,
    keyed_order,
)
from expunge.training.device import reproducible_kernels
from expunge.training.modes import mode

STATISTICS_ROWS = 10_000
"""Retain rows, at most, that BatchNorm's statistics are re-estimated on."""


@dataclass(frozen=True)
class Repair:
    """How to train after a perturbation: AdamW in one cycle, as short as will do.

    `epochs` > 0 may be a fraction; `lr` is the peak; `warmup` in [0, 1) is the share of the steps
    in which it rises.
    """

    epochs: float
    lr: float = 2e-3
    batch_size: int = 64
    weight_decay: float = 0.0
    beta2: float = 0.98
    warmup: float = 0.1
    schedule: Literal["one_cycle", "constant"] = "one_cycle"

    def __post_init__(self) -> None:
        within = {
            "epochs": self.epochs > 0,
            "lr": self.lr > 0,
            "batch_size": self.batch_size >= 1,
            "weight_decay": self.weight_decay >= 0,
            "beta2": 0 < self.beta2 < 1,
            "warmup": 0 <= self.warmup < 1,
            "schedule": self.schedule in ("one_cycle", "constant"),
        }
        if wrong := [name for name, sound in within.items() if not sound]:
            raise TerminalError(
                f"The repair's {', '.join(wrong)} cannot be used.",
                fix="epochs, lr and batch_size above 0, beta2 and warmup below 1",
            )


@dataclass(frozen=True)
class Repaired:
    """The training's history, and the rows read forward only to re-estimate statistics."""

    history: History
    forward_rows: int


def mend(
    work: nn.Module,
    retain: Rows,
    repair: TrainingSettings,
    loss: Loss,
    *,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Repaired:
    """Train `work` in place on the retain split, with fresh optimiser state and statistics."""
    for layer in normalisers(work):
        layer.reset_running_stats()
    history = fit(work, retain, repair, loss, seed=seed, device=device, on_epoch=on_epoch)
    rows = settle(work, retain, batch_size=repair.batch_size, seed=seed, device=device)
    return Repaired(history, rows)


def settle(
    work: nn.Module, retain: Rows, *, batch_size: int, seed: int, device: torch.device
) -> int:
    """Re-estimate BatchNorm's running statistics on the retain split; the rows read forward."""
    layers = normalisers(work)
    if not layers:
        return 0
    work.to(device)
    return _estimate(work, layers, retain, batch_size=batch_size, seed=seed, device=device)


def normalisers(model: nn.Module) -> list[_NormBase]:
    """Layers of `model` that keep running statistics of the rows they saw."""
    found = (module for module in model.modules() if isinstance(module, _NormBase))
    return [layer for layer in found if layer.running_mean is not None]


def _estimate(
    work: nn.Module,
    layers: list[_NormBase],
    retain: Rows,
    *,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> int:
    """Plain averages over batches of equal size, all else (dropout too) in evaluation mode."""
    reader = RowReader(retain, device)
    order = keyed_order(len(reader), seed, "statistics")[:STATISTICS_ROWS]
    momenta = [layer.momentum for layer in layers]
    with mode(work, training=False), torch.no_grad(), reproducible_kernels():
        for layer in layers:
            layer.reset_running_stats()
            layer.train()
            layer.momentum = None
        for at in order.tensor_split(max(1, len(order) // batch_size)):
            work(reader.read(at)[0])
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return len(order)
