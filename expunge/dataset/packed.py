"""Rows as training reads them: features in one float32 list, label, role, ingest, subject code.

No record id and no subject id: who a row belongs to is told by a code of the placement key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.dataset.placement import ROLES, subject_codes
from expunge.dataset.schema import INGEST
from expunge.dataset.store import Store, role_codes

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Where:
    """Which rows: all, unless something is given."""

    roles: tuple[str, ...] | None = None
    labels: tuple[int, ...] | None = None
    max_ingest: int | None = None
    """Only rows that this ingest or an earlier one brought."""
    limit: int | None = None
    """The first rows, at most so many."""

    def mask(
        self,
        roles: npt.NDArray[np.int8],
        labels: npt.NDArray[np.int64],
        ingests: npt.NDArray[np.int32],
    ) -> Mask:
        """Which rows are wanted; `limit` is the caller's to apply."""
        wanted = np.ones(len(labels), bool)
        if self.roles is not None:
            wanted &= np.isin(roles, [ROLES.index(role) for role in self.roles])
        if self.labels is not None:
            wanted &= np.isin(labels, self.labels)
        if self.max_ingest is not None:
            wanted &= ingests <= self.max_ingest
        return wanted


def packed_schema(width: int) -> pa.Schema:
    """Schema of packed rows of `width` numbers."""
    return pa.schema(
        [
            pa.field("x", pa.list_(pa.field("element", pa.float32(), nullable=False), width)),
            pa.field("y", pa.int64(), nullable=False),
            pa.field("subject", pa.int64(), nullable=False),
            pa.field("role", pa.int8(), nullable=False),
            pa.field("ingest", pa.int32(), nullable=False),
        ]
    )


def packed_shard(store: Store, number: int, select: Mask | None = None) -> pa.RecordBatch:
    """Rows of one shard, packed; `select` picks subjects by their place in the shard's index."""
    spec, index = store.spec, store.index(number)
    rows = store.read(number, [spec.label, *spec.features.names, "role", INGEST]).combine_chunks()
    codes = np.repeat(subject_codes(index.digest), index.rows)
    columns = [
        _features(rows, spec.features.names),
        pa.array(rows[spec.label].to_numpy()),
        pa.array(codes),
        pa.array(role_codes(rows)),
        pa.array(rows[INGEST].to_numpy()),
    ]
    batch = pa.record_batch(columns, schema=packed_schema(spec.features.width))
    return batch if select is None else batch.filter(pa.array(np.repeat(select, index.rows)))


def wanted_rows(batch: pa.RecordBatch, where: Where) -> pa.RecordBatch:
    """The rows of a packed batch that are wanted, `limit` aside."""
    mask = where.mask(*(batch.column(name).to_numpy() for name in ("role", "y", "ingest")))
    return batch if mask.all() else batch.filter(pa.array(mask))


def limited(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """The first `limit` rows of a stream; later batches are not asked for."""
    left = limit
    for batch in batches:
        if left is not None:
            batch = batch.slice(0, left)  # noqa: PLW2901
            left -= batch.num_rows
        if batch.num_rows:
            yield batch
        if left == 0:
            return


def _features(rows: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """One list per row; float32 columns are put side by side."""
    first = rows.schema.field(names[0]).type
    if pa.types.is_fixed_size_list(first):
        column = rows[names[0]].combine_chunks()
        return column.cast(packed_schema(first.list_size).field("x").type)
    side_by_side = np.stack([rows[name].to_numpy() for name in names], axis=1)
    flat = pa.array(np.ascontiguousarray(side_by_side).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=packed_schema(len(names)).field("x").type)
