"""ResNet-18 for small images (He, Zhang, Ren and Sun 2016, as used on CIFAR)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import relu


class Block(nn.Module):
    """Two 3×3 convolutions with BatchNorm, added to what came in."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, before, H, W] to [B, after, H / stride, W / stride]."""
        inner = self.second_norm(self.second(relu(self.first_norm(self.first(x)))))
        return relu(inner + self.shortcut(x))


class ResNet18(nn.Module):
    """Four stages of two blocks behind a 3×3 stem, without its pooling: inputs of 16 to 96 pixels.

    BatchNorm's running statistics hold something of every training row; expunge re-estimates them
    on retained rows. Input [B, C, H, W] with C = `channels`; output [B, classes]. `width` is the
    number of channels of the first stage: 64 in the paper, less for a test.
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 3,
        width: int = 64,
        blocks: Sequence[int] = (2,) * 4,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages, before = [], width
        for stage, count in enumerate(blocks):
            after = width * 2**stage
            for block in range(count):
                stages.append(Block(before, after, 2 if stage and not block else 1))
                before = after
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, [B, classes]."""
        features = self.stages(self.stem(x)).mean(dim=(2, 3))
        logits: torch.Tensor = self.classifier(features)
        return logits
