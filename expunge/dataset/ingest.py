"""Ingest: a source on disk becomes shards, aside, in bounded memory.

    read -> normalise -> drop the suppressed -> place -> spill by shard
         -> one record_id, one row -> merge each touched shard with what is stored -> write

Memory holds one batch of the source, then a range of shards per core; never the dataset. Shards
that get no new row are neither read whole nor written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from expunge.dataset.categories import categories_of, grown
from expunge.dataset.disk import writing
from expunge.dataset.errors import HeldOutError, IngestError
from expunge.dataset.labels import cells, described
from expunge.dataset.merge import Merge, Merged
from expunge.dataset.normalise import normalise
from expunge.dataset.placement import ROLES, Placement, subject_codes
from expunge.dataset.pool import shard_pool
from expunge.dataset.progress import Progress, silent
from expunge.dataset.records import RecordCheck
from expunge.dataset.schema import INGEST, ROLE, stored_schema
from expunge.dataset.source import open_source
from expunge.dataset.spill import SHARD, Spill
from expunge.dataset.store import MANIFEST, Store, index_name, shard_name
from expunge.dataset.tally import Manifest, Tally
from expunge.specs import DatasetSpec

Suppressed = Callable[[Collection[str]], set[str]]
SPILL = ".spill"


@dataclass(frozen=True)
class StagedIngest:
    """What an ingest staged. Nothing is replaced until it is published."""

    rows_in: int
    """Rows of the source."""
    rows_added: int
    duplicates: int
    """Rows whose record_id the dataset already holds, for the same person; skipped."""
    suppressed: int
    """Rows of people who were erased; left out."""
    touched: tuple[int, ...]
    """Shards that were written; none when there is nothing new."""
    files: tuple[str, ...]
    """Staged files: shards, their indexes, the manifest."""
    rows_total: int
    shards: int
    """Shards that hold a file in the new version."""


def stage_ingest(
    spec: DatasetSpec,
    source: Path,
    *,
    mode: Literal["append", "replace"],
    current: Store | None,
    staging: Path,
    key: bytes,
    ingest: int,
    suppressed: Suppressed,
    on_progress: Progress = silent,
) -> StagedIngest:
    """Stage the next version of a dataset under `staging`, which is emptied first.

    `current` is the published version, if any: `append` adds to it, `replace` keeps only the
    roles of its subjects. `suppressed` says which of some subjects must not come back.

    Raises:
        IngestError: the source cannot be taken as it is; a subclass says in what way.
        StorageFullError: no room to stage.
    """
    if current is not None:
        _check_shards(spec, current)
    with writing(staging):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, mode=0o700)
        try:
            job = _Ingest(spec, source, mode, current, staging=staging, key=key, ingest=ingest)
            return job.run(suppressed, on_progress)
        finally:
            shutil.rmtree(staging / SPILL, ignore_errors=True)


def _check_shards(spec: DatasetSpec, current: Store) -> None:
    if current.manifest.shards != spec.shards:
        raise IngestError(
            f"data/{spec.name}.yaml: field shards: found {spec.shards}, allowed "
            f"{current.manifest.shards}: a subject's shard never changes.",
            fix=f"set shards back to {current.manifest.shards}, or begin a dataset of another name",
        )


class _Ingest:
    """One ingest under way."""

    def __init__(
        self,
        spec: DatasetSpec,
        source: Path,
        mode: Literal["append", "replace"],
        current: Store | None,
        *,
        staging: Path,
        key: bytes,
        ingest: int,
    ) -> None:
        self.spec, self.current, self.staging, self.ingest = spec, current, staging, ingest
        self.kept = current if mode == "append" else None
        stored = self.kept.manifest.extras if self.kept else ()
        self.source = open_source(spec, source, stored, append=self.kept is not None)
        self.extras = self.source.extras
        self.categories = (
            grown(self.kept.manifest.categories, spec) if self.kept else categories_of(spec)
        )
        self.schema = stored_schema(spec, self.extras)
        self.placement = Placement(key, shards=spec.shards, shares=spec.roles)
        self.key = key
        self.rows_in = self.rows_suppressed = 0

    def run(self, suppressed: Suppressed, on_progress: Progress) -> StagedIngest:
        fields = [f if f.name != ROLE else pa.field(ROLE, pa.int8()) for f in self.schema]
        schema = pa.schema([*fields, pa.field(SHARD, pa.int32(), nullable=False)])
        spill = Spill(self.staging / SPILL / "rows", schema, self.spec.shards)
        check = RecordCheck(self.staging / SPILL / "records", self.key)
        try:
            for origin, batch in self.source.batches():
                columns = normalise(batch, self.spec, self.extras, origin)
                placed, codes, people = self._place(columns, schema)
                check.add(placed.column(0), codes, self.rows_in + 1)
                self.rows_in += batch.num_rows
                spill.add(self._allowed(placed, suppressed(people)))
                on_progress("read", self.rows_in, self.source.rows)
            self._add_stored(check)
            check.judge()
        finally:
            spill.close()
            check.close()
        if not self.rows_in:
            raise IngestError("The source holds no rows.", fix="give a source with rows")
        return self._conclude(self._merge(spill, on_progress))

    def _place(
        self, columns: dict[str, pa.Array], schema: pa.Schema
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64], list[str]]:
        """Stored columns with shard and role, each row's subject code, and the subjects.

        A subject of the batch is hashed once, whatever its rows.
        """
        coded = columns[self.spec.subject_id].dictionary_encode()
        subject = coded.indices.to_numpy()
        people = coded.dictionary.to_pylist()
        places = self.placement.place(people)
        columns.setdefault(ROLE, pa.array(places.role[subject]))
        columns[INGEST] = pa.array(np.full(len(subject), self.ingest, np.int32))
        columns[SHARD] = pa.array(places.shard[subject])
        placed = pa.record_batch([columns[name] for name in schema.names], schema=schema)
        return placed, places.code[subject], people

    def _allowed(self, placed: pa.RecordBatch, banned: set[str]) -> pa.RecordBatch:
        """The rows without those of people who were erased."""
        if not banned:
            return placed
        subjects = placed.column(1)
        gone = pc.is_in(subjects, value_set=pa.array(sorted(banned), pa.string()))
        self.rows_suppressed += pc.sum(gone).as_py() or 0
        return placed.filter(pc.invert(gone))

    def _add_stored(self, check: RecordCheck) -> None:
        if self.kept is None:
            return
        for number in self.kept.numbers:
            index = self.kept.index(number)
            codes: npt.NDArray[np.int64] = np.repeat(subject_codes(index.digest), index.rows)
            records = self.kept.read(number, [self.spec.record_id])[self.spec.record_id]
            check.add_stored(records, codes)

    def _merge(self, spill: Spill, on_progress: Progress) -> list[Merged]:
        merge = Merge(self.spec, self.schema, self.placement, self.staging, self.kept, self.current)
        merged: list[Merged] = []
        with shard_pool() as pool:
            parts = pool.map(lambda part: merge.part(spill.read(part)), range(spill.parts))
            for done, found in enumerate(parts, 1):
                merged += found
                on_progress("write", done, spill.parts)
        return merged

    def _conclude(self, merged: list[Merged]) -> StagedIngest:
        """Counts, the manifest, and the least number of held-out subjects."""
        tally = self.kept.manifest.tally if self.kept else Tally.empty(cells(self.spec))
        for shard in merged:
            tally = tally + shard.gained
        written = [shard for shard in merged if shard.rows_added]
        self._check_held_out(tally)
        if not tally.total:
            raise IngestError(
                "No row of the source is left: all belong to people who were erased.",
                fix="give a source with other people's rows",
            )
        known = set(self.kept.numbers) if self.kept else set()
        names = [name(s.number) for s in written for name in (shard_name, index_name)]
        if written:
            manifest = Manifest(
                self.spec.name,
                self.spec.shards,
                self.ingest,
                self.extras,
                tally,
                self.categories,
                described(self.spec),
            )
            (self.staging / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            names.append(MANIFEST)
        return StagedIngest(
            rows_in=self.rows_in,
            rows_added=sum(shard.rows_added for shard in merged),
            duplicates=sum(shard.duplicates for shard in merged),
            suppressed=self.rows_suppressed,
            touched=tuple(shard.number for shard in written),
            files=tuple(sorted(names)),
            rows_total=tally.total,
            shards=len(known | {shard.number for shard in written}),
        )

    def _check_held_out(self, tally: Tally) -> None:
        found, allowed = int(tally.subjects[ROLES.index("E")]), self.spec.min_held_out_subjects
        if found < allowed:
            raise HeldOutError(
                f"Dataset {self.spec.name!r} would have {found} held-out subjects (role E), "
                f"fewer than {allowed}: too few to judge a model by.",
                fix="bring more subjects, raise roles.E, or lower min_held_out_subjects",
            )
