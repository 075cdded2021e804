"""The discriminator: tells x from G(x), each linear map of spectral norm 1 while G is fitted.

Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957) with the hinge loss of Lim and Ye
(2017, arXiv 1705.02894). Unperturbed rows are to score above 1, perturbed ones below −1.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import relu
from torch.nn.utils.parametrizations import spectral_norm

from expunge.evaluation.spdgan.generator import Architecture, patches


class Discriminator(nn.Module):
    """One score [B] of each standardised row, [B, C, H, W] or [B, features].

    One that is not `normalised` is a plain classifier, and sharper.
    """

    def __init__(self, architecture: Architecture, *, normalised: bool = True) -> None:
        super().__init__()
        kind = _perceptron if architecture.is_vector else _convolutional
        self.net = kind(architecture.channels, architecture.width)
        for module in self.net if normalised else ():
            if isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Above 0 for what looks unperturbed, [B]."""
        score: torch.Tensor = self.net(z)
        return score.squeeze(1)


def hinge_loss(score: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
    """Mean of max(0, 1 − sign·score); `sign` [B] is 1 for unperturbed rows and −1 for others."""
    return relu(1 - sign * score).mean()


class _Patches(nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return patches(z)


def _convolutional(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        _Patches(),
        nn.Conv2d(4 * channels, width, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 1),
    )


def _perceptron(features: int, width: int) -> nn.Sequential:
    hidden = 4 * width
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.LeakyReLU(0.1),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.1),
        nn.Linear(hidden, 1),
    )
