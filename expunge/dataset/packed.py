"""Rows as training reads them: features in one float32 list, label, role, ingest, subject code.

No record id and no subject id: who a row belongs to is told by a code of the placement key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.dataset.errors import ShardError
from expunge.dataset.images import Decoder, UndecodableError
from expunge.dataset.labels import label_type
from expunge.dataset.placement import ROLES, subject_codes
from expunge.dataset.schema import INGEST
from expunge.dataset.store import Store, role_codes, shard_name
from expunge.specs import DatasetSpec

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
        labels: npt.NDArray[Any],
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


def packed_schema(width: int, label: pa.DataType) -> pa.Schema:
    """Schema of packed rows of `width` numbers with labels of type `label`."""
    return pa.schema(
        [
            pa.field("x", pa.list_(pa.field("element", pa.float32(), nullable=False), width)),
            pa.field("y", label, nullable=False),
            pa.field("subject", pa.int64(), nullable=False),
            pa.field("role", pa.int8(), nullable=False),
            pa.field("ingest", pa.int32(), nullable=False),
        ]
    )


def schema_of(spec: DatasetSpec) -> pa.Schema:
    """Schema of a dataset's packed rows."""
    return packed_schema(spec.features.width, label_type(spec))


def packed_batches(
    store: Store, number: int, *, where: Where | None = None, select: Mask | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of one shard, packed, in bounded batches where they are decoded.

    `select` picks subjects by their place in the shard's index; `where`'s limit is the caller's.

    Raises:
        ShardError: absent, corrupt, or an image in it cannot be decoded as the spec says.
    """
    spec, index = store.spec, store.index(number)
    rows = store.read(number, [spec.label, *spec.features.names, "role", INGEST]).combine_chunks()
    labels, ingests = rows[spec.label].to_numpy(), rows[INGEST].to_numpy()
    narrow = [labels, np.repeat(subject_codes(index.digest), index.rows), role_codes(rows), ingests]
    wanted = np.repeat(select, index.rows) if select is not None else np.ones(len(labels), bool)
    if where is not None:
        wanted = wanted & where.mask(narrow[2], labels, ingests)
    if not wanted.all():
        rows, narrow = rows.filter(pa.array(wanted)), [values[wanted] for values in narrow]
    begin = 0
    for features in _features(rows, spec, number):
        part = [pa.array(values[begin : begin + len(features)]) for values in narrow]
        begin += len(features)
        yield pa.record_batch([features, *part], schema=schema_of(spec))


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


def _features(rows: pa.Table, spec: DatasetSpec, number: int) -> Iterator[pa.Array]:
    """One list per row; images are decoded, float32 columns put side by side."""
    if spec.features.encoded:
        yield from _decoded(rows, spec, number)
    elif spec.features.column:
        column = rows[spec.features.column].combine_chunks()
        yield column.cast(schema_of(spec).field("x").type)
    else:
        side_by_side = np.stack([rows[name].to_numpy() for name in spec.features.names], axis=1)
        flat = pa.array(np.ascontiguousarray(side_by_side).reshape(-1))
        kind = schema_of(spec).field("x").type
        yield pa.FixedSizeListArray.from_arrays(flat, type=kind)


def _decoded(rows: pa.Table, spec: DatasetSpec, number: int) -> Iterator[pa.Array]:
    images = rows[spec.features.names[0]].combine_chunks()
    try:
        yield from Decoder.of(spec.features).batches(images)
    except UndecodableError as error:
        raise ShardError(
            f"Of the rows wanted from {shard_name(number)}, {error}.",
            fix="set shape and resize of the dataset's spec back to what they were at ingest",
        ) from None
