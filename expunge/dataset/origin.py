"""Where a batch comes from, and how a row of it is refused.

A refusal names the file, the column and the row number, never what the row holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.dataset.errors import ColumnError, ValueRefusedError


@dataclass(frozen=True)
class Origin:
    """Where a batch comes from."""

    file: str
    first_row: int
    """Number of the batch's first row, as a reader of the file counts it."""

    def refuse(self, column: str, bad: npt.NDArray[np.bool_], why: str, fix: str) -> None:
        """Raise when any row of `bad` is set.

        Raises:
            ValueRefusedError: with the first such row's number, and how many there are.
        """
        rows = np.flatnonzero(bad)
        if rows.size:
            raise ValueRefusedError(
                f"{self.file}, column {column!r}, row {self.first_row + int(rows[0])}: {why}"
                f" ({rows.size} such row(s) in this part of the file).",
                fix=fix,
            )

    def mistyped(self, column: str, kind: pa.DataType, allowed: str) -> ColumnError:
        """The error of a column whose type cannot be stored."""
        return ColumnError(
            f"{self.file}: column {column!r} has type {kind}, allowed: {allowed}.",
            fix="cast the column, or mend the names in the dataset's spec",
        )


def flags(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Truth values as numpy has them."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)
