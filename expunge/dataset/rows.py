"""Rows for torch: map-style datasets over packed Arrow rows.

Compressed Parquet has no random access, so that training maps an uncompressed scratch copy; the
caller records the copy and purges it. Erased rows never go to a scratch file: they are decrypted
into memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.dataset.disk import writing
from expunge.dataset.errors import ShardError
from expunge.dataset.packed import Where, limited, packed_batches, schema_of, wanted_rows
from expunge.dataset.placement import ROLES
from expunge.dataset.progress import Progress, silent
from expunge.dataset.sealed import open_sealed
from expunge.dataset.store import Store
from expunge.keys import KeyRing
from expunge.specs import DatasetSpec

if TYPE_CHECKING:
    import torch

_BATCH_BYTES = 32 << 20


@dataclass(frozen=True)
class ArrowRows:
    """A map-style torch dataset of (x float32 of the spec's shape, y).

    y is int64 where the label is a class, float64 where it is a real number. There is at least one
    batch, which may be empty. Frozen; `select` and `where` give further ones over the same memory.
    One that maps a file crosses a process by the file's path, never by its content.
    """

    batches: tuple[pa.RecordBatch, ...] = field(repr=False)
    shape: tuple[int, ...]
    path: Path | None = None
    picked: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    """Positions in the batches, in this dataset's order; None for all."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One row: x of the spec's shape, y of no dimension."""
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        x, y = self.__getitems__([row % len(self)])
        return x[0], y[0]

    def __getitems__(
        self, rows: Sequence[int] | npt.NDArray[np.int64]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Many rows at once: x [B, *shape], y [B]; a DataLoader needs `collate_fn=tuple` for it."""
        import torch

        at = np.asarray(rows, dtype=np.int64)
        y = self.labels[at]
        x = self._gather(at if self.picked is None else self.picked[at])
        return torch.from_numpy(x).view(-1, *self.shape), torch.from_numpy(y)

    @cached_property
    def labels(self) -> npt.NDArray[Any]:
        """int64 [N] for classes, float64 [N] for real numbers."""
        return self._column("y")

    @cached_property
    def subject_codes(self) -> npt.NDArray[np.int64]:
        """int64 [N]: one number per person, never an id."""
        return self._column("subject")

    @cached_property
    def role_codes(self) -> npt.NDArray[np.int8]:
        """int8 [N]: positions in `placement.ROLES`."""
        return self._column("role")

    @cached_property
    def ingests(self) -> npt.NDArray[np.int32]:
        """int32 [N]: the ingest that brought each row."""
        return self._column("ingest")

    def select(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> ArrowRows:
        """Some rows, in the order given."""
        at = np.asarray(rows, dtype=np.int64)
        return replace(self, picked=at if self.picked is None else self.picked[at])

    def where(self, where: Where) -> ArrowRows:
        """The rows that `where` asks for, in the same order."""
        mask = where.mask(self.role_codes, self.labels, self.ingests)
        return self.select(np.flatnonzero(mask)[: where.limit])

    def __reduce__(self) -> tuple[object, ...]:
        if self.path is None:
            raise TypeError("rows that were decrypted into memory do not leave the process")
        return (_reopen, (self.path, self.shape, self.picked))

    @cached_property
    def _blocks(self) -> tuple[npt.NDArray[np.float32], ...]:
        """Features of each batch, [n, width], without a copy."""
        return tuple(_features(batch) for batch in self.batches)

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.cumsum([0, *(batch.num_rows for batch in self.batches)])

    def _column(self, name: str) -> npt.NDArray[Any]:
        parts = [batch.column(name).to_numpy() for batch in self.batches]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole if self.picked is None else whole[self.picked]

    def _gather(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        if len(self._blocks) == 1:
            return self._blocks[0][at]
        gathered = np.empty((len(at), int(np.prod(self.shape))), np.float32)
        block = np.searchsorted(self._starts, at, side="right") - 1
        for number in np.unique(block).tolist():
            mine = block == number
            gathered[mine] = self._blocks[number][at[mine] - self._starts[number]]
        return gathered


def training_rows(
    store: Store,
    spec: DatasetSpec,
    roles: Collection[str],
    scratch: Path,
    *,
    where: Where | None = None,
    on_progress: Progress = silent,
) -> ArrowRows:
    """Copy the rows of some roles to the file `scratch`, uncompressed, and map it.

    The order is the store's (shard, subject, record), whatever the machine.

    Raises:
        ShardError: a shard is absent or corrupt.
        StorageFullError: no room for the copy.
    """
    wanted = replace(where or Where(), roles=tuple(sorted(roles)))

    def shards() -> Iterator[pa.RecordBatch]:
        for done, number in enumerate(store.numbers, 1):
            yield from packed_batches(store, number, where=wanted)
            on_progress("copy", done, len(store.numbers))

    with writing(scratch.parent):
        scratch.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = scratch.with_name(f".{scratch.name}.{secrets.token_hex(4)}")
        try:
            _write(aside, limited(shards(), wanted.limit), schema_of(spec))
            aside.replace(scratch)
        finally:
            aside.unlink(missing_ok=True)
    return open_rows(scratch, spec)


def open_rows(scratch: Path, spec: DatasetSpec) -> ArrowRows:
    """Map a scratch copy that `training_rows` made.

    Raises:
        ShardError: absent, truncated, or of another width or kind of label.
    """
    rows = _reopen(scratch, spec.features.input_shape, None)
    if rows.batches[0].schema != schema_of(spec):
        raise _unusable(scratch)
    return rows


def forget_rows(
    spec: DatasetSpec, keys: KeyRing, sealed: Mapping[str, Path], *, where: Where | None = None
) -> ArrowRows:
    """Sealed rows of some batches (batch id to file), decrypted into memory; role T unless given.

    Raises:
        KeyMissingError: a batch's data key was destroyed.
        ShardError: a sealed file is absent or incomplete.
    """
    wanted = replace(where or Where(), roles=(where and where.roles) or ("T",))
    batches = (
        wanted_rows(batch, wanted)
        for batch_id, path in sorted(sealed.items())
        for batch in open_sealed(path, keys, batch_id)
    )
    found = tuple(limited(batches, wanted.limit)) or (_nothing(schema_of(spec)),)
    return ArrowRows(found, spec.features.input_shape)


def role_names(rows: ArrowRows) -> list[str]:
    """The role of each row."""
    return [ROLES[code] for code in rows.role_codes]


def _write(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """One Arrow file of few, large batches, so that a random row is found in one step."""
    width = schema.field("x").type.list_size
    waiting: list[pa.RecordBatch] = []
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:

        def flush() -> None:
            if waiting:
                writer.write_batch(pa.concat_batches(waiting))
                waiting.clear()

        for batch in batches:
            waiting.append(batch)
            if sum(held.num_rows for held in waiting) * 4 * width >= _BATCH_BYTES:
                flush()
        flush()


def _reopen(path: Path, shape: tuple[int, ...], picked: npt.NDArray[np.int64] | None) -> ArrowRows:
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            found = tuple(file.get_batch(at) for at in range(file.num_record_batches))
            batches = found or (_nothing(file.schema),)
    except (OSError, pa.ArrowException):
        raise _unusable(path) from None
    return ArrowRows(batches, shape, path, picked)


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    """A batch without rows, which still says what labels are."""
    return pa.RecordBatch.from_pylist([], schema=schema)


def _unusable(path: Path) -> ShardError:
    return ShardError(f"{path.name} is not a usable scratch copy.", fix="make it again")


def _features(batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
    column = batch.column("x")
    width = column.type.list_size
    flat = column.values.slice(column.offset * width, len(column) * width)
    features: npt.NDArray[np.float32] = flat.to_numpy().reshape(-1, width)
    return features
