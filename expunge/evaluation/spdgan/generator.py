"""The generator: G(x) = x + ε·σ·tanh(net(x)), never more than ε standard deviations away.

The paper's abstract says only that a perturbation similar to the data shows what a model knows;
this form is ours (method.md, section 4). Images and spectrograms get a convolutional net, vectors
a perceptron with a scale of each feature. What does not vary, and categorical columns, come back
bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from expunge.evaluation.metric import EvaluationError
from expunge.training import RowReader, Rows

_CHUNK = 1024


@dataclass(frozen=True)
class Architecture:
    """What a generator is built from: the shape of one row, its width, its categorical columns."""

    shape: tuple[int, ...]
    width: int
    categorical: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) not in (1, 2, 3) or min(self.shape) < 1:
            raise EvaluationError(
                f"SPD-GAN has no generator for rows of the shape {list(self.shape)}.",
                fix="give vectors, [H, W], or [C, H, W]",
            )
        columns = set(self.categorical)
        if columns and (len(self.shape) > 1 or not columns <= set(range(self.shape[0]))):
            raise EvaluationError(
                f"The categorical columns {sorted(columns)} are not columns of rows of the shape "
                f"{list(self.shape)}.",
                fix="number the columns of a vector from 0; other shapes have none",
            )

    @property
    def is_vector(self) -> bool:
        """Whether rows are tabular."""
        return len(self.shape) == 1

    @property
    def channels(self) -> int:
        """Channels of an image, 1 for [H, W]; features of a vector."""
        return 1 if len(self.shape) == 2 else self.shape[0]

    @property
    def statistics(self) -> tuple[int, ...]:
        """The shape of means and deviations, which broadcasts over a row: one for each channel."""
        return self.shape if self.is_vector else (*self.shape[:-2], 1, 1)


class Generator(nn.Module):
    """G with its scale: `mean` and `scale` of the rows it was fitted on, `epsilon` apart.

    `scale` is the standard deviation of a feature (vectors) or a channel; 0 where nothing may
    change. `epsilon` is set by calibration, so that one net can be scaled.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, architecture: Architecture, epsilon: float = 0.0) -> None:
        super().__init__()
        self.architecture, self.epsilon = architecture, epsilon
        self.register_buffer("mean", torch.zeros(architecture.statistics))
        self.register_buffer("scale", torch.ones(architecture.statistics))
        kind = _Perceptron if architecture.is_vector else _Convolutional
        self.net = kind(architecture.channels, architecture.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """G(x), float32 [B, *shape], from x of that shape."""
        if self.epsilon == 0:
            return x.clone()
        direction = torch.tanh(self.net(self.standardised(x)).reshape(x.shape))
        moved = x + self.epsilon * self.scale * direction
        # Not x + 0, which would turn −0 into 0.
        return torch.where(self.scale > 0, moved, x)

    def standardised(self, x: torch.Tensor) -> torch.Tensor:
        """x in standard deviations from the mean, [B, C, H, W] or [B, features]."""
        by = torch.where(self.scale > 0, self.scale, torch.ones_like(self.scale))
        z = (x - self.mean) / by
        return (z.unsqueeze(1) if x.dim() == 3 else z).float()

    @torch.no_grad()
    def adapt(self, rows: Rows) -> None:
        """Take mean and scale from `rows`; a column that is categorical gets scale 0."""
        reader = RowReader(rows, self.mean.device)
        mean = _mean(reader, lambda x: x, self.mean.shape)
        variance = _mean(reader, lambda x: (x - mean) ** 2, self.mean.shape)
        scale = variance.sqrt()
        # A constant feature has a variance of rounding errors.
        scale[scale < 1e-6 * mean.abs().clamp(min=1e-6)] = 0
        for column in self.architecture.categorical:
            scale[column] = 0
        self.mean.copy_(mean)
        self.scale.copy_(scale)


def build_generator(rows: Rows, width: int, categorical: Collection[int] = ()) -> Generator:
    """A generator for rows like these, with their mean and scale; draws from the global state."""
    shape = tuple(RowReader(rows).read(torch.tensor([0]))[0].shape[1:])
    generator = Generator(Architecture(shape, width, tuple(sorted(set(categorical)))))
    generator.adapt(rows)
    return generator


def _mean(
    reader: RowReader, of: Callable[[torch.Tensor], torch.Tensor], shape: torch.Size
) -> torch.Tensor:
    """Mean of `of(x)` over rows, and over the pixels of a channel, float64 of `shape`."""
    total = torch.zeros((), dtype=torch.float64)
    for part in torch.split(torch.arange(len(reader)), _CHUNK):
        each = of(reader.read(part)[0].double())
        if each.dim() > 2:
            each = each.mean(dim=(-2, -1), keepdim=True)
        total = total + each.sum(dim=0)
    return (total / len(reader)).reshape(shape)


class _Convolutional(nn.Module):
    """Convolutions over 2×2 patches, four times fewer places; any height and width."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(4 * channels, width, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 4 * channels, 3, padding=1),
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        height, width = z.shape[-2:]
        found = functional.pixel_shuffle(self.inner(patches(z)), 2)
        return found[..., :height, :width]


def patches(z: torch.Tensor) -> torch.Tensor:
    """The pixels of each 2×2 patch as channels, [B, 4·C, ⌈H/2⌉, ⌈W/2⌉], from z [B, C, H, W]."""
    height, width = z.shape[-2:]
    return functional.pixel_unshuffle(functional.pad(z, (0, width % 2, 0, height % 2)), 2)


class _Perceptron(nn.Sequential):
    def __init__(self, features: int, width: int) -> None:
        hidden = 4 * width
        super().__init__(
            nn.Linear(features, hidden),
            nn.LeakyReLU(0.1),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.1),
            nn.Linear(hidden, features),
        )
