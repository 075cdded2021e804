"""Dataset versions, and the list of people who must not come back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, insert, select

from expunge.keys import ReferenceKey
from expunge.requests.chunks import chunked
from expunge.requests.errors import LedgerConflictError
from expunge.requests.events import Draft, record
from expunge.requests.schema import dataset_versions, suppressions
from expunge.requests.values import DatasetVersion, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store


def versions(connection: Connection, dataset: str) -> tuple[DatasetVersion, ...]:
    """Every version of a dataset, oldest first."""
    query = select(dataset_versions).where(dataset_versions.c.dataset == dataset)
    rows = connection.execute(query.order_by(dataset_versions.c.ordinal))
    return tuple(_version(row) for row in rows)


def current(connection: Connection, dataset: str) -> DatasetVersion | None:
    """The newest version, or None before the first ingest."""
    query = select(dataset_versions).where(dataset_versions.c.dataset == dataset)
    row = connection.execute(query.order_by(dataset_versions.c.ordinal.desc()).limit(1)).first()
    return None if row is None else _version(row)


def record_ingest(
    store: Store,
    fence: Fence,
    *,
    md5: str,
    commit: str,
    ingest: int,
    rows: int,
    shards: int,
) -> DatasetVersion:
    """Record what an ingest published; the same md5 and commit again changes nothing."""
    dataset = fence.dataset
    with store.write(fence) as connection:
        known = [each for each in versions(connection, dataset) if each.commit == commit]
        if same := next((each for each in known if each.md5 == md5), None):
            return same
        newest = current(connection, dataset)
        if newest is not None and ingest <= newest.ingest:
            raise LedgerConflictError(
                f"Dataset {dataset!r} has had ingest {newest.ingest}; {ingest} is not a new one.",
                fix=f"number the ingest {newest.ingest + 1}",
            )
        ordinal = 1 if newest is None else newest.ordinal + 1
        fresh = DatasetVersion(
            dataset, ordinal, md5, commit, "ingest", ingest, None, rows, shards, store.now()
        )
        add(connection, fresh, {})
        return fresh


def add(connection: Connection, version: DatasetVersion, payload: Mapping[str, Any]) -> None:
    """Insert a version with its event."""
    names = DatasetVersion.__dataclass_fields__
    connection.execute(
        insert(dataset_versions).values(**{name: getattr(version, name) for name in names})
    )
    told = {
        "ordinal": version.ordinal,
        "md5": version.md5,
        "commit": version.commit,
        "change": version.kind,
        "ingest": version.ingest,
        "rows": version.rows,
        "shards": version.shards,
        **payload,
    }
    drafts = [Draft("dataset_version", None, version.batch_id, version.dataset, None, told)]
    record(connection, version.created_at, drafts)


@dataclass(frozen=True)
class Suppressed:
    """The erased people of one dataset, known by keyed references only."""

    store: Store
    dataset: str
    references: tuple[ReferenceKey, ...]

    def __len__(self) -> int:
        """How many people are on the list."""
        with self.store.read() as connection:
            return count(connection, self.dataset)

    def contains(self, subject_ids: Iterable[str]) -> set[str]:
        """Those of `subject_ids` that are on the list, under whichever key they were erased."""
        if not self.references:
            return set()
        found: set[str] = set()
        for chunk in chunked(subject_ids):
            found |= self._among(chunk)
        return found

    def _among(self, subject_ids: Collection[str]) -> set[str]:
        by_ref = {key.ref(each): each for key in self.references for each in subject_ids}
        found: set[str] = set()
        with self.store.read() as connection:
            for refs in chunked(by_ref):
                query = select(suppressions.c.subject_ref).where(
                    suppressions.c.dataset == self.dataset, suppressions.c.subject_ref.in_(refs)
                )
                found |= {by_ref[ref] for ref in connection.execute(query).scalars()}
        return found


def suppressed(store: Store, dataset: str) -> Suppressed:
    """The dataset's list; keys that no entry was made under are not tried."""
    query = select(suppressions.c.key_id).where(suppressions.c.dataset == dataset).distinct()
    with store.read() as connection:
        used = set(connection.execute(query).scalars())
    keys = tuple(key for key in store.keys.references() if key.key_id in used)
    if missing := used - {key.key_id for key in keys}:
        raise LedgerConflictError(
            f"Dataset {dataset!r} has erased people under {len(missing)} reference key(s) that "
            f"are not in the key folder: {', '.join(sorted(missing))}.",
            fix="restore the key folder from its backup: without it they could come back",
        )
    return Suppressed(store, dataset, keys)


def count(connection: Connection, dataset: str) -> int:
    """People on the dataset's suppression list."""
    query = select(func.count()).select_from(suppressions)
    return connection.execute(query.where(suppressions.c.dataset == dataset)).scalar_one()


def suppress(
    connection: Connection, dataset: str, people: Mapping[str, tuple[str, int]], at: datetime
) -> None:
    """Add people: their ref, with key id and target; who is there stays with the first target."""
    added = 0
    for refs in chunked(people):
        known = set(
            connection.execute(
                select(suppressions.c.subject_ref).where(
                    suppressions.c.dataset == dataset, suppressions.c.subject_ref.in_(refs)
                )
            ).scalars()
        )
        rows = [
            {
                "dataset": dataset,
                "subject_ref": ref,
                "key_id": people[ref][0],
                "target_id": people[ref][1],
            }
            for ref in refs
            if ref not in known
        ]
        if rows:
            connection.execute(insert(suppressions), rows)
        added += len(rows)
    record(connection, at, [Draft("suppressed", dataset=dataset, payload={"people": added})])


def _version(row: Row[Any]) -> DatasetVersion:
    return DatasetVersion(**row._mapping)
