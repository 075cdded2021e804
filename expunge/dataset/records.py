"""That one `record_id` names one row, checked over a whole dataset in bounded memory.

Hashes (128 bits) of record ids, with the subject's code and the row's place, are spread over
files by the hash; each file is then sorted on its own. Equal ids always meet in one file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.dataset.errors import DuplicateRecordError
from expunge.dataset.rowhash import RowHash

_BUCKETS = 64
_STORED = -1
_ENTRY = np.dtype([("high", "u8"), ("low", "u8"), ("subject", "i8"), ("row", "i8")])


@dataclass
class RecordCheck:
    """Collects (record, subject) pairs of a source and of what is stored, then judges them."""

    folder: Path
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self._high = RowHash.of(self.key, "record/high")
        self._low = RowHash.of(self.key, "record/low")
        self._files: list[IO[bytes]] = [
            (self.folder / f"records-{bucket:02d}").open("wb") for bucket in range(_BUCKETS)
        ]

    def add(
        self, records: pa.Array | pa.ChunkedArray, codes: npt.NDArray[np.int64], first_row: int
    ) -> None:
        """Rows of the source, counted from `first_row` over all its files."""
        self._spread(records, codes, np.arange(first_row, first_row + len(records)))

    def add_stored(self, records: pa.Array | pa.ChunkedArray, codes: npt.NDArray[np.int64]) -> None:
        """Rows that the dataset has already."""
        self._spread(records, codes, np.full(len(records), _STORED, np.int64))

    def judge(self) -> None:
        """Raise where an id occurs twice in the source, or under another subject than stored.

        Raises:
            DuplicateRecordError: with counts and the first row concerned.
        """
        twice = other = 0
        first: list[int] = []
        for file in self._files:
            file.close()
            entries = np.fromfile(file.name, _ENTRY)
            found = _conflicts(entries)
            twice, other = twice + found[0], other + found[1]
            first += found[2]
        if twice or other:
            raise DuplicateRecordError(
                f"{twice + other} record_id(s) name two rows: {twice} occur more than once in the "
                f"source, {other} belong to another subject in the dataset; "
                f"the first is in row {min(first)} of the source.",
                fix="give every row a record_id of its own",
            )

    def close(self) -> None:
        """Close the files; the caller removes the folder."""
        for file in self._files:
            file.close()

    def _spread(
        self,
        records: pa.Array | pa.ChunkedArray,
        codes: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
    ) -> None:
        entries = np.empty(len(records), _ENTRY)
        entries["high"] = self._high.column(records, "record")
        entries["low"] = self._low.column(records, "record")
        entries["subject"], entries["row"] = codes, rows
        bucket = (entries["high"] >> np.uint64(58)).astype(np.int64)
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(_BUCKETS + 1))
        entries = entries[order]
        for number, file in enumerate(self._files):
            file.write(entries[bounds[number] : bounds[number + 1]].tobytes())


def _conflicts(entries: npt.NDArray[np.void]) -> tuple[int, int, list[int]]:
    """Ids twice in the source; ids under two subjects; the first source rows of both."""
    entries = entries[np.lexsort((entries["row"], entries["low"], entries["high"]))]
    before, after = entries[:-1], entries[1:]
    same = (before["high"] == after["high"]) & (before["low"] == after["low"])
    stored = before["row"] == _STORED
    twice = same & ~stored
    other = same & stored & (before["subject"] != after["subject"])
    rows = after["row"][twice | other]
    return int(twice.sum()), int(other.sum()), [int(rows.min())] if rows.size else []
