"""One shard before and after an erasure, compared row for row.

Works on what the files hold, whatever wrote them: a staged shard that cannot be read, has other
columns or other values is described, not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expunge.dataset.errors import ShardError
from expunge.dataset.labels import cell_of, cells
from expunge.dataset.placement import ROLES, Placement
from expunge.dataset.rowhash import Hashes, RowHash, checksum
from expunge.dataset.schema import ROLE, base_schema
from expunge.dataset.store import Store, build_index, role_codes
from expunge.dataset.tally import Tally
from expunge.specs import DatasetSpec


@dataclass(frozen=True)
class Contents:
    """Facts of the staged side alone."""

    schema_changed: bool
    claimed_left: int = 0
    duplicates: int = 0
    misplaced: int = 0
    unsorted: int = 0
    nulls: int = 0
    non_finite: int = 0
    labels_outside: int = 0


@dataclass(frozen=True)
class ShardFacts:
    """Facts of one shard: A0, B0 and A1 restricted to it."""

    contents: Contents
    staged: bool
    unreadable: bool
    index_stale: bool
    rows_before: int
    rows_erased: int
    rows_after: int
    checksum_before: int
    checksum_erased: int
    checksum_after: int
    records_in_both: int
    lost: int
    appeared: int
    tally_before: Tally
    tally_after: Tally


@dataclass(frozen=True)
class Audit:
    """Two versions, and whose rows should be gone."""

    spec: DatasetSpec
    current: Store
    rewritten: Store
    placement: Placement
    claimed: pa.Array = field(repr=False)
    hashing: RowHash = field(repr=False)

    def shard(self, number: int) -> ShardFacts:
        """Compare one shard; one that was not staged is compared with itself."""
        before = self._before(number)
        theirs = np.asarray(pc.is_in(before[self.spec.subject_id], value_set=self.claimed))
        after, unreadable = self._after(number, before)
        staged = self.rewritten.has(number)
        old, new = self.hashing.rows(before), self.hashing.rows(after)
        lost, appeared = _difference(old[~theirs], new)
        erased = before.filter(pa.array(theirs))
        stale = staged and not unreadable and not self._index_fits(number, after)
        return ShardFacts(
            contents=self._contents(before.schema, after, number),
            staged=staged,
            unreadable=unreadable,
            index_stale=stale,
            rows_before=len(old),
            rows_erased=erased.num_rows,
            rows_after=len(new),
            checksum_before=checksum(old),
            checksum_erased=checksum(old[theirs]),
            checksum_after=checksum(new),
            records_in_both=_common(after, erased, self.spec.record_id),
            lost=lost,
            appeared=appeared,
            tally_before=_tally(self.spec, before),
            tally_after=_tally(self.spec, after),
        )

    def _before(self, number: int) -> pa.Table:
        if self.current.has(number):
            return self.current.read(number, threads=False)
        return base_schema(self.spec).empty_table()

    def _after(self, number: int, before: pa.Table) -> tuple[pa.Table, bool]:
        """The staged shard, and whether it is there but cannot be read."""
        if not self.rewritten.has(number):
            return before, False
        try:
            return self.rewritten.read(number, threads=False), False
        except ShardError:
            return before.schema.empty_table(), True

    def _contents(self, schema: pa.Schema, rows: pa.Table, number: int) -> Contents:
        required = base_schema(self.spec)
        changed = not rows.schema.equals(schema)
        if any(name not in rows.schema.names for name in required.names):
            return Contents(schema_changed=True)
        typed = rows.select(required.names)
        nulls = sum(column.null_count for column in typed.columns)
        if not typed.schema.equals(required) or nulls:
            return Contents(schema_changed=changed, nulls=nulls)
        subjects = rows[self.spec.subject_id].combine_chunks()
        records = rows[self.spec.record_id].combine_chunks()
        labels = rows[self.spec.label].to_numpy()
        return Contents(
            schema_changed=changed,
            claimed_left=pc.sum(pc.is_in(subjects, value_set=self.claimed)).as_py() or 0,
            duplicates=len(records) - pc.count_distinct(records).as_py(),
            misplaced=_misplaced(subjects, number, self.placement),
            unsorted=_unsorted(subjects, records),
            non_finite=sum(_non_finite(rows[name]) for name in self.spec.features.names),
            labels_outside=int((cell_of(labels, self.spec) < 0).sum()),
        )

    def _index_fits(self, number: int, rows: pa.Table) -> bool:
        if not {self.spec.subject_id, ROLE} <= set(rows.schema.names):
            return False
        try:
            found = self.rewritten.index(number)
        except (ShardError, KeyError):
            return False
        meant = build_index(rows, self.placement, self.spec)
        names = ("digest", "offset", "rows", "role")
        return all(np.array_equal(getattr(found, name), getattr(meant, name)) for name in names)


def _difference(old: Hashes, new: Hashes) -> tuple[int, int]:
    """Rows only in `old` and rows only in `new`, with multiplicity."""
    _, which = np.unique(np.concatenate([old, new]), return_inverse=True)
    size = int(which.max()) + 1 if which.size else 0
    before = np.bincount(which[: len(old)], minlength=size)
    surplus = np.bincount(which[len(old) :], minlength=size) - before
    return int(-surplus[surplus < 0].sum()), int(surplus[surplus > 0].sum())


def _common(rows: pa.Table, others: pa.Table, column: str) -> int:
    if column not in rows.schema.names or not others.num_rows:
        return 0
    among = others[column].combine_chunks()
    return pc.sum(pc.is_in(rows[column].cast(among.type), value_set=among)).as_py() or 0


def _misplaced(subjects: pa.Array, number: int, placement: Placement) -> int:
    counted = subjects.value_counts()
    if not len(counted):
        return 0
    shards = placement.place(counted.field("values").to_pylist()).shard
    return int(counted.field("counts").to_numpy()[shards != number].sum())


def _unsorted(subjects: pa.Array, records: pa.Array) -> int:
    """Rows that do not follow the one before them."""
    if len(subjects) < 2:
        return 0
    here, there = subjects.slice(1), subjects.slice(0, len(subjects) - 1)
    within = pc.greater_equal(records.slice(0, len(records) - 1), records.slice(1))
    wrong = pc.or_(pc.less(here, there), pc.and_(pc.equal(here, there), within))
    return pc.sum(wrong).as_py() or 0


def _non_finite(column: pa.ChunkedArray) -> int:
    """Values that are NaN or infinite; the pixels of encoded images never are."""
    if pa.types.is_large_binary(column.type):
        return 0
    count = 0
    for chunk in column.chunks:
        flat = chunk.flatten() if pa.types.is_fixed_size_list(chunk.type) else chunk
        count += int((~np.isfinite(flat.to_numpy(zero_copy_only=False))).sum())
    return count


def _tally(spec: DatasetSpec, rows: pa.Table) -> Tally:
    """Counts of a shard from its rows alone; rows that fit nowhere are not counted."""
    names = {spec.label, spec.subject_id, ROLE}
    if not names <= set(rows.schema.names) or not rows.num_rows:
        return Tally.empty(cells(spec))
    roles = role_codes(rows)
    cell = cell_of(rows[spec.label].to_numpy(), spec)
    fits = (roles >= 0) & (cell >= 0)
    pairs = pa.table({"subject": rows[spec.subject_id], "role": roles}).group_by(
        ["subject", "role"], use_threads=False
    )
    subjects = np.bincount(
        np.maximum(pairs.aggregate([])["role"].to_numpy(), 0), minlength=len(ROLES)
    )
    counted = Tally.count(roles[fits], cell[fits], np.zeros(0, np.int8), cells(spec))
    return Tally(counted.rows, subjects.astype(np.int64))
