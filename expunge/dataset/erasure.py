"""Erasure: the shards that hold some subjects are rewritten aside, without their rows.

Other shards are not opened. The same version and the same subjects always give the same bytes,
and erasing in several steps ends in the same bytes as erasing at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from expunge.dataset.disk import writing
from expunge.dataset.holdings import Found, find_subjects
from expunge.dataset.placement import Placement
from expunge.dataset.pool import shard_pool
from expunge.dataset.progress import Progress, silent
from expunge.dataset.store import MANIFEST, Store, index_name, shard_name, tally_of, write_shard
from expunge.dataset.tally import Tally
from expunge.specs import DatasetSpec


@dataclass(frozen=True)
class _Rewrite:
    """How one shard is rewritten."""

    spec: DatasetSpec
    current: Store
    placement: Placement
    claimed: pa.Array
    staging: Path

    def shard(self, place: Found) -> Tally:
        """Write the shard without the claimed rows; what it lost."""
        rows = self.current.read(place.shard, threads=False)
        gone = pc.is_in(rows[self.spec.subject_id], value_set=self.claimed)
        kept = rows.filter(pc.invert(gone))
        left = write_shard(self.staging, place.shard, kept, self.placement, self.spec)
        return tally_of(rows, place.index, self.spec) - left


@dataclass(frozen=True)
class StagedErasure:
    """What an erasure staged. Nothing is replaced until it is published."""

    staging: Path
    touched: tuple[int, ...]
    """Numbers of the rewritten shards, ascending."""
    files: tuple[str, ...]
    """Staged files, the manifest among them; empty when no subject has a row."""
    rows_erased: int
    by_role: dict[str, int]
    """Erased rows of each role."""
    shards_total: int
    """Shards that hold a file."""


def stage_erasure(
    spec: DatasetSpec,
    current: Store,
    key: bytes,
    subject_ids: Collection[str],
    staging: Path,
    *,
    on_progress: Progress = silent,
) -> StagedErasure:
    """Stage the dataset without the subjects' rows, in every role, under `staging` (emptied first).

    Raises:
        ShardError: a shard to rewrite is absent or corrupt.
        StorageFullError: no room to stage.
    """
    placement = current.placement(key)
    before = after = current.manifest.tally
    claimed = pa.array(sorted(set(subject_ids)), pa.string())
    found = list(find_subjects(current, key, subject_ids))
    with writing(staging):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, mode=0o700)
        with shard_pool() as pool:
            job = _Rewrite(spec, current, placement, claimed, staging)
            for done, lost in enumerate(pool.map(job.shard, found), 1):
                after = after - lost
                on_progress("erase", done, len(found))
        if found:
            manifest = replace(current.manifest, tally=after)
            (staging / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    touched = tuple(place.shard for place in found)
    names = [name(number) for number in touched for name in (shard_name, index_name)]
    erased = before - after
    return StagedErasure(
        staging=staging,
        touched=touched,
        files=tuple(sorted([*names, MANIFEST])) if touched else (),
        rows_erased=erased.total,
        by_role=erased.by_role(),
        shards_total=len(current.numbers),
    )
