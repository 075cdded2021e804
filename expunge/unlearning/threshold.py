"""Where a selection is cut: the K-th largest saliency, and the last place among tied elements.

Non-negative float32 numbers order like their bit patterns, so three histogram passes (11 + 11 +
10 bits) find the K-th largest of any number of tensors, without joining or sorting them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from expunge.errors import TerminalError
from expunge.unlearning.parameters import spans
from expunge.unlearning.philox import Indices, Stream

Bits: TypeAlias = npt.NDArray[np.uint32]
Scores: TypeAlias = Mapping[str, Bits]
"""Bit patterns of saliencies by parameter, uint32 [elements]."""
Elements: TypeAlias = Callable[[], Iterator[tuple[str, Indices]]]
"""Gives, each time it is called, the same elements in chunks of one parameter's indices."""

_DIGITS = ((21, 11), (10, 11), (0, 10))
_INFINITE = 0x7F800000 >> 21
_HASHES = 1 << 64


@dataclass(frozen=True, order=True)
class Place:
    """Where one element stands among tied ones: by hash, then name and index."""

    hash: int
    name: str
    index: int


@dataclass(frozen=True)
class Cut:
    """In are all elements above `bits`, and those at `bits` that stand no later than `last`.

    `ties` elements were at `bits` where the hash had to choose among them; else it is 0.
    """

    bits: int
    last: Place | None
    ties: int


def cut_after(scores: Scores, k: int, stream: Stream) -> Cut:
    """The cut that keeps exactly the `k` largest of all elements of `scores`."""
    found, places, tied = 0, k, 0
    for shift, width in _DIGITS:
        counts = _histogram(scores, found, shift, width)
        above = np.cumsum(counts[::-1])
        rank = int(np.searchsorted(above, places))
        places -= int(above[rank - 1]) if rank else 0
        digit = counts.size - 1 - rank
        found, tied = found << width | digit, int(counts[digit])
    if places == tied:
        return Cut(found, None, 0)
    return Cut(found, last_place(lambda: _at(scores, found), places, tied, stream), tied)


def last_place(elements: Elements, count: int, of: int, stream: Stream) -> Place:
    """The `count`-th of the `of` elements in order of hash, name and index.

    Hashes are spread evenly, so it is looked for, in one pass, where `count` / `of` says; with a
    window of ten standard deviations it is always there, or the window is widened.
    """
    slack = 10 * math.sqrt(count * (of - count) / of) + 10
    while True:
        low, high = (_share(count + side * slack, of) for side in (-1, 1))
        before, near = 0, list[Place]()
        for name, indices in elements():
            hashes = stream.hashes(name, indices)
            before += int(np.count_nonzero(hashes < low))
            here = (hashes >= low) & (hashes <= high)
            near += map(Place, hashes[here].tolist(), repeat(name), indices[here].tolist())
        if before < count <= before + len(near):
            return sorted(near)[count - before - 1]
        slack *= 16


def _share(count: float, of: int) -> np.uint64:
    """The hash below which `count` of `of` evenly spread ones are expected."""
    return np.uint64(min(max(0, int(count / of * _HASHES)), _HASHES - 1))


def everything(sizes: Mapping[str, int]) -> Elements:
    """Every element of parameters of these sizes."""

    def elements() -> Iterator[tuple[str, Indices]]:
        for name, size in sizes.items():
            for start, stop in spans(size):
                yield name, np.arange(start, stop)

    return elements


def unsound(name: str) -> TerminalError:
    """The error of a saliency that does not order like its bits."""
    return TerminalError(
        f"A saliency of parameter {name!r} is negative, NaN or infinite.",
        fix="rank numbers that are finite and not below 0",
    )


def _at(scores: Scores, bits: int) -> Iterator[tuple[str, Indices]]:
    for name, values in scores.items():
        for start, stop in spans(values.size):
            found = np.flatnonzero(values[start:stop] == bits)
            if found.size:
                yield name, found + start


def _histogram(scores: Scores, prefix: int, shift: int, width: int) -> npt.NDArray[np.int64]:
    """Counts of the next `width` bits of the elements whose bits before them are `prefix`."""
    counts = np.zeros(1 << width, dtype=np.int64)
    for name, values in scores.items():
        for start, stop in spans(values.size):
            bits = values[start:stop]
            if shift + width < 32:
                bits = bits[bits >> (shift + width) == prefix] & ((1 << shift + width) - 1)
            found = np.bincount((bits >> shift).astype(np.int64), minlength=1 << width)
            if shift + width == 32 and found[_INFINITE:].any():
                raise unsound(name)
            counts += found
    return counts
