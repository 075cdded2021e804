"""Effects outside the database: intent, effect, outcome.

The intent is committed before the effect is tried, under the effect's own deterministic key; a
replay finds the intent, looks outside for the effect, and records the result once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, insert, select, update

from expunge.requests import batches
from expunge.requests.errors import LedgerConflictError, unknown
from expunge.requests.events import Draft, record
from expunge.requests.payloads import checked_payload
from expunge.requests.schema import effects
from expunge.requests.values import Effect, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store


def effect(connection: Connection, key: str) -> Effect | None:
    """The effect under `key`, or None."""
    row = _row(connection, key)
    return None if row is None else _effect(row)


def open_effects(connection: Connection, dataset: str, kind: str) -> tuple[Effect, ...]:
    """Effects of a kind that were intended and not done, oldest first."""
    query = select(effects).where(
        effects.c.dataset == dataset, effects.c.kind == kind, effects.c.state == "intended"
    )
    rows = connection.execute(query.order_by(effects.c.intended_at, effects.c.key))
    return tuple(_effect(row) for row in rows)


def intend(
    store: Store,
    fence: Fence,
    key: str,
    kind: str,
    detail: Mapping[str, Any],
    *,
    batch_id: str | None,
) -> Effect:
    """Record the intent, or return the one that is there, done or not."""
    kept = checked_payload(detail)
    with store.write(fence) as connection:
        row = _row(connection, key)
        if row is None:
            if batch_id is not None:
                batches.fenced(connection, fence, batch_id)
            now = store.now()
            values = {"dataset": fence.dataset, "batch_id": batch_id, "kind": kind}
            state = {"state": "intended", "detail": kept, "intended_at": now}
            connection.execute(insert(effects).values(key=key, **values, **state))
            told = {"key": key, "effect": kind, "detail": kept}
            record(connection, now, [Draft("intended", None, batch_id, fence.dataset, None, told)])
            row = _row(connection, key)
        assert row is not None  # noqa: S101 - inserted above
        if row.kind != kind or row.dataset != fence.dataset:
            raise LedgerConflictError(
                f"Effect {key} was intended as {row.kind!r} of dataset {row.dataset!r}.",
                fix="use another key for another effect",
            )
        return _effect(row)


def complete(store: Store, fence: Fence, key: str, result: Mapping[str, Any]) -> Effect:
    """Record that the effect is there; a second time changes nothing."""
    kept = checked_payload(result)
    with store.write(fence) as connection:
        row = _row(connection, key)
        if row is None:
            raise unknown("effect", key)
        batches.require_dataset(fence, row.dataset, f"effect {key}")
        if row.state == "done":
            return _effect(row)
        now = store.now()
        done = {"state": "done", "result": kept, "done_at": now}
        connection.execute(update(effects).where(effects.c.key == key).values(**done))
        told = {"key": key, "effect": row.kind, "result": kept}
        record(connection, now, [Draft("done", None, row.batch_id, row.dataset, None, told)])
        return Effect(key, row.batch_id, row.kind, "done", row.detail, kept)


def _row(connection: Connection, key: str) -> Row[Any] | None:
    return connection.execute(select(effects).where(effects.c.key == key)).one_or_none()


def _effect(row: Row[Any]) -> Effect:
    return Effect(row.key, row.batch_id, row.kind, row.state, row.detail, row.result)
