"""The header of one array in an NPZ file, checked, and its rows as an Arrow column.

Nothing here unpickles: an array of Python objects is refused. A header is believed only as far as
the archive agrees with it, and says at once how many bytes a row takes.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from expunge.dataset.errors import IngestError

HEADER_BYTES = 1 << 14
_NUMBERS, _TEXT = "biuf", "US"
_WIDEST = 1 << 20
_READ = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class NpyArray:
    """One array [rows, …] of numbers or text, in C order."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    header_bytes: int

    @classmethod
    def parse(cls, name: str, head: bytes, where: str) -> NpyArray:
        """The array whose file begins with `head`, its first 16 KiB or all of it.

        Raises:
            IngestError: no array, pickled objects, Fortran order, or no dimension.
        """
        start = io.BytesIO(head)
        try:
            shape, fortran, dtype = _READ[npy.read_magic(start)](start)
        # A hostile header can fail in any way that Python's parser can; none of its text is told.
        except Exception:
            raise IngestError(
                f"{where}: not a readable array.", fix="save it again with numpy.savez"
            ) from None
        if dtype.hasobject:
            raise IngestError(
                f"{where} holds Python objects, which only pickle reads; that could run code.",
                fix="save it as numbers, or as text of a fixed width: x.astype(str)",
            )
        array = cls(name, dtype, shape, start.tell())
        array._check(where, fortran=fortran)
        return array

    @property
    def rows(self) -> int:
        """Its length."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Values in a row."""
        return math.prod(self.shape[1:])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, as saved."""
        return self.width * self.dtype.itemsize

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of its column: text, a number, or a list of a row's numbers."""
        if self.dtype.kind in _TEXT:
            return pa.string()
        value = pa.from_numpy_dtype(self.dtype.newbyteorder("="))
        return value if len(self.shape) == 1 else pa.list_(value, self.width)

    def column(self, data: bytearray) -> pa.Array:
        """Rows from their bytes, without a copy where Arrow stores them alike.

        Raises:
            UnicodeError, ValueError, pa.ArrowInvalid: text that is no text.
        """
        values = np.frombuffer(data, self.dtype)
        if self.dtype.kind in _TEXT:
            return pa.array(values).cast(pa.string())
        flat = pa.array(values.astype(self.dtype.newbyteorder("="), copy=False))
        if len(self.shape) == 1:
            return flat
        return pa.FixedSizeListArray.from_arrays(flat, type=self.type)

    def _check(self, where: str, *, fortran: bool) -> None:
        many = len(self.shape) > 1
        long_double = self.dtype.kind == "f" and self.dtype.itemsize > 8
        if self.dtype.kind not in _NUMBERS + _TEXT or long_double or self.dtype.itemsize == 0:
            raise IngestError(
                f"{where} is of a kind that is not read ({self.dtype.kind}"
                f"{8 * self.dtype.itemsize}); integers, floats, truth values and text are.",
                fix="save it as one of these, or leave it out",
            )
        if not self.shape or min(self.shape) < 0 or self.width == 0:
            raise IngestError(f"{where} has no rows or empty ones.", fix="give it a row a record")
        if many and self.dtype.kind in _TEXT:
            raise IngestError(f"{where} holds several texts a row.", fix="save one array of each")
        if many and fortran:
            raise IngestError(
                f"{where} is in Fortran order, so that no row can be read without all of it.",
                fix="save numpy.ascontiguousarray(x)",
            )

    def refuse_wide(self, where: str, allowed: int) -> None:
        """A row of more bytes than `allowed`, or 1 MiB, would not fit bounded memory.

        Raises:
            IngestError: wider.
        """
        if self.row_bytes > max(allowed, _WIDEST):
            raise IngestError(
                f"{where} has rows of {self.row_bytes:,} bytes, allowed {max(allowed, _WIDEST):,}.",
                fix="shorten its texts, or leave it out",
            )
