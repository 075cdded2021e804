"""Structural similarity of two images (Wang, Bovik, Sheikh and Simoncelli 2004, IEEE TIP 13:4).

A Gaussian window of 11×11 with σ = 1.5, smaller on smaller images, only where it lies wholly
inside the image; K₁ = 0.01, K₂ = 0.03; population moments. Mean over places and channels.
"""

from __future__ import annotations

import torch
from torch.nn.functional import conv2d

WINDOW, SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def window_of(height: int, width: int) -> int:
    """The side of the window: 11, or the largest odd number that fits."""
    side = min(WINDOW, height, width)
    return side - (side % 2 == 0)


def ssim(x: torch.Tensor, y: torch.Tensor, *, data_range: float) -> torch.Tensor:
    """Similarity [B], float64, of images [B, C, H, W]: 1 for equal ones, −1 at least.

    `data_range`, above 0, is the distance from the least to the largest value that pixels have.
    """
    side = window_of(*x.shape[-2:])
    places = torch.arange(side, dtype=torch.float64, device=x.device) - (side - 1) / 2
    weights = torch.exp(-(places**2) / (2 * SIGMA**2))
    weights /= weights.sum()

    def blurred(image: torch.Tensor) -> torch.Tensor:
        flat = image.flatten(0, 1)[:, None]
        return conv2d(conv2d(flat, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))

    a, b = x.double(), y.double()
    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (light * structure).flatten(1).mean(dim=1).view(x.shape[:2]).mean(dim=1)
