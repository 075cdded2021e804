"""From a model's spec to torch: its network, loss and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expunge.specs import ModelSpec
from expunge.workspace import Workspace

if TYPE_CHECKING:
    from expunge.training import Factory, Loss


def network(workspace: Workspace, spec: ModelSpec) -> Factory:
    """The factory of the model's network, with the spec's arguments."""
    from expunge.training import load_factory

    return load_factory(spec.factory, workspace.root / "models", dict(spec.args))


def loss_of(spec: ModelSpec) -> Loss:
    """The loss that the spec names; mean over the batch."""
    from expunge.training import LOSSES

    return LOSSES[spec.loss]


def device_of(spec: ModelSpec) -> str:
    """`cpu` or `cuda`: the spec's choice, or what is there for `auto`."""
    from expunge.training import pick_device

    return pick_device(spec.device).type
