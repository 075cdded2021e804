"""Keyed 64-bit hashes of rows, vectorised, and their order-free sums.

A value's bytes (or 16-bit words) are coefficients of a multilinear hash over the ring of
integers mod 2^64 (Carter and Wegman's universal family: Σ (v_p + 1)·k_p with secret keys k_p),
so two different values agree with a probability of at most 2^-48 over the key. Encoded images are
long and few: keyed BLAKE2b, cut to 64 bits, takes each at once. Column hashes are
mixed (splitmix64's finaliser) and added. The sum of row hashes mod 2^64 does not depend on the
order of the rows and subtracts: sum(A0) − sum(B0) = sum(A1) when A1 is A0 without B0.

The key is derived from the placement key, so figures repeat on replay and say nothing about rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
_CHUNK = 1 << 16
"""Words at a time: what a core's own cache holds as 64-bit numbers."""
_PADDED = 4
"""Strings are padded to one length where that takes at most so many times their bytes."""


@dataclass(frozen=True)
class RowHash:
    """One keyed hash function over rows."""

    seed: bytes

    @classmethod
    def of(cls, key: bytes, purpose: str) -> RowHash:
        """The hash function of one placement key and purpose."""
        return cls(hashlib.blake2b(purpose.encode(), key=key[:64], digest_size=16).digest())

    def rows(self, table: pa.Table) -> Hashes:
        """uint64 [n]: a hash of all columns of each row; a column's name counts, its place not."""
        total = np.zeros(table.num_rows, np.uint64)
        for name in table.column_names:
            salt = self._keys(name, 1)[0]
            total += _mix(self.column(table[name], name) + salt)
        return _mix(total)

    def column(self, column: pa.ChunkedArray | pa.Array, name: str) -> Hashes:
        """uint64 [n]: a hash of each value; null has one of its own."""
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        parts = [self._array(chunk, name) for chunk in chunks]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def _array(self, array: pa.Array, name: str) -> Hashes:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        hashes = self._values(array, name)
        if array.null_count:
            missing = np.asarray(array.is_null().to_numpy(zero_copy_only=False))
            hashes[missing] = self._keys(f"{name}\0null", 1)[0]
        return hashes

    def _values(self, array: pa.Array, name: str) -> Hashes:
        kind = array.type
        if pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type):
            size = kind.list_size
            inner = array.values.slice(array.offset * size, len(array) * size)
            if not inner.null_count:
                words = _words(inner, kind.value_type.bit_width // 8)
                return self._fixed(words.reshape(len(array), size * words.shape[1]), name)
        if pa.types.is_boolean(kind):
            return self._values(array.cast(pa.uint8()), name)
        if pa.types.is_primitive(kind):
            return self._fixed(_words(array, kind.bit_width // 8), name)
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            return self._ragged(array, name)
        if pa.types.is_large_binary(kind):
            return self._digests(array, name)
        texts = [None if value is None else repr(value) for value in array.to_pylist()]
        return self._ragged(pa.array(texts, pa.string()), name)

    def _fixed(self, words: npt.NDArray[np.unsignedinteger], name: str) -> Hashes:
        """[n, w] unsigned words of at most 16 bits."""
        keys = self._keys(name, words.shape[1])
        ones = keys.sum(dtype=np.uint64)  # of Σ (v_p + 1)·k_p
        hashes: Hashes = _products(words, keys) + ones
        return hashes

    def _ragged(self, array: pa.Array, name: str) -> Hashes:
        """Bytes of strings; the position of each byte picks its key."""
        array = array.fill_null("" if pa.types.is_string(array.type) else b"")
        _, offsets, data = array.buffers()
        bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
        bounds = bounds.astype(np.int64)
        lengths = np.diff(bounds)
        if not len(array) or not lengths.any():
            return np.zeros(len(array), np.uint64)
        values = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
        keys = self._keys(name, int(lengths.max()))
        if len(array) * len(keys) <= _PADDED * len(values):
            return _of_padded(values, lengths, keys)
        starts = bounds[:-1] - bounds[0]
        place = np.arange(len(values)) - np.repeat(starts, lengths)
        terms = (values.astype(np.uint64) + np.uint64(1)) * keys[place]
        running = _running(terms)
        hashes: Hashes = running[starts + lengths] - running[starts]
        return hashes

    def _digests(self, array: pa.Array, name: str) -> Hashes:
        key = hashlib.blake2b(name.encode(), key=self.seed, digest_size=32).digest()
        values = (value.as_buffer() if value.is_valid else b"" for value in array)
        digests = (hashlib.blake2b(value, key=key, digest_size=8).digest() for value in values)
        return np.frombuffer(b"".join(digests), np.uint64).copy()

    def _keys(self, name: str, count: int) -> Hashes:
        """`count` 64-bit keys of one column, from a counter-based generator."""
        digest = hashlib.blake2b(name.encode(), key=self.seed, digest_size=16).digest()
        words = np.frombuffer(digest, np.uint64)
        return np.random.Philox(key=words).random_raw(count).astype(np.uint64)


def checksum(hashes: Hashes) -> int:
    """Sum mod 2^64, whatever the order."""
    return int(hashes.sum(dtype=np.uint64))


def _of_padded(
    values: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64], keys: Hashes
) -> Hashes:
    """Hashes of strings of about the same length, laid out as rows of a matrix."""
    padded = np.zeros((len(lengths), len(keys)), np.uint8)
    if len(values) == padded.size:
        padded = values.reshape(padded.shape)
    else:
        padded[np.arange(len(keys)) < lengths[:, None]] = values
    ones = _running(keys)[lengths]  # of Σ (v_p + 1)·k_p, as far as each string goes
    return _products(padded, keys) + ones


def _products(words: npt.NDArray[np.unsignedinteger], keys: Hashes) -> Hashes:
    """Σ v_p·k_p of each row, in slices that stay in a core's cache."""
    step = max(1, _CHUNK // max(1, len(keys)))
    parts = [words[s : s + step].astype(np.uint64) @ keys for s in range(0, len(words), step)]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _running(terms: Hashes) -> Hashes:
    """Sums of the first 0, 1, … terms."""
    return np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])


def _words(array: pa.Array, width: int) -> npt.NDArray[np.unsignedinteger]:
    """Values of `width` bytes as unsigned words of 16 bits (8 for single bytes), [n, words]."""
    data = array.buffers()[1]
    kind: type[np.unsignedinteger] = np.uint8 if width == 1 else np.uint16
    whole = np.frombuffer(data or b"", np.uint8)
    begin = array.offset * width
    words = whole[begin : begin + len(array) * width].view(kind)
    return words.reshape(len(array), width // np.dtype(kind).itemsize)


def _mix(values: Hashes) -> Hashes:
    """splitmix64's finaliser: a bijection of 64-bit words."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def lookup(values: Hashes, among: Hashes) -> npt.NDArray[np.bool_]:
    """Which of `values` occur in `among`."""
    return np.asarray(pc.is_in(pa.array(values), value_set=pa.array(among)))
