"""How a network is trained: from scratch, or to mend what a perturbation broke."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from expunge.specs.base import Spec


class RepairSpec(Spec):
    """Training on the retain split after a perturbation: one cycle of AdamW (method.md, 5)."""

    epochs: Annotated[float, Field(gt=0, le=10_000)]
    lr: Annotated[float, Field(gt=0, le=10)] = 2e-3
    batch_size: Annotated[int, Field(ge=1)] = 64
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.98
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    schedule: Literal["one_cycle", "constant"] = "one_cycle"


class Recipe(RepairSpec):
    """How a network is trained from scratch."""

    seed: Annotated[int, Field(ge=0)] = 0


class FastRecipe(RepairSpec):
    """A short training from scratch: small batches, one cycle, no decay (method.md, 5)."""

    batch_size: Annotated[int, Field(ge=1)] = 32
