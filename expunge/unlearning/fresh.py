"""Fresh initialisations: what the network would start from if it had never been trained."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import nn

from expunge.errors import TerminalError
from expunge.training import Builder, canonical_name, derived_seed
from expunge.training.seeds import random_state
from expunge.unlearning.parameters import in_play


class FreshError(TerminalError):
    """A parameter for which no fresh initialisation can be had."""


class Fresh:
    """Freshly initialised parameters by name, drawn on the CPU by key when first asked for."""

    def __init__(self, model: nn.Module, factory: Builder | None, seed: int) -> None:
        self._model, self._factory, self._seed = model, factory, seed

    def tensor(self, name: str) -> torch.Tensor:
        """Fresh values of parameter `name`, of its shape, without NaN.

        Raises FreshError where neither the factory nor `reset_parameters` covers it.
        """
        found = self._parameters.get(name)
        if found is None or bool(torch.isnan(found).any()):
            raise FreshError(
                f"Parameter {name!r} has no fresh initialisation: "
                + ("the factory leaves it NaN." if self._factory else "no module resets it."),
                fix="pass the network's factory, or give its module reset_parameters()",
            )
        return found

    @cached_property
    def model(self) -> nn.Module:
        """A fresh network on the CPU; what is not covered holds NaN."""
        seed = derived_seed(self._seed, "fresh")
        if self._factory is None:
            return _reset_copy(self._model, seed)
        built = self._factory.build(seed)
        if _shapes(built) != _shapes(self._model):
            raise FreshError(
                "The factory's network does not have the champion's parameters.",
                fix="use the factory and arguments that the champion was trained with",
            )
        return built

    @cached_property
    def _parameters(self) -> dict[str, torch.Tensor]:
        return {canonical_name(name): p.detach() for name, p in self.model.named_parameters()}


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {canonical_name(name): p.shape for name, p in model.named_parameters()}


def _reset_copy(model: nn.Module, seed: int) -> nn.Module:
    """A copy in which every module that can has reset itself; NaN where none did."""
    fresh = copy.deepcopy(model).cpu()
    parameters = list(in_play(fresh).parameters.values())
    frozen = [(p, p.detach().clone()) for p in fresh.parameters() if not p.requires_grad]
    with torch.no_grad(), random_state(seed, "build", torch.device("cpu")):
        for parameter in parameters:
            parameter.fill_(float("nan"))
        # Children first: a parent such as MultiheadAttention overrides what they did.
        for module in reversed(list(fresh.modules())):
            reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
            if callable(reset):
                reset()
        for parameter, before in frozen:
            parameter.copy_(before)
    return fresh
