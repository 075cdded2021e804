"""`unlearn`: saliency → select → perturb → repair, on a copy of the champion."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from expunge.errors import TerminalError
from expunge.training import (
    Builder,
    Epoch,
    History,
    Loss,
    Rows,
    TrainingSettings,
    pick_device,
    seeded,
)
from expunge.unlearning.edit import Edit, Outcome
from expunge.unlearning.parameters import cast_like, in_play
from expunge.unlearning.perturbation import Perturbed, recounted
from expunge.unlearning.strategies import Strategy
from expunge.unlearning.work import Work


class EmptySplitError(TerminalError):
    """A forget or retain split without rows."""


def unlearn(
    model: nn.Module,
    forget: Rows,
    retain: Rows,
    strategy: Strategy,
    repair: TrainingSettings | None = None,
    *,
    loss: Loss = torch.nn.functional.cross_entropy,
    seed: int = 0,
    device: str | torch.device = "cpu",
    factory: Builder | Callable[[], nn.Module] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Outcome:
    """Make a network that has forgotten `forget`, from `model`, which stays as it is.

    `forget` and `retain` are map-style datasets of (x, y); `loss(outputs, y)` is a mean over rows.
    `repair=None` stops after the perturbation; BatchNorm's running statistics, which hold the
    forgotten rows, then stay as they were (strategies that bring a training of their own, or
    dampen weights, and so take no repair, re-estimate them). `factory` builds the network afresh,
    for laws and strategies that need an initialisation; without it modules reset themselves. The
    new network is on `device`, in the precision and the modes (training or evaluation) of `model`.

    On one machine and device the same arguments and seed give the same bytes.

    Raises EmptySplitError, SaliencyError, FreshError, DivergedError; `model` is never touched.
    """
    begin = time.perf_counter()
    _check_rows(forget, retain)
    settings = strategy.training(repair)
    builder = _builder(factory)
    work = Work(model, forget, retain, loss, seed, pick_device(device), builder, on_epoch)
    perturbed = strategy.change(work)
    history = strategy.train(work, settings) if settings else None
    if work.only is not None:
        perturbed = recounted(work.network, work.model, perturbed)
    cast_like(work.network, model)
    work.network.to(work.device)
    work.seconds["total"] = time.perf_counter() - begin
    return Outcome(work.network, _record(strategy, settings, work, perturbed, history))


def _record(
    strategy: Strategy,
    settings: TrainingSettings | None,
    work: Work,
    perturbed: Perturbed,
    history: History | None,
) -> Edit:
    per_tensor = perturbed.per_tensor
    return Edit(
        strategy=strategy.name,
        settings={**strategy.settings(), "training": _training_of(settings)},
        parameters=sum(tensor.parameters for tensor in per_tensor),
        masked=sum(tensor.masked for tensor in per_tensor),
        changed=sum(tensor.changed for tensor in per_tensor),
        per_tensor=per_tensor,
        ties=perturbed.ties,
        mask_digest=perturbed.mask_digest,
        seed=work.seed,
        seconds=work.seconds,
        cost=work.cost,
        excluded=in_play(work.model).excluded,
        history=history,
    )


_TRAINING = ("epochs", "lr", "batch_size", "weight_decay", "beta2", "warmup", "schedule")


def _training_of(settings: TrainingSettings | None) -> dict[str, Any] | None:
    return {name: getattr(settings, name) for name in _TRAINING} if settings else None


def _builder(factory: Builder | Callable[[], nn.Module] | None) -> Builder | None:
    if factory is None or hasattr(factory, "build"):
        return factory
    return seeded(factory)


def _check_rows(forget: Rows, retain: Rows) -> None:
    if len(forget) == 0:
        raise EmptySplitError(
            "The forget split is empty: there is nothing to unlearn.",
            fix="a model that saw none of the rows needs no unlearning",
        )
    if len(retain) == 0:
        raise EmptySplitError(
            "The retain split is empty: everything the model learned from is to be forgotten.",
            fix="withdraw the model; there is nothing left to train it on",
        )
