"""Record ids for a source that names none: `r` and the row's number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from expunge.dataset.source.part import Part


@dataclass(frozen=True)
class Numbered:
    """A part with a further column `record_id`: r0, r1, …, as its rows are counted.

    Numbers tell rows apart within one source only. A second one would begin at r0 again and be
    taken for rows that are there, so that it is refused before (`open_source`).
    """

    part: Part
    record_id: str

    @property
    def name(self) -> str:
        """See `Part.name`."""
        return self.part.name

    @property
    def first_row(self) -> int:
        """See `Part.first_row`."""
        return self.part.first_row

    @property
    def rows(self) -> int | None:
        """See `Part.rows`."""
        return self.part.rows

    @property
    def schema(self) -> pa.Schema:
        """The part's, with text under `record_id`."""
        return self.part.schema.append(pa.field(self.record_id, pa.string()))

    def read(self) -> Iterator[pa.RecordBatch]:
        """See `Part.read`."""
        row = self.first_row
        for batch in self.part.read():
            names = pa.array([f"r{number}" for number in range(row, row + batch.num_rows)])
            yield batch.append_column(self.record_id, names)
            row += batch.num_rows
