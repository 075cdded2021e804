"""A Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expunge.dataset.source.part import batch_rows
from expunge.dataset.source.refusal import reading
from expunge.specs import DatasetSpec

_OPTIONS = {"memory_map": True, "pre_buffer": False, "page_checksum_verification": True}


@dataclass(frozen=True)
class ParquetPart:
    """One Parquet file; its pages' checksums are verified."""

    file: Path
    schema: pa.Schema
    rows: int
    row_bytes: float
    """Of the widest rows: as stored, or as the spec's numbers if that is more."""
    first_row: int = 1

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @classmethod
    def open(cls, spec: DatasetSpec, file: Path) -> ParquetPart:
        """Read the footer.

        Raises:
            IngestError: no Parquet file, truncated or corrupt.
        """
        with reading(file, "Parquet"), pq.ParquetFile(file) as opened:
            footer = opened.metadata
            groups = (footer.row_group(at) for at in range(footer.num_row_groups))
            stored = max((g.total_byte_size / max(1, g.num_rows) for g in groups), default=0.0)
            numbers = 0 if spec.features.encoded else 4 * spec.features.width
            return cls(file, opened.schema_arrow, footer.num_rows, max(stored, numbers) + 64)

    def read(self) -> Iterator[pa.RecordBatch]:
        """See `Part.read`."""
        with reading(self.file, "Parquet"), pq.ParquetFile(self.file, **_OPTIONS) as opened:
            yield from opened.iter_batches(batch_size=batch_rows(self.row_bytes))
