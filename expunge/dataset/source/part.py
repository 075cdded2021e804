"""What every reader of a format gives: the schema at once, the rows in batches when asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

BATCH_BYTES = 48 << 20
"""Most bytes of a batch of more than one row, as nearly as a format tells."""
MAX_ROWS = 1 << 17


class Part(Protocol):
    """One file of a source, checked to be there and readable at its ends."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def first_row(self) -> int:
        """Number of its first row, as a reader of the file counts it."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns, as the file types them."""

    @property
    def rows(self) -> int | None:
        """How many, where the format says so."""

    def read(self) -> Iterator[pa.RecordBatch]:
        """All rows in order, never more in memory than a batch or two.

        Raises:
            IngestError: the file is damaged, or a value is not of its column's type.
        """


def batch_rows(row_bytes: float) -> int:
    """Rows of a batch when each takes so many bytes."""
    return max(1, min(MAX_ROWS, int(BATCH_BYTES // max(1.0, row_bytes))))


def sliced(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch of any size in bounded ones, over the same memory."""
    return cut(batch, batch_rows(batch.nbytes / max(1, batch.num_rows)))


def cut(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    """A batch in ones of at most `rows`, over the same memory."""
    for begin in range(0, batch.num_rows, rows):
        yield batch.slice(begin, rows)
