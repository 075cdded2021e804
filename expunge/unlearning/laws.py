"""Perturbation laws: what a masked parameter becomes (method.md, section 2).

Definitions are ours where the paper's abstract is silent. w are the weights, σ their tensor's
standard deviation, μ₀ the mean of its fresh initialisation, z standard normal, s the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch

from expunge.unlearning.fresh import Fresh
from expunge.unlearning.philox import Indices, Stream

Noise: TypeAlias = Literal["additive", "variance_preserving", "shrink", "reinit"]
NOISES: tuple[str, ...] = get_args(Noise)
Values: TypeAlias = npt.NDArray[np.float64]
_FLAT = 1e-8


@dataclass(frozen=True)
class Law:
    """One law at one scale."""

    noise: Noise
    scale: float


class TensorLaw:
    """A law on one parameter, whose statistics are taken before anything in it changes."""

    def __init__(
        self, law: Law, name: str, weights: torch.Tensor, fresh: Fresh, stream: Stream
    ) -> None:
        self._law, self._name, self._fresh, self._stream = law, name, fresh, stream
        needs_spread = law.noise in ("additive", "variance_preserving")
        self._spread = self._spread_of(weights) if needs_spread else 0.0

    def apply(self, weights: Values, indices: Indices) -> Values:
        """New values, float64 [n], of the elements at `indices` that hold `weights`."""
        s, keep = self._law.scale, math.exp(-self._law.scale)
        rest = math.sqrt(-math.expm1(-2 * s))
        match self._law.noise:
            case "additive":
                return weights + s * self._spread * self._normals(indices)
            case "variance_preserving":
                centred = keep * (weights - self._mean)
                return self._mean + centred + rest * self._spread * self._normals(indices)
            case "shrink":
                return keep * weights + rest * self._drawn(indices)
            case "reinit":
                return self._drawn(indices)

    def _spread_of(self, weights: torch.Tensor) -> float:
        """σ: correction 0; that of a fresh initialisation where the tensor is flat."""
        spread = _deviation(weights)
        return spread if spread >= _FLAT else _deviation(self._fresh.tensor(self._name))

    @cached_property
    def _mean(self) -> float:
        return float(self._fresh.tensor(self._name).mean(dtype=torch.float64))

    def _normals(self, indices: Indices) -> Values:
        return self._stream.normals(self._name, indices)

    def _drawn(self, indices: Indices) -> Values:
        flat = self._fresh.tensor(self._name).reshape(-1)
        return flat[torch.from_numpy(indices)].double().numpy()


def _deviation(tensor: torch.Tensor) -> float:
    flat = tensor.detach().reshape(-1)
    mean = float(flat.mean(dtype=torch.float64))
    parts = torch.split(flat, 1 << 20)
    squares = math.fsum(float((part.double() - mean).square().sum()) for part in parts)
    return math.sqrt(squares / flat.numel())
