"""Batches: claimed in order of deadline, resumed after a crash, concluded station by station."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from expunge.requests import vault
from expunge.requests.chunks import chunked
from expunge.requests.errors import LedgerConflictError, illegal, unknown
from expunge.requests.events import Draft, record
from expunge.requests.projection import project
from expunge.requests.schema import batch_models, batches, events, requests, settlements, targets
from expunge.requests.values import BEFORE_END, Batch, BatchState, Claim, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store

BEFORE_PUBLISH: tuple[BatchState, ...] = ("claimed", "staged", "validated")


def open_batch(connection: Connection, dataset: str) -> Batch | None:
    """The dataset's unfinished batch: there is one at most."""
    query = select(batches).where(batches.c.dataset == dataset, batches.c.state.in_(BEFORE_END))
    row = connection.execute(query).one_or_none()
    return None if row is None else _batch(connection, row)


def batch(connection: Connection, batch_id: str) -> Batch:
    """One batch."""
    row = connection.execute(select(batches).where(batches.c.id == batch_id)).one_or_none()
    if row is None:
        raise unknown("batch", batch_id)
    return _batch(connection, row)


def all_batches(connection: Connection, dataset: str | None) -> tuple[Batch, ...]:
    """Every batch, oldest first; of one dataset where given."""
    query = select(batches).order_by(batches.c.created_at, batches.c.id)
    if dataset is not None:
        query = query.where(batches.c.dataset == dataset)
    return tuple(_batch(connection, row) for row in connection.execute(query).all())


def fenced(connection: Connection, fence: Fence, batch_id: str) -> Batch:
    """The batch, if it belongs to the fence's dataset."""
    found = batch(connection, batch_id)
    require_dataset(fence, found.dataset, f"batch {batch_id}")
    return found


def require_dataset(fence: Fence, dataset: str, what: str) -> None:
    """A lock covers its own dataset only."""
    if fence.dataset != dataset:
        raise LedgerConflictError(
            f"The lock on dataset {fence.dataset!r} does not cover {what} of {dataset!r}.",
            fix=f"take the lock on {dataset!r}",
        )


def claim(
    store: Store, fence: Fence, champions: Mapping[str, str | None], limit: int
) -> Batch | None:
    """Resume the open batch, or make one of the pending targets that are due first."""
    with store.write(fence) as connection:
        if found := open_batch(connection, fence.dataset):
            return found
        pending = (
            select(targets.c.id, targets.c.request_id)
            .where(targets.c.dataset == fence.dataset, targets.c.state == "pending")
            .order_by(targets.c.due_at, targets.c.id)
            .limit(limit)
        )
        taken = dict(connection.execute(pending).tuples().all())
        if not taken:
            return None
        return opened(connection, store, fence, champions, taken)


def opened(
    connection: Connection,
    store: Store,
    fence: Fence,
    champions: Mapping[str, str | None],
    taken: Mapping[int, str],
    *,
    batch_id: str | None = None,
) -> Batch:
    """Put the targets of `taken`, with their requests, into a batch that is opened for them."""
    now = store.now()
    batch_id = _new_batch(connection, fence.dataset, champions, now, batch_id)
    _move(connection, taken, state="claimed", batch_id=batch_id, reason=None)
    vault.rewrap(connection, store.keys, taken, batch_id)
    project(connection, set(taken.values()))
    drafts = [Draft("batch_opened", None, batch_id, fence.dataset, None, {"targets": len(taken)})]
    drafts += [Draft("claimed", each, batch_id, fence.dataset) for each in taken.values()]
    record(connection, now, drafts)
    return batch(connection, batch_id)


def claims(connection: Connection, store: Store, batch_id: str) -> tuple[Claim, ...]:
    """Targets of the batch that are erased or to be, with their subjects, due first."""
    batch(connection, batch_id)
    rows = connection.execute(
        select(targets, requests.c.subject_ref)
        .join(requests, requests.c.id == targets.c.request_id)
        .where(
            targets.c.batch_id == batch_id,
            targets.c.state.in_(("claimed", "erased_model_pending", "completed")),
        )
        .order_by(targets.c.due_at, targets.c.id)
    ).all()
    subjects = vault.reveal(connection, store.keys, [row.id for row in rows])
    return tuple(
        Claim(
            target_id=row.id,
            request_id=row.request_id,
            subject_id=subjects[row.id],
            subject_ref=row.subject_ref,
            confirmed=row.confirmed,
            disposition=row.disposition,
        )
        for row in rows
        if row.id in subjects
    )


def give_up(
    store: Store, fence: Fence, batch_id: str, reason: str, state: Literal["failed", "postponed"]
) -> None:
    """End a batch that published nothing; its targets are pending again. Idempotent."""
    with store.write(fence) as connection:
        found = fenced(connection, fence, batch_id)
        if found.state == state:
            return
        if found.state not in BEFORE_PUBLISH:
            raise illegal("Batch", batch_id, found.state, f"becoming {state}", BEFORE_PUBLISH)
        freed = release_claims(connection, store, batch_id, None)
        connection.execute(
            update(batches).where(batches.c.id == batch_id).values(state=state, reason=reason)
        )
        drafts = [Draft(f"batch_{state}", None, batch_id, found.dataset, None, {"reason": reason})]
        drafts += [Draft("pending_again", each, batch_id, found.dataset) for each in freed]
        record(connection, store.now(), drafts)


def release_claims(
    connection: Connection, store: Store, batch_id: str, target_ids: Collection[int] | None
) -> list[str]:
    """Take claimed targets (all, or the given) out of the batch; returns their requests."""
    query = select(targets.c.id, targets.c.request_id).where(
        targets.c.batch_id == batch_id, targets.c.state == "claimed"
    )
    claimed = dict(connection.execute(query.order_by(targets.c.id)).tuples().all())
    freed = {
        target: request
        for target, request in claimed.items()
        if target_ids is None or target in target_ids
    }
    vault.rewrap(connection, store.keys, freed, vault.intake_key(store.now()))
    cleared = {"batch_id": None, "disposition": None, "cites": None, "rows": 0}
    _move(connection, freed, state="pending", **cleared)
    project(connection, set(freed.values()))
    return list(freed.values())


def request_states(connection: Connection, batch_id: str) -> dict[str, int]:
    """How many of the requests that the batch ever claimed are in which state now."""
    ever = select(events.c.request_id).where(
        events.c.batch_id == batch_id, events.c.kind == "claimed"
    )
    query = select(requests.c.state, func.count()).where(requests.c.id.in_(ever))
    return dict(connection.execute(query.group_by(requests.c.state)).tuples().all())


def finish_if_decided(connection: Connection, batch_id: str, now: datetime) -> bool:
    """Finish a published batch in which no settlement is pending any more."""
    found = batch(connection, batch_id)
    if found.state != "published" or _pending(connection, batch_id):
        return found.state == "finished"
    set_state(connection, found, "finished", now)
    return True


def finish(store: Store, fence: Fence, batch_id: str) -> None:
    """End a batch that has nothing left to do: all decided, or nothing left to erase."""
    with store.write(fence) as connection:
        require_finishable(connection, fenced(connection, fence, batch_id))
        found = batch(connection, batch_id)
        if found.state != "finished":
            set_state(connection, found, "finished", store.now())


def require_finishable(connection: Connection, found: Batch) -> None:
    """Raise TransitionError while the batch holds claims or undecided settlements."""
    claimed = connection.execute(
        select(func.count())
        .select_from(targets)
        .where(targets.c.batch_id == found.id, targets.c.state == "claimed")
    ).scalar_one()
    if found.state in ("failed", "postponed") or claimed or _pending(connection, found.id):
        allowed = ("without claimed targets and undecided models",)
        raise illegal("Batch", found.id, found.state, "finish", allowed)


def set_state(connection: Connection, found: Batch, state: BatchState, now: datetime) -> None:
    """Write the batch's state, with its event."""
    connection.execute(update(batches).where(batches.c.id == found.id).values(state=state))
    record(connection, now, [Draft(f"batch_{state}", None, found.id, found.dataset)])


def _pending(connection: Connection, batch_id: str) -> int:
    query = select(func.count()).select_from(settlements.join(targets))
    undecided = query.where(targets.c.batch_id == batch_id, settlements.c.state == "pending")
    return connection.execute(undecided).scalar_one()


def _move(connection: Connection, target_ids: Collection[int], **values: Any) -> None:
    for chunk in chunked(target_ids):
        connection.execute(update(targets).where(targets.c.id.in_(chunk)).values(**values))


def _new_batch(
    connection: Connection,
    dataset: str,
    champions: Mapping[str, str | None],
    now: datetime,
    batch_id: str | None,
) -> str:
    while batch_id is None:
        drawn = f"b-{now:%Y%m%d}-{secrets.token_hex(3)}"
        batch_id = None if exists(connection, drawn) else drawn
    values = {"id": batch_id, "dataset": dataset, "state": "claimed", "created_at": now}
    connection.execute(insert(batches).values(**values))
    if champions:
        rows = [
            {"batch_id": batch_id, "model": model, "champion": version}
            for model, version in sorted(champions.items())
        ]
        connection.execute(insert(batch_models), rows)
    return batch_id


def exists(connection: Connection, batch_id: str) -> bool:
    """Whether the ledger has a batch of this id."""
    return (
        connection.execute(select(batches.c.id).where(batches.c.id == batch_id)).first() is not None
    )


def _batch(connection: Connection, row: Row[Any]) -> Batch:
    query = select(batch_models.c.model, batch_models.c.champion)
    champions = connection.execute(query.where(batch_models.c.batch_id == row.id)).tuples().all()
    return Batch(row.id, row.dataset, row.state, row.created_at, dict(champions), row.reason)
