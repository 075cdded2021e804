"""Philox-4x32-10: random numbers by position instead of by sequence.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A number is a
function of (key, counter) alone, so masks and noise do not depend on order, chunks or shards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.uint64]
Indices: TypeAlias = npt.NDArray[np.int64]

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


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
        high, low = self._words(name, indices)
        return (high << _HALF) | low

    def normals(self, name: str, indices: Indices) -> npt.NDArray[np.float64]:
        """Standard normal numbers, float64 [n] (Box–Muller, 32 bits each, |z| < 6.8).

        They depend on NumPy's log and cosine only in the last bit of a float64.
        """
        high, low = self._words(name, indices)
        radius = np.sqrt(-2.0 * np.log((high + 0.5) * 2.0**-32))
        normals: npt.NDArray[np.float64] = radius * np.cos((low + 0.5) * (2.0**-31 * np.pi))
        return normals

    def _words(self, name: str, indices: Indices) -> tuple[Words, Words]:
        tag = name_hash(name)
        at = indices.astype(np.uint64)
        step = np.uint64(1)
        whole = at.size > 1 and at.size % 2 == 0 and at[0] % 2 == 0 and _is_range(indices)
        # A whole range needs each block once, where scattered indices need one block each.
        blocks = at[::2] >> step if whole else at >> step
        words = philox4x32(_counter(blocks, tag), self._key)
        if whole:
            return _woven(words[0], words[2]), _woven(words[1], words[3])
        odd = (at & step).astype(bool)
        return np.where(odd, words[2], words[0]), np.where(odd, words[3], words[1])

    @property
    def _key(self) -> tuple[int, int]:
        text = f"expunge 1\0{self.seed}\0{self.purpose}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")


def _counter(blocks: Words, tag: int) -> tuple[Words, Words, Words, Words]:
    upper, lower = np.uint64(tag >> 32), np.uint64(tag & 0xFFFFFFFF)
    same = np.ones_like(blocks)
    return blocks & _LOW, blocks >> _HALF, same * lower, same * upper


def _is_range(indices: Indices) -> bool:
    span = int(indices[-1]) - int(indices[0]) + 1
    return span == indices.size and bool((np.diff(indices) == 1).all())


def _woven(even: Words, odd: Words) -> Words:
    both = np.empty(2 * even.size, dtype=np.uint64)
    both[::2], both[1::2] = even, odd
    return both
