"""Versions of governed models, their champion, and how far back it may roll."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from expunge.requests import batches
from expunge.requests.errors import LedgerConflictError, unknown
from expunge.requests.events import Draft, record
from expunge.requests.schema import champions, erased_training_rows, model_versions
from expunge.requests.values import Fence, ModelVersion

if TYPE_CHECKING:
    from expunge.requests.store import Store

_FIELDS = tuple(ModelVersion.__dataclass_fields__)


def record_model(store: Store, fence: Fence, version: ModelVersion) -> ModelVersion:
    """Record a version once; the same again returns what is recorded."""
    with store.write(fence) as connection:
        batches.require_dataset(fence, version.dataset, f"model {version.model}")
        known = find(connection, version.model, version.version)
        if known is not None:
            timed = replace(version, created_at=known.created_at, promoted_at=known.promoted_at)
            if timed != known:
                raise LedgerConflictError(
                    f"Version {version.version} of model {version.model!r} was recorded with "
                    "other content.",
                    fix=f"expunge trace model {version.model} {version.version} shows it",
                )
            return known
        of_model = model_versions.c.model == version.model
        last = select(func.coalesce(func.max(model_versions.c.position), 0)).where(of_model)
        position = connection.execute(last).scalar_one() + 1
        values = {name: getattr(version, name) for name in _FIELDS}
        connection.execute(insert(model_versions).values(position=position, **values))
        told = {
            "version": version.version,
            "made": version.kind,
            "parent": version.parent,
            "dataset_ordinal": version.dataset_ordinal,
            "clean_as_of": version.clean_as_of,
            "strategy": version.strategy,
        }
        place = (None, version.batch_id, version.dataset, version.model)
        record(connection, store.now(), [Draft("model_version", *place, told)])
        return version


def record_promotion(store: Store, fence: Fence, model: str, version: str) -> None:
    """Point the champion at a recorded version; the same again changes nothing."""
    with store.write(fence) as connection:
        found = require(connection, model, version)
        batches.require_dataset(fence, found.dataset, f"model {model}")
        row = connection.execute(select(champions).where(champions.c.model == model)).one_or_none()
        if row is not None and row.version == version:
            return
        now = store.now()
        if row is None:
            connection.execute(insert(champions).values(model=model, version=version))
        else:
            pointer = update(champions).where(champions.c.model == model)
            connection.execute(pointer.values(version=version))
        key = (model_versions.c.model == model, model_versions.c.version == version)
        connection.execute(update(model_versions).where(*key).values(promoted_at=now))
        told = {"version": version, "before": None if row is None else row.version}
        place = (None, found.batch_id, found.dataset, model)
        record(connection, now, [Draft("promoted", *place, told)])


def champion(connection: Connection, model: str) -> ModelVersion | None:
    """The version that the champion pointer names, or None."""
    pointer = select(champions.c.version).where(champions.c.model == model)
    version = connection.execute(pointer).scalar_one_or_none()
    return None if version is None else find(connection, model, version)


def all_versions(connection: Connection, model: str) -> tuple[ModelVersion, ...]:
    """Every recorded version, oldest first."""
    query = select(model_versions).where(model_versions.c.model == model)
    rows = connection.execute(query.order_by(model_versions.c.position))
    return tuple(_version(row) for row in rows)


def find(connection: Connection, model: str, version: str) -> ModelVersion | None:
    """One version, or None."""
    query = select(model_versions).where(
        model_versions.c.model == model, model_versions.c.version == version
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row)


def require(connection: Connection, model: str, version: str) -> ModelVersion:
    """One version, or UnknownRecordError."""
    found = find(connection, model, version)
    if found is None:
        raise unknown("version", f"{version} of model {model}")
    return found


def may_serve(connection: Connection, model: str, version: str) -> bool:
    """False if an erasure after `clean_as_of` took training rows that the version had seen."""
    return is_clean(connection, require(connection, model, version))


def is_clean(connection: Connection, found: ModelVersion) -> bool:
    """`may_serve`, of a version that was read."""
    held = select(erased_training_rows.c.rows).where(
        erased_training_rows.c.dataset == found.dataset,
        erased_training_rows.c.ordinal > found.clean_as_of,
        erased_training_rows.c.ingest <= found.ingest_seen,
    )
    return connection.execute(held.limit(1)).first() is None


def floor(connection: Connection, model: str) -> str | None:
    """The oldest version, once champion, that holds no erased row it saw; None if there is none."""
    held = exists().where(
        erased_training_rows.c.dataset == model_versions.c.dataset,
        erased_training_rows.c.ordinal > model_versions.c.clean_as_of,
        erased_training_rows.c.ingest <= model_versions.c.ingest_seen,
    )
    clean = select(model_versions.c.version).where(
        model_versions.c.model == model, model_versions.c.promoted_at.is_not(None), ~held
    )
    oldest = clean.order_by(model_versions.c.position).limit(1)
    return connection.execute(oldest).scalar_one_or_none()


def _version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(**{name: row._mapping[name] for name in _FIELDS})
