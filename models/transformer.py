"""A small transformer for sequences (Vaswani et al. 2017; pre-norm)."""

from __future__ import annotations

import torch
from torch import nn


class SequenceTransformer(nn.Module):
    """An encoder over a sequence, read out at its mean: tokens, or vectors such as spectra.

    With `vocabulary`, input [B, length] holds token numbers as floats, 0 for padding, which is
    masked. Without, input [B, length, width] (or [B, 1, length, width]) holds vectors of `width`
    numbers. Output [B, classes].
    """

    def __init__(
        self,
        classes: int,
        length: int,
        *,
        width: int | None = None,
        vocabulary: int | None = None,
        model: int = 64,
        heads: int = 4,
        layers: int = 2,
    ) -> None:
        super().__init__()
        if (width is None) == (vocabulary is None):
            raise ValueError("give either `width` of the vectors, or `vocabulary` of the tokens")
        self.vocabulary = vocabulary
        self.inward = (
            nn.Embedding(vocabulary, model) if vocabulary else nn.Linear(width or 1, model)
        )
        self.places = nn.Parameter(torch.randn(length, model) * 0.02)
        layer = nn.TransformerEncoderLayer(
            model, heads, 2 * model, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(model)
        self.classifier = nn.Linear(model, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, [B, classes]."""
        if self.vocabulary is None:
            vectors = x.flatten(0, -3).view(len(x), *x.shape[-2:])
            keep = torch.ones(vectors.shape[:2], device=x.device)
        else:
            vectors = x.round().long().clamp(0, self.vocabulary - 1)
            keep = (vectors > 0).to(x.dtype)
        encoded = self.norm(
            self.encoder(self.inward(vectors) + self.places, src_key_padding_mask=keep == 0)
        )
        weights = keep / keep.sum(dim=1, keepdim=True).clamp(min=1)
        logits: torch.Tensor = self.classifier((encoded * weights[..., None]).sum(dim=1))
        return logits
