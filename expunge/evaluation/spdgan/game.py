"""Generator against discriminator: one step of an SPD-GAN's fit.

Minimised over G: mean over references and rows of max(0, margin − m), the hinge that stops where
generalisation ends, plus λ·(−D(G(x))); over D: the hinge loss of x against G(x). ε follows the
references' loss of accuracy, so that G is trained at the size at which it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import relu

from expunge.evaluation.scores import Mask
from expunge.evaluation.spdgan.discriminator import Discriminator, hinge_loss
from expunge.evaluation.spdgan.generator import Generator
from expunge.evaluation.spdgan.settings import SpdGanSettings
from expunge.training.adamw import AdamW

_BETAS = (0.5, 0.9)
_PACE = 0.05
_FLOOR = 1e-3


@dataclass(frozen=True)
class Step:
    """One step of the fit: the generator's hinge on the margins, D's loss, and ε.

    `drop` is the loss of accuracy of the references on this batch alone.
    """

    number: int
    of: int
    hinge: float
    discriminator: float
    epsilon: float
    drop: float


class Game:
    """The two players with their optimisers; draws the discriminator from the global state."""

    def __init__(
        self, generator: Generator, references: Sequence[nn.Module], settings: SpdGanSettings
    ) -> None:
        self.generator, self.references, self.settings = generator, references, settings
        self.asked = min(settings.references_per_step, len(references))
        generator.epsilon = settings.epsilon
        self.judge = Discriminator(generator.architecture).to(generator.mean.device)
        self.moves = [list(generator.parameters()), list(self.judge.parameters())]
        self.optimisers = [AdamW(each, settings.lr, _BETAS, 0.0) for each in self.moves]

    def step(self, number: int, x: torch.Tensor, y: torch.Tensor, right: Mask) -> Step:
        """Both players' move; `right` [references, B]: who is right about the batch as it is."""
        moved = self.generator(x)
        fooled = self._judge(x, moved.detach())
        asked = [(number * self.asked + turn) % len(right) for turn in range(self.asked)]
        hinge, after = self._generate(moved, y, [self.references[each] for each in asked])
        used, drop = self.generator.epsilon, float(right[asked].mean()) - after
        self._follow(drop)
        return Step(number, self.settings.steps, hinge, fooled, used, drop)

    def _judge(self, x: torch.Tensor, moved: torch.Tensor) -> float:
        z = self.generator.standardised(torch.cat([x, moved]))
        sign = torch.ones(len(z), device=z.device)
        sign[len(x) :] = -1
        loss = hinge_loss(self.judge(z), sign)
        self._update(1, loss)
        return float(loss.detach())

    def _generate(
        self, moved: torch.Tensor, y: torch.Tensor, references: Sequence[nn.Module]
    ) -> tuple[float, float]:
        logits = [model(moved) for model in references]
        margins = torch.stack([margin(each, y) for each in logits])
        hinge = relu(margins - self.settings.hinge_margin).mean()
        told = -self.judge(self.generator.standardised(moved)).mean()
        self._update(0, hinge + self.settings.adversarial * told)
        right = torch.stack([each.argmax(dim=1) == y for each in logits])
        return float(hinge.detach()), float(right.float().mean())

    def _update(self, player: int, loss: torch.Tensor) -> None:
        weights = self.moves[player]
        # Not backward(): it would leave gradients in the references.
        for weight, grad in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = grad
        self.optimisers[player].step()

    def _follow(self, drop: float) -> None:
        """Move ε by at most 5 % towards the loss of accuracy at which G will be used."""
        target, settings = self.settings.target, self.settings
        pull = max(-1.0, min(1.0, (target - drop) / target))
        epsilon = self.generator.epsilon * math.exp(_PACE * pull)
        self.generator.epsilon = min(max(epsilon, _FLOOR * settings.epsilon), settings.epsilon_max)


def margin(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Log odds of the true class, z_y − logsumexp of the others, [B]."""
    own = logits.gather(1, y[:, None]).squeeze(1)
    others = logits.scatter(1, y[:, None], -torch.inf).logsumexp(dim=1)
    return own - others
