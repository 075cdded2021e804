"""Plain sign noise of the same size as the generator's perturbation: does fitting G gain anything?

Each row gets ±1 at random in every place, in the units in which G moves it (σ of its feature or
channel), scaled so that the row's root mean square change is that of G(x) − x.
"""

from __future__ import annotations

import numpy as np
import torch

from expunge.evaluation.spdgan.generator import Generator
from expunge.evaluation.spdgan.perturbed import Perturbation
from expunge.training import derived_seed

_BITS = 256
_WORDS = 4


def sign_noise(generator: Generator, *, seed: int, split: str) -> Perturbation:
    """The noise of one `split`; a row's signs depend on seed, split and row number alone."""
    key = derived_seed(seed, f"spdgan sign noise {split}")

    def perturb(x: torch.Tensor, first: int) -> torch.Tensor:
        noise = signs(key, x.shape, first).to(x.device) * generator.scale
        wanted, given = _rms(generator(x) - x), _rms(noise)
        size = torch.where(given > 0, wanted / given.clamp(min=1e-30), torch.zeros_like(given))
        moved = x + noise * size.view(-1, *[1] * (x.dim() - 1))
        return torch.where(generator.scale > 0, moved, x)

    return perturb


def signs(key: int, shape: torch.Size, first: int) -> torch.Tensor:
    """±1, float32 of `shape` [B, ...], for B rows from number `first` on (Philox by row)."""
    places = int(np.prod(shape[1:]))
    blocks = -(-places // _BITS)
    # Philox yields four 64-bit words for one step of its counter.
    stream = np.random.Philox(key=key, counter=first * blocks)
    words = stream.random_raw(shape[0] * blocks * _WORDS).astype("<u8")
    bits = np.unpackbits(words.view(np.uint8).reshape(shape[0], -1), axis=1)[:, :places]
    return torch.from_numpy(bits.astype(np.float32) * 2 - 1).view(shape)


def _rms(change: torch.Tensor) -> torch.Tensor:
    return change.flatten(1).pow(2).mean(dim=1).sqrt()
