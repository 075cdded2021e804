"""The moment of erasure: one transaction turns a published dataset version into duties.

Version, erased targets, suppression list, and a settlement for each target in each governed
model: `pending` where the model saw some of the person's training rows, else `not_needed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, insert, select, update

from expunge.requests import batches, versions
from expunge.requests.chunks import chunked
from expunge.requests.errors import illegal
from expunge.requests.events import Draft, record
from expunge.requests.projection import complete_settled, project
from expunge.requests.schema import (
    dataset_versions,
    erased_training_rows,
    requests,
    settlements,
    targets,
)
from expunge.requests.values import Batch, DatasetVersion, Fence, ModelSight

if TYPE_CHECKING:
    from expunge.requests.store import Store


def record_erasure(
    store: Store,
    fence: Fence,
    batch_id: str,
    *,
    md5: str,
    commit: str,
    rows: int,
    shards: int,
    shards_rewritten: int,
    trained: Mapping[int, Mapping[int, int]],
    models: Mapping[str, ModelSight],
) -> DatasetVersion:
    """Record what a batch published; a second time returns what is recorded.

    `trained`: training rows (role T) of each target's person, by the ingest that brought them.
    """
    with store.write(fence) as connection:
        found = batches.fenced(connection, fence, batch_id)
        known = select(dataset_versions).where(dataset_versions.c.batch_id == batch_id)
        if row := connection.execute(known).one_or_none():
            return DatasetVersion(**row._mapping)
        newest = versions.current(connection, found.dataset)
        if found.state != "validated" or newest is None:
            state = found.state if newest else "without a dataset version"
            raise illegal("Batch", batch_id, state, "recording its erasure", ("validated",))
        now, ordinal = store.now(), newest.ordinal + 1
        fresh = DatasetVersion(
            found.dataset,
            ordinal,
            md5,
            commit,
            "erasure",
            newest.ingest,
            batch_id,
            rows,
            shards,
            now,
        )
        versions.add(connection, fresh, {"shards_rewritten": shards_rewritten})
        erased = _erased(connection, batch_id)
        seen = _seen(erased, trained)
        holders = [row for row in erased if row.disposition != "same_person"]
        _remember_training_rows(connection, fresh, [seen[row.id] for row in holders])
        people = {row.subject_ref: (row.key_id, row.id) for row in reversed(holders)}
        versions.suppress(connection, found.dataset, people, now)
        _owe(connection, seen, models)
        _end_targets(connection, found, erased, now)
        batches.set_state(connection, found, "published", now)
        return fresh


def _erased(connection: Connection, batch_id: str) -> Sequence[Row[Any]]:
    query = (
        select(targets, requests.c.subject_ref, requests.c.key_id)
        .join(requests, requests.c.id == targets.c.request_id)
        .where(targets.c.batch_id == batch_id, targets.c.state == "claimed")
        .order_by(targets.c.due_at, targets.c.id)
    )
    return connection.execute(query).all()


def _seen(
    erased: Sequence[Row[Any]], trained: Mapping[int, Mapping[int, int]]
) -> dict[int, Mapping[int, int]]:
    """Training rows by target; a further claim of a person shares those of the first."""
    first = {row.request_id: row.id for row in erased}
    return {row.id: trained.get(first.get(row.cites, row.id), {}) for row in erased}


def _remember_training_rows(
    connection: Connection, version: DatasetVersion, each: Sequence[Mapping[int, int]]
) -> None:
    total: Counter[int] = Counter()
    for by_ingest in each:
        total.update(by_ingest)
    rows = [
        {"dataset": version.dataset, "ordinal": version.ordinal, "ingest": ingest, "rows": count}
        for ingest, count in sorted(total.items())
        if count > 0
    ]
    if rows:
        connection.execute(insert(erased_training_rows), rows)


def _owe(
    connection: Connection,
    seen: Mapping[int, Mapping[int, int]],
    models: Mapping[str, ModelSight],
) -> None:
    owed = [
        {"target_id": target, "model": model, "state": _duty(by_ingest, sight)}
        for target, by_ingest in seen.items()
        for model, sight in sorted(models.items())
    ]
    for chunk in chunked(owed):
        connection.execute(insert(settlements), chunk)


def _duty(by_ingest: Mapping[int, int], sight: ModelSight) -> str:
    seen = sight.ingest_seen or 0
    held = any(ingest <= seen and rows > 0 for ingest, rows in by_ingest.items())
    return "pending" if held else "not_needed"


def _end_targets(
    connection: Connection, found: Batch, erased: Sequence[Row[Any]], now: datetime
) -> None:
    ids = [row.id for row in erased]
    for chunk in chunked(ids):
        change = update(targets).where(targets.c.id.in_(chunk))
        connection.execute(change.values(state="erased_model_pending"))
    done = set(complete_settled(connection, ids))
    project(connection, [row.request_id for row in erased])
    drafts = []
    for row in erased:
        told = {"rows": row.rows}
        drafts.append(Draft("erased", row.request_id, found.id, found.dataset, None, told))
        if row.id in done:
            drafts.append(Draft("completed", row.request_id, found.id, found.dataset))
    record(connection, now, drafts)
