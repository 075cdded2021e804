"""Training confined to a mask: only the selected weights get a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from expunge.unlearning.parameters import in_play
from expunge.unlearning.selection import Selection


@contextmanager
def confined(
    network: nn.Module, selection: Selection | None, device: torch.device
) -> Iterator[None]:
    """Inside the block, gradients of weights that are not selected are 0; None confines nothing.

    AdamW leaves a weight whose gradients were all 0 as it is, bit for bit, unless it decays:
    train with a weight decay of 0. `network` is moved to `device`.
    """
    network.to(device)
    handles = (
        []
        if selection is None
        else [
            _hooked(parameter, _outside(selection, name, parameter))
            for name, parameter in in_play(network).parameters.items()
        ]
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooked(parameter: nn.Parameter, outside: torch.Tensor) -> RemovableHandle:
    handle: RemovableHandle = parameter.register_hook(  # type: ignore[no-untyped-call]
        partial(_without, outside)
    )
    return handle


def _outside(selection: Selection, name: str, parameter: nn.Parameter) -> torch.Tensor:
    inside = torch.from_numpy(selection.mask(name, 0, parameter.numel()))
    return ~inside.view(parameter.shape).to(parameter.device)


def _without(outside: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    return gradient.masked_fill(outside, 0.0)
