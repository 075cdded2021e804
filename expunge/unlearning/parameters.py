"""The parameters in play: trainable floating-point ones, each once, under stable names."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from expunge.errors import TerminalError
from expunge.training import canonical_name
from expunge.unlearning.philox import name_hash

CHUNK = 1 << 15
"""Elements worked on at once: few enough that NumPy's temporaries stay in a core's cache."""


@dataclass(frozen=True)
class Excluded:
    """A parameter that is not in play: `frozen`, or `not floating point`."""

    name: str
    why: str


@dataclass(frozen=True)
class InPlay:
    """Parameters in play by name, in the network's order, and what is left out."""

    parameters: Mapping[str, nn.Parameter] = field(repr=False)
    excluded: tuple[Excluded, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Elements of each parameter."""
        return {name: parameter.numel() for name, parameter in self.parameters.items()}


def in_play(model: nn.Module) -> InPlay:
    """Parameters of `model` that unlearning may change (method.md, section 2).

    Tied parameters appear once, under their first name. Raises TerminalError where none is in
    play, or where two names, or two names' hashes, are the same.
    """
    playing: dict[str, nn.Parameter] = {}
    excluded: list[Excluded] = []
    for wrapped, parameter in model.named_parameters():
        name = canonical_name(wrapped)
        if not parameter.is_floating_point():
            excluded.append(Excluded(name, "not floating point"))
        elif not parameter.requires_grad:
            excluded.append(Excluded(name, "frozen"))
        elif name in playing:
            raise _unusable(f"Two parameters of the network are called {name!r}.")
        elif parameter.numel():
            playing[name] = parameter
    if not playing:
        raise _unusable("The network has no trainable floating-point parameter.")
    if len({name_hash(name) for name in playing}) < len(playing):
        raise _unusable("Two parameter names of the network have the same 64-bit hash.")
    return InPlay(playing, tuple(excluded))


def spans(length: int, chunk: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Consecutive [start, stop) that cover `length` elements."""
    for start in range(0, length, chunk):
        yield start, min(start + chunk, length)


def working_copy(model: nn.Module) -> nn.Module:
    """A copy on the CPU with float32 masters of 16-bit tensors; the original is untouched."""
    work = copy.deepcopy(model).cpu()
    for parameter in work.parameters():
        parameter.grad = None
        parameter.data = _master(parameter.data)
    for module in work.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, _master(buffer))
    return work


def cast_like(work: nn.Module, model: nn.Module) -> None:
    """Give the tensors of `work` the types that those of `model` have."""
    for mine, its in zip(work.parameters(), model.parameters(), strict=True):
        mine.data = mine.data.to(its.dtype)
    types = {name: buffer.dtype for name, buffer in model.named_buffers()}
    for path, module in work.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            full = f"{path}.{name}" if path else name
            setattr(module, name, buffer.to(types.get(full, buffer.dtype)))


def _master(tensor: torch.Tensor) -> torch.Tensor:
    low = tensor.is_floating_point() and tensor.element_size() < 4
    return tensor.float() if low else tensor


def _unusable(what: str) -> TerminalError:
    return TerminalError(
        what, fix="give the network's parameters names of their own, and train some"
    )
