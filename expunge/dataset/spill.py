"""Rows of a source, spread over a bounded number of Arrow files by shard.

A file holds a range of shards, so that even 4,096 shards need at most 128 open files, and each
file is small enough to be sorted in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SHARD = "_shard"
_PARTS = 128


@dataclass
class Spill:
    """Writes batches that carry their row's shard in `_shard`, reads them back by range."""

    folder: Path
    schema: pa.Schema
    shards: int

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.parts = min(self.shards, _PARTS)
        self._writers: dict[int, tuple[pa.OSFile, pa.ipc.RecordBatchStreamWriter]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Spread the rows of one batch."""
        shard = batch.column(self.schema.get_field_index(SHARD)).to_numpy()
        part = shard.astype(np.int64) * self.parts // self.shards
        order = np.argsort(part, kind="stable")
        bounds = np.searchsorted(part[order], np.arange(self.parts + 1))
        spread = batch.take(pa.array(order))
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            begin, end = int(bounds[number]), int(bounds[number + 1])
            self._writer(number).write_batch(spread.slice(begin, end - begin))

    def close(self) -> None:
        """Finish the files."""
        for sink, writer in self._writers.values():
            writer.close()
            sink.close()

    def read(self, part: int) -> pa.Table:
        """Rows of one range of shards, mapped, in the order they came."""
        path = self._path(part)
        if not path.exists():
            return self.schema.empty_table()
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            return stream.read_all()

    def _writer(self, part: int) -> pa.ipc.RecordBatchStreamWriter:
        if part not in self._writers:
            sink = pa.OSFile(str(self._path(part)), "wb")
            self._writers[part] = (sink, pa.ipc.new_stream(sink, self.schema))
        return self._writers[part][1]

    def _path(self, part: int) -> Path:
        return self.folder / f"part-{part:03d}.arrows"


def by_shard(shards: npt.NDArray[np.int32]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Each shard's number with the positions of its rows, in the order they came."""
    order = np.argsort(shards, kind="stable")
    numbers, starts = np.unique(shards[order], return_index=True)
    if len(order):
        yield from zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)
