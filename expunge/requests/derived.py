"""Models and files made from people's rows: tracked, invalid once one of the people is gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from expunge.requests.batches import require_dataset
from expunge.requests.events import Draft, record
from expunge.requests.schema import derived
from expunge.requests.values import Derived, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store

_FIELDS = tuple(Derived.__dataclass_fields__)


def find(connection: Connection, key: str) -> Derived | None:
    """The derived artifact under `key`, or None."""
    row = connection.execute(select(derived).where(derived.c.key == key)).one_or_none()
    return None if row is None else Derived(**row._mapping)


def of_dataset(connection: Connection, dataset: str) -> tuple[Derived, ...]:
    """Everything derived from a dataset, oldest first."""
    query = select(derived).where(derived.c.dataset == dataset)
    rows = connection.execute(query.order_by(derived.c.created_at, derived.c.key))
    return tuple(Derived(**row._mapping) for row in rows)


def record_derived(store: Store, fence: Fence | None, made: Derived) -> None:
    """Record an artifact, or its new content under the same key."""
    with store.write(fence) as connection:
        if fence is not None:
            require_dataset(fence, made.dataset, f"derived {made.key}")
        known = find(connection, made.key)
        if known == made:
            return
        values = {name: getattr(made, name) for name in _FIELDS}
        if known is None:
            connection.execute(insert(derived).values(**values))
        else:
            connection.execute(update(derived).where(derived.c.key == made.key).values(**values))
        told = {"key": made.key, "made": made.kind, "roles": made.roles, "digest": made.digest}
        drafts = [Draft("derived", dataset=made.dataset, payload=told)]
        record(connection, store.now(), drafts)


def invalidate(store: Store, fence: Fence, dataset: str, roles: Collection[str]) -> int:
    """Mark what was made from any of `roles`; returns how many were valid until now."""
    with store.write(fence) as connection:
        require_dataset(fence, dataset, "derived artifacts")
        keys = [
            each.key
            for each in of_dataset(connection, dataset)
            if each.state == "valid" and set(each.roles) & set(roles)
        ]
        for key in keys:
            connection.execute(update(derived).where(derived.c.key == key).values(state="invalid"))
        drafts = [Draft("invalidated", dataset=dataset, payload={"key": key}) for key in keys]
        record(connection, store.now(), drafts)
        return len(keys)
