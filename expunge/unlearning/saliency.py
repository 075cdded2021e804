"""How much each parameter matters to the forgotten rows, or to others (method.md, section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import nn

from expunge.errors import TerminalError
from expunge.training import Loss, RowReader, Rows, keyed_order
from expunge.training.device import reproducible_kernels
from expunge.training.modes import mode
from expunge.unlearning.parameters import in_play

SaliencyKind: TypeAlias = Literal["fisher", "gradient", "weight_gradient"]
KINDS: tuple[str, ...] = get_args(SaliencyKind)
WholeGradient: TypeAlias = Literal["whole_gradient"]


class SaliencyError(TerminalError):
    """A saliency that is NaN or infinite."""


def saliency(
    model: nn.Module,
    rows: Rows,
    loss: Loss,
    *,
    kind: SaliencyKind | WholeGradient = "fisher",
    microbatch: int = 8,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, torch.Tensor]:
    """Saliency of each parameter in play: float32 on the CPU, of the parameter's shape, ≥ 0.

    With g_b the gradient of the mean loss of a microbatch of `microbatch` rows, and means over
    microbatches weighted by their size, accumulated in float64:

    - `fisher`: √(mean g_b²); one row a microbatch gives the exact diagonal empirical Fisher
    - `gradient`: mean |g_b|
    - `weight_gradient`: |w| · mean |g_b|
    - `whole_gradient`: |mean g_b|, that of the mean loss of all rows at once (SalUn's; not for
      Top-K, where rows that pull apart would cancel)

    Rows are shuffled by key; the network is in evaluation mode (BatchNorm, dropout) and moved to
    `device`. `loss(outputs, y)` is a mean over rows. Raises SaliencyError naming the parameter.
    """
    device = torch.device(device)
    model.to(device)
    weights = in_play(model).parameters
    with mode(model, training=False), reproducible_kernels():
        reader = RowReader(rows, device)
        sums = _sums(model, weights, reader, loss, kind=kind, microbatch=microbatch, seed=seed)
    return {name: _ranked(name, sums[name], weights[name], kind) for name in weights}


def _sums(
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    reader: RowReader,
    loss: Loss,
    *,
    kind: SaliencyKind | WholeGradient,
    microbatch: int,
    seed: int,
) -> dict[str, torch.Tensor]:
    sums = {name: torch.zeros_like(w, dtype=torch.float64) for name, w in weights.items()}
    order = keyed_order(len(reader), seed, "saliency order")
    for at in torch.split(order, microbatch):
        x, y = reader.read(at)
        value = loss(model(x), y)
        gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
        for total, gradient in zip(sums.values(), gradients, strict=True):
            if gradient is not None:
                g = gradient.double()
                total.add_(_term(g, kind), alpha=len(at))
    for total in sums.values():
        total.div_(len(reader))
    return sums


def _term(gradient: torch.Tensor, kind: SaliencyKind | WholeGradient) -> torch.Tensor:
    if kind == "whole_gradient":
        return gradient
    return gradient.square() if kind == "fisher" else gradient.abs()


def _ranked(
    name: str, mean: torch.Tensor, weight: nn.Parameter, kind: SaliencyKind | WholeGradient
) -> torch.Tensor:
    if kind == "fisher":
        mean = mean.sqrt_()
    elif kind == "whole_gradient":
        mean = mean.abs_()
    elif kind == "weight_gradient":
        mean = mean.mul_(weight.detach().abs())
    ranked = mean.float().cpu()
    if not bool(torch.isfinite(ranked).all()):
        raise SaliencyError(
            f"The saliency of parameter {name!r} is NaN or infinite on these rows.",
            fix="check the rows for NaN and Inf (`expunge ingest` refuses them) and the loss",
        )
    return ranked
