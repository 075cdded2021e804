"""AdamW over PyTorch's own update, without the optimiser class around it.

The first `torch.optim.Optimizer` of a process imports the compiler, two seconds of it, which every
unlearning worker would pay. The arithmetic is `torch.optim.adamw.adamw`, bit for bit
(`tests/training/test_adamw.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.optim.adamw import adamw

_EPS = 1e-8


@dataclass
class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter 2019); `lr` may change between steps."""

    weights: list[torch.nn.Parameter]
    lr: float
    betas: tuple[float, float]
    weight_decay: float
    _steps: list[torch.Tensor] = field(init=False)
    _means: list[torch.Tensor] = field(init=False)
    _squares: list[torch.Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._steps = [torch.zeros((), device=weight.device) for weight in self.weights]
        self._means = [torch.zeros_like(weight) for weight in self.weights]
        self._squares = [torch.zeros_like(weight) for weight in self.weights]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient."""
        at = [place for place, weight in enumerate(self.weights) if weight.grad is not None]
        adamw(
            [self.weights[place] for place in at],
            [grad for place in at if (grad := self.weights[place].grad) is not None],
            [self._means[place] for place in at],
            [self._squares[place] for place in at],
            [],
            [self._steps[place] for place in at],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=_EPS,
            maximize=False,
        )
