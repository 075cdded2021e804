"""Facts about a staged erasure, as numbers only: what the suite of `expectations` judges.

A0 is the dataset as it stands, B0 the rows of the claimed subjects in it, A1 the dataset as
staged. Both sides are read again from the files; nothing is taken over from the rewrite but its
folder. Shards that were not staged stay as they are, so that what holds for the touched ones
holds for the whole.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.dataset.audit import Audit, ShardFacts
from expunge.dataset.erasure import StagedErasure
from expunge.dataset.errors import ShardError
from expunge.dataset.placement import ROLES
from expunge.dataset.pool import shard_pool
from expunge.dataset.rowhash import RowHash
from expunge.dataset.store import Store
from expunge.dataset.tally import Tally
from expunge.specs import DatasetSpec


@dataclass(frozen=True)
class Facts:
    """Aggregates of one staged erasure; no subject, no record, no value of a row."""

    rows_before: int
    rows_erased: int
    rows_after: int
    """A1: the rows of all shards, as counted in the staged files."""
    rows_expected: int
    """A0 − B0."""
    checksum_after: str
    """Order-free keyed sum of the row hashes of the touched shards, staged (hex)."""
    checksum_expected: str
    """The same of A0 minus that of B0."""
    touched_shards: int
    unstaged_shards: int
    """Shards that hold claimed rows and were not rewritten."""
    needless_shards: int
    """Shards that were rewritten and hold no claimed row."""
    unreadable_shards: int
    claimed_rows_left: int
    records_in_both: int
    others_rows_lost: int
    """Rows of other people that A1 does not hold as they were."""
    rows_appeared: int
    """Rows of A1 that A0 does not hold."""
    duplicate_records: int
    misplaced_rows: int
    unsorted_rows: int
    schema_changes: int
    nulls: int
    non_finite: int
    labels_out_of_range: int
    stale_indexes: int
    stale_manifest: int
    labels_before: int
    labels_lost: int
    """Labels (bins of real ones) that had rows, in training or at all, and have none now."""
    label_drift: float
    """Total variation distance of the label distributions before and after, 0 to 1.

    Of real labels, that of their bins."""
    rows_by_role_before: dict[str, int]
    rows_by_role: dict[str, int]

    def columns(self) -> dict[str, int | float | str]:
        """One flat row: what the suite reads."""
        flat: dict[str, Any] = asdict(self)
        by_role = flat.pop("rows_by_role")
        flat.pop("rows_by_role_before")
        return flat | {f"rows_{role}": rows for role, rows in by_role.items()}


def collect_facts(
    spec: DatasetSpec,
    current: Store,
    staged: StagedErasure,
    key: bytes,
    subject_ids: Collection[str],
) -> Facts:
    """Read the touched shards of both sides and compare them.

    Raises:
        ShardError: a shard of `current` is absent or corrupt (of the staged ones it is a fact).
    """
    claimed = pa.array(sorted(set(subject_ids)), pa.string())
    rewritten = Store(staged.staging, spec)
    places = current.placement(key).place(claimed.to_pylist())
    possible = {number for number in set(places.shard.tolist()) if current.has(number)}
    numbers = sorted(possible | set(staged.touched) | set(rewritten.numbers))
    hashing = RowHash.of(key, "facts")
    audit = Audit(spec, current, rewritten, current.placement(key), claimed, hashing)
    with shard_pool() as pool:
        shards = list(pool.map(audit.shard, numbers))
    return _sum_up(spec, current, rewritten, shards)


def _sum_up(spec: DatasetSpec, current: Store, rewritten: Store, shards: list[ShardFacts]) -> Facts:
    before = current.manifest.tally
    after = before
    for shard in shards:
        after = after - (shard.tally_before - shard.tally_after)

    def total(name: str) -> int:
        return sum(int(getattr(shard, name)) for shard in shards)

    def inside(name: str) -> int:
        return sum(int(getattr(shard.contents, name)) for shard in shards)

    def modulo(value: int) -> str:
        return f"{value % 2**64:016x}"

    had, have = (_present(tally) for tally in (before, after))
    return Facts(
        rows_before=before.total,
        rows_erased=total("rows_erased"),
        rows_after=before.total - total("rows_before") + total("rows_after"),
        rows_expected=before.total - total("rows_erased"),
        checksum_after=modulo(total("checksum_after")),
        checksum_expected=modulo(total("checksum_before") - total("checksum_erased")),
        touched_shards=total("staged"),
        unstaged_shards=sum(bool(s.rows_erased) and not s.staged for s in shards),
        needless_shards=sum(s.staged and not s.rows_erased for s in shards),
        unreadable_shards=total("unreadable"),
        claimed_rows_left=inside("claimed_left"),
        records_in_both=total("records_in_both"),
        others_rows_lost=total("lost"),
        rows_appeared=total("appeared"),
        duplicate_records=inside("duplicates"),
        misplaced_rows=inside("misplaced"),
        unsorted_rows=inside("unsorted"),
        schema_changes=inside("schema_changed"),
        nulls=inside("nulls"),
        non_finite=inside("non_finite"),
        labels_out_of_range=inside("labels_outside"),
        stale_indexes=total("index_stale"),
        stale_manifest=int(
            any(s.staged for s in shards) and not _counted(current, rewritten, after)
        ),
        labels_before=int(had.any(axis=0).sum()),
        labels_lost=int((had & ~have).any(axis=0).sum()),
        label_drift=_drift(before, after),
        rows_by_role_before=before.by_role(),
        rows_by_role=after.by_role(),
    )


def _present(tally: Tally) -> npt.NDArray[np.bool_]:
    """[2, cells]: labels that training rows have, and that any rows have."""
    return np.stack([tally.rows[ROLES.index("T")] > 0, tally.rows.sum(axis=0) > 0])


def _drift(before: Tally, after: Tally) -> float:
    shares = [tally.rows.sum(axis=0) / max(1, tally.total) for tally in (before, after)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2) if after.total else 1.0


def _counted(current: Store, rewritten: Store, after: Tally) -> bool:
    try:
        found, before = rewritten.manifest, current.manifest
    except ShardError:
        return False
    kept = ("shards", "ingest", "extras", "categories", "values")
    same = all(getattr(found, name) == getattr(before, name) for name in kept)
    return same and found.tally.same(after)
