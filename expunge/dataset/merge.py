"""New rows of a range of shards, merged with what is stored, and written aside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from expunge.dataset.errors import RoleConflictError
from expunge.dataset.labels import cells
from expunge.dataset.placement import ROLES, Placement
from expunge.dataset.schema import ROLE
from expunge.dataset.spill import SHARD, by_shard
from expunge.dataset.store import Store, tally_of, write_shard
from expunge.dataset.tally import Tally
from expunge.specs import DatasetSpec

_COPIED = 256 << 20
"""A range of shards up to this size is copied into one piece, from which rows are taken faster."""


@dataclass(frozen=True)
class Merged:
    """What one shard gained."""

    number: int
    rows_added: int
    duplicates: int
    gained: Tally


@dataclass(frozen=True)
class Merge:
    """How new rows meet the stored ones."""

    spec: DatasetSpec
    schema: pa.Schema
    placement: Placement
    staging: Path
    kept: Store | None
    """Whose rows stay (append)."""
    current: Store | None
    """Whose subjects keep their roles."""

    def part(self, rows: pa.Table) -> list[Merged]:
        """Merge every shard that the rows belong to."""
        shards = rows[SHARD].to_numpy()
        rows = rows.drop_columns([SHARD])
        batches = (rows.combine_chunks() if rows.nbytes <= _COPIED else rows).to_batches()
        starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
        return [
            self._shard(number, _taken(batches, starts, at, rows.schema))
            for number, at in by_shard(shards)
        ]

    def _shard(self, number: int, new: pa.Table) -> Merged:
        new = self._with_roles(number, new)
        before = Tally.empty(cells(self.spec))
        duplicates = 0
        if self.kept is not None and self.kept.has(number):
            stored = self.kept.read(number, threads=False)
            before = tally_of(stored, self.kept.index(number), self.spec)
            name = self.spec.record_id
            fresh = pc.invert(pc.is_in(new[name], value_set=stored[name].combine_chunks()))
            duplicates = new.num_rows - (pc.sum(fresh).as_py() or 0)
            if duplicates == new.num_rows:
                return Merged(number, 0, duplicates, Tally.empty(cells(self.spec)))
            new = new.filter(fresh)
            both = [_fitted(stored, self.schema), new]
        else:
            both = [new]
        rows = pa.concat_tables(both)
        keys = [(self.spec.subject_id, "ascending"), (self.spec.record_id, "ascending")]
        rows = rows.take(pc.sort_indices(rows.select([key for key, _ in keys]), sort_keys=keys))
        if self.spec.split:
            self._check_roles(rows)
        after = write_shard(self.staging, number, rows, self.placement, self.spec)
        return Merged(number, new.num_rows, duplicates, after - before)

    def _with_roles(self, number: int, new: pa.Table) -> pa.Table:
        """Names in place of role numbers; by hash, a known subject keeps the role it has."""
        role = new[ROLE].to_numpy()
        if self.current is not None and self.current.has(number):
            coded = new[self.spec.subject_id].combine_chunks().dictionary_encode()
            index = self.current.index(number)
            found = index.find(self.placement.place(coded.dictionary.to_pylist()).digest)
            held = np.append(index.role, np.int8(-1))[found][coded.indices.to_numpy()]
            if self.spec.split and (moved := (held >= 0) & (held != role)).any():
                self._refuse_roles(len(np.unique(coded.indices.to_numpy()[moved])))
            role = np.where(held >= 0, held, role)
        named = pa.array(ROLES).take(pa.array(role))
        at = self.schema.get_field_index(ROLE)
        return new.set_column(at, self.schema.field(ROLE), named).cast(self.schema)

    def _check_roles(self, rows: pa.Table) -> None:
        pairs = rows.select([self.spec.subject_id, ROLE]).group_by(
            [self.spec.subject_id, ROLE], use_threads=False
        )
        subjects = pairs.aggregate([])[self.spec.subject_id]
        if extra := len(subjects) - len(subjects.unique()):
            self._refuse_roles(extra)

    def _refuse_roles(self, subjects: int) -> None:
        raise RoleConflictError(
            f"Column {self.spec.split!r} gives {subjects} subject(s) of one shard a second role.",
            fix="give all rows of a subject one role, the one that the dataset already has for it",
        )


def _taken(
    batches: list[pa.RecordBatch],
    starts: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    schema: pa.Schema,
) -> pa.Table:
    """The rows at ascending places, batch by batch: what is mapped and not asked for stays so."""
    cuts = np.searchsorted(at, starts)
    taken = [
        batch.take(pa.array(at[begin:end] - start))
        for batch, start, begin, end in zip(batches, starts, cuts, cuts[1:], strict=False)
        if end > begin
    ]
    return pa.Table.from_batches(taken, schema=schema)


def _fitted(stored: pa.Table, schema: pa.Schema) -> pa.Table:
    """A stored shard with the columns that came later, null."""
    columns = [
        stored[field.name]
        if field.name in stored.schema.names
        else pa.chunked_array([pa.nulls(stored.num_rows, field.type)])
        for field in schema
    ]
    return pa.table(columns, schema=schema)
