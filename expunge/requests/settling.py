"""Debts of models: what a gate's decision does to the settlements.

A batch whose model is `held` leaves a debt: the rows stay in the model's next forget split, and
the next batch that is promoted pays it, as does a fresh champion trained on a clean version.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, insert, select, update

from expunge.requests import approvals, batches, models
from expunge.requests.chunks import chunked
from expunge.requests.errors import illegal
from expunge.requests.events import Draft, record
from expunge.requests.projection import complete_settled, project
from expunge.requests.schema import batch_models, dataset_versions, settlements, targets
from expunge.requests.values import Decision, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store

_OWED = ("pending", "held")


def debts(connection: Connection, model: str) -> tuple[str, ...]:
    """Batches whose rows the model still holds, the oldest erasure first."""
    query = _owed(model).with_only_columns(targets.c.batch_id, dataset_versions.c.ordinal)
    rows = connection.execute(query.distinct().order_by(dataset_versions.c.ordinal))
    return tuple(row.batch_id for row in rows)


def settle(
    store: Store,
    fence: Fence,
    batch_id: str,
    model: str,
    *,
    decision: Decision,
    version: str | None,
) -> None:
    """Record the gate's decision on a model for a batch; the same again changes nothing.

    `promoted` and `retrained` need the `version`, and pay older debts of the model as well.
    """
    with store.write(fence) as connection:
        found = batches.fenced(connection, fence, batch_id)
        before = _decision(connection, batch_id, model)
        if before == (decision, version):
            return
        promoted_before = before is not None and before[0] in ("promoted", "retrained")
        if found.state not in ("published", "finished") or promoted_before:
            state = before[0] if promoted_before and before else found.state
            raise illegal("Batch", batch_id, str(state), f"settling {model}", ("published",))
        if decision != "held" and version is None:
            raise illegal("Model", model, "without a version", decision, ("given one",))
        now = store.now()
        _decide(connection, batch_id, model, decision, version)
        approvals.void(connection, found, model, now)
        told = {"decision": decision, "version": version}
        record(connection, now, [Draft("decided", None, batch_id, found.dataset, model, told)])
        if decision == "held":
            _hold(connection, batch_id, model)
        else:
            ordinal = select(dataset_versions.c.ordinal).where(
                dataset_versions.c.batch_id == batch_id
            )
            paid = _owed(model).where(dataset_versions.c.ordinal <= ordinal.scalar_subquery())
            _pay(connection, connection.execute(paid).all(), model, str(version), now)
        batches.finish_if_decided(connection, batch_id, now)


def settle_by_training(store: Store, fence: Fence, model: str, version: str) -> None:
    """A champion trained anew pays every debt that lies at or before its clean version."""
    with store.write(fence) as connection:
        fresh = models.require(connection, model, version)
        batches.require_dataset(fence, fresh.dataset, f"model {model}")
        paid = _owed(model).where(dataset_versions.c.ordinal <= fresh.clean_as_of)
        rows = connection.execute(paid).all()
        now = store.now()
        for batch_id in sorted({row.batch_id for row in rows}):
            _decide(connection, batch_id, model, "retrained", version)
            approvals.void(connection, batches.batch(connection, batch_id), model, now)
            told = {"decision": "retrained", "version": version}
            record(connection, now, [Draft("decided", None, batch_id, fence.dataset, model, told)])
        _pay(connection, rows, model, version, now)
        for batch_id in sorted({row.batch_id for row in rows}):
            batches.finish_if_decided(connection, batch_id, now)


def _owed(model: str) -> Any:
    return (
        select(targets)
        .join(settlements, settlements.c.target_id == targets.c.id)
        .join(dataset_versions, dataset_versions.c.batch_id == targets.c.batch_id)
        .where(settlements.c.model == model, settlements.c.state.in_(_OWED))
    )


def _hold(connection: Connection, batch_id: str, model: str) -> None:
    own = select(targets.c.id).where(targets.c.batch_id == batch_id)
    connection.execute(
        update(settlements)
        .where(
            settlements.c.target_id.in_(own),
            settlements.c.model == model,
            settlements.c.state == "pending",
        )
        .values(state="held")
    )


def _pay(
    connection: Connection, owed: Sequence[Row[Any]], model: str, version: str, now: datetime
) -> None:
    ids = [row.id for row in owed]
    for chunk in chunked(ids):
        connection.execute(
            update(settlements)
            .where(settlements.c.target_id.in_(chunk), settlements.c.model == model)
            .values(state="settled", version=version)
        )
    done = set(complete_settled(connection, ids))
    project(connection, [row.request_id for row in owed])
    drafts = []
    for row in owed:
        place = (row.request_id, row.batch_id, row.dataset)
        drafts.append(Draft("settled", *place, model, {"version": version}))
        if row.id in done:
            drafts.append(Draft("completed", *place))
    record(connection, now, drafts)


def decisions(connection: Connection, batch_id: str) -> dict[str, tuple[Decision, str | None]]:
    """What a batch decided on each model so far, with the version that it made champion."""
    query = select(batch_models.c.model, batch_models.c.decision, batch_models.c.version)
    rows = connection.execute(query.where(batch_models.c.batch_id == batch_id))
    return {row.model: (row.decision, row.version) for row in rows if row.decision}


def _decision(connection: Connection, batch_id: str, model: str) -> tuple[str, str | None] | None:
    query = select(batch_models.c.decision, batch_models.c.version)
    row = connection.execute(
        query.where(batch_models.c.batch_id == batch_id, batch_models.c.model == model)
    ).one_or_none()
    return None if row is None or row.decision is None else (row.decision, row.version)


def _decide(
    connection: Connection, batch_id: str, model: str, decision: Decision, version: str | None
) -> None:
    values = {"decision": decision, "version": version}
    key = (batch_models.c.batch_id == batch_id, batch_models.c.model == model)
    changed = connection.execute(update(batch_models).where(*key).values(**values))
    if not changed.rowcount:
        connection.execute(insert(batch_models).values(batch_id=batch_id, model=model, **values))
