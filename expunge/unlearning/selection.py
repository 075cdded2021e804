"""Which parameters are masked: exactly K, over all parameters at once, without joining them.

Top-K takes the largest saliencies and breaks ties by a keyed hash, then the index; Bottom-K ranks
them the other way round; Random-k is the case in which everything is tied. What comes out is a
rule that says of any chunk of any parameter which elements are in: no mask of the whole network
is ever held.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from expunge.errors import TerminalError
from expunge.unlearning.parameters import spans
from expunge.unlearning.philox import Indices, Stream
from expunge.unlearning.threshold import (
    Bits,
    Cut,
    Place,
    Scores,
    cut_after,
    everything,
    last_place,
    unsound,
)

Mask: TypeAlias = npt.NDArray[np.bool_]
_LARGEST = 0x7F7FFFFF
"""Bit pattern of the largest finite float32."""


@dataclass(frozen=True)
class Selection:
    """Exactly `masked` elements of the parameters in `sizes`, as a rule to be asked by chunk."""

    masked: int
    sizes: Mapping[str, int]
    cuts: Mapping[str, Cut] = field(repr=False)
    stream: Stream
    scores: Scores | None = field(default=None, repr=False)

    @property
    def ties(self) -> int:
        """Elements at a threshold among which the hash had to choose."""
        return sum(cut.ties for cut in {id(cut): cut for cut in self.cuts.values()}.values())

    def mask(self, name: str, start: int, stop: int) -> Mask:
        """Which of the elements [start, stop) of parameter `name` are in, bool [stop − start]."""
        cut = self.cuts[name]
        if self.scores is None:
            return self._first(cut, name, np.arange(start, stop))
        bits = self.scores[name][start:stop]
        mask: Mask = bits > cut.bits
        tied = np.flatnonzero(bits == cut.bits)
        mask[tied] = self._first(cut, name, tied + start)
        return mask

    def digest(self) -> str:
        """Digest of the whole mask; independent of the order of tensors and of chunks."""
        digest = MaskDigest()
        for name in sorted(self.sizes):
            digest.begin(name, self.sizes[name])
            for start, stop in spans(self.sizes[name]):
                digest.add(self.mask(name, start, stop))
        return digest.hex()

    def _first(self, cut: Cut, name: str, indices: Indices) -> Mask:
        if cut.last is None or not indices.size:
            return np.ones(indices.size, dtype=bool)
        hashes, last = self.stream.hashes(name, indices), cut.last
        mask: Mask = hashes < last.hash
        for at in np.flatnonzero(hashes == last.hash):
            mask[at] = Place(last.hash, name, int(indices[at])) <= last
        return mask


class MaskDigest:
    """SHA-256 of name, size and packed bits of each parameter, to be given in order of name."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def begin(self, name: str, size: int) -> None:
        """Go on to the next parameter."""
        self._digest.update(f"{name}\0{size}\0".encode())

    def add(self, mask: Mask) -> None:
        """The next elements; all chunks of a parameter but its last hold a multiple of 8."""
        self._digest.update(np.packbits(mask).tobytes())

    def hex(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()


def count_of(fraction: float, elements: int) -> int:
    """K = max(1, ⌊fraction·N + ½⌋)."""
    return max(1, math.floor(fraction * elements + 0.5))


def random_k(sizes: Mapping[str, int], fraction: float, stream: Stream) -> Selection:
    """The K elements with the smallest hashes, ties by name and index."""
    elements = sum(sizes.values())
    k = count_of(fraction, elements)
    last = last_place(everything(sizes), k, elements, stream) if k < elements else None
    return Selection(k, sizes, dict.fromkeys(sizes, Cut(0, last, 0)), stream)


def top_k(
    saliencies: Mapping[str, torch.Tensor],
    fraction: float,
    stream: Stream,
    *,
    per_layer: bool = False,
) -> Selection:
    """The K elements with the largest saliency (float32 on the CPU, finite and ≥ 0).

    With `per_layer` every parameter is cut on its own, at K of its own elements.
    """
    scores = {name: _bits(name, values) for name, values in saliencies.items()}
    return _largest(scores, fraction, stream, per_layer=per_layer)


def bottom_k(
    saliencies: Mapping[str, torch.Tensor],
    fraction: float,
    stream: Stream,
    *,
    per_layer: bool = False,
) -> Selection:
    """The K elements with the smallest saliency; all else as in `top_k`, the ties' hash too."""
    scores = {name: _reversed(name, _bits(name, values)) for name, values in saliencies.items()}
    return _largest(scores, fraction, stream, per_layer=per_layer)


def _largest(scores: Scores, fraction: float, stream: Stream, *, per_layer: bool) -> Selection:
    sizes = {name: bits.size for name, bits in scores.items()}
    cuts: dict[str, Cut] = {}
    masked = 0
    for group in [[name] for name in scores] if per_layer else [list(scores)]:
        k = count_of(fraction, sum(sizes[name] for name in group))
        cut = cut_after({name: scores[name] for name in group}, k, stream)
        cuts |= dict.fromkeys(group, cut)
        masked += k
    return Selection(masked, sizes, cuts, stream, scores)


def _reversed(name: str, bits: Bits) -> Bits:
    """Bit patterns of finite numbers ≥ 0 in the opposite order, one to one."""
    if bits.size and int(bits.max()) > _LARGEST:
        raise unsound(name)
    return np.uint32(_LARGEST) - bits


def _bits(name: str, values: torch.Tensor) -> Bits:
    if values.dtype != torch.float32 or values.device.type != "cpu":
        raise TerminalError(
            f"The saliency of parameter {name!r} is {values.dtype} on {values.device}.",
            fix="rank float32 numbers on the CPU",
        )
    return values.detach().reshape(-1).numpy().view(np.uint32)
