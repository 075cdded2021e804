"""Philox-4x32-10: random numbers by position instead of by sequence.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A number is a
function of (key, counter) alone, so masks and noise do not depend on order, chunks or shards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

Words: TypeAlias = npt.NDArray[np.uint64]
Indices: TypeAlias = npt.NDArray[np.int64]
Normals: TypeAlias = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", Words, Normals)

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF, _ONE = np.uint64(32), np.uint64(1)
_SPARSE = 1.5
"""So many places an element, and drawing the blocks of each alone costs less."""


def philox4x32(
    counter: tuple[Words, Words, Words, Words], key: tuple[int, int]
) -> tuple[Words, Words, Words, Words]:
    """Ten rounds on counters of four 32-bit words (in uint64 arrays) under a key of two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), p1 & _LOW
        c2, c3 = (p0 >> _HALF) ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return c0, c1, c2, c3


def name_hash(name: str) -> int:
    """64 bits of a parameter's name (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Stream:
    """Numbers of one `purpose` under one seed, at (parameter name, row-major index).

    The key is 64 bits of BLAKE2b of seed and purpose; the counter holds half the index and the
    name's hash; an even index takes the first two words of the block, an odd one the last two.
    """

    seed: int
    purpose: str

    def hashes(self, name: str, indices: Indices) -> Words:
        """64-bit hashes, uint64 [n], of the parameter's elements at `indices` (int64 [n])."""
        return self._each(name, indices, _hash)

    def normals(self, name: str, indices: Indices) -> Normals:
        """Standard normal numbers, float64 [n] (Box–Muller, 32 bits each, |z| < 6.8).

        They depend on the library's log and cosine only in the last bit of a float64.
        """
        return self._each(name, indices, _normal)

    def _each(
        self, name: str, indices: Indices, number: Callable[[Words, Words], Numbers]
    ) -> Numbers:
        """A number of the two words of each element.

        Where the elements stand close together, each block is drawn once for the two it is for.
        """
        first, last = (int(indices.min()), int(indices.max())) if indices.size else (0, 0)
        if last - first >= _SPARSE * indices.size:
            w0, w1, w2, w3 = self._words(name, indices.astype(np.uint64) >> _ONE)
            odd = (indices & 1).astype(bool)
            return number(np.where(odd, w2, w0), np.where(odd, w3, w1))
        blocks = np.arange(first >> 1, (last >> 1) + 1, dtype=np.uint64)
        w0, w1, w2, w3 = self._words(name, blocks)
        numbers = _woven(number(w0, w1), number(w2, w3))
        start = first & ~1
        if _is_range(indices):
            return numbers[first - start : last + 1 - start]
        return numbers[indices - start]

    def _words(self, name: str, blocks: Words) -> tuple[Words, Words, Words, Words]:
        tag = name_hash(name)
        # Words that all blocks share are given once: NumPy spreads them where they first differ.
        lower, upper = np.array([[tag & 0xFFFFFFFF], [tag >> 32]], dtype=np.uint64)
        return philox4x32((blocks & _LOW, blocks >> _HALF, lower, upper), self._key)

    @property
    def _key(self) -> tuple[int, int]:
        text = f"expunge 1\0{self.seed}\0{self.purpose}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")


def _hash(high: Words, low: Words) -> Words:
    return (high << _HALF) | low


def _normal(high: Words, low: Words) -> Normals:
    radius = np.sqrt(-2.0 * np.log((high + 0.5) * 2.0**-32))
    angle = torch.from_numpy((low + 0.5) * (2.0**-31 * np.pi))
    normals: Normals = radius * torch.cos(angle, out=angle).numpy()  # NumPy's takes 15 times longer
    return normals


def _is_range(indices: Indices) -> bool:
    return bool((indices[1:] - indices[:-1] == 1).all())


def _woven(even: Numbers, odd: Numbers) -> Numbers:
    both = np.empty(2 * even.size, dtype=even.dtype)
    both[::2], both[1::2] = even, odd
    return both
