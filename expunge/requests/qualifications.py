"""Audit records: what a strategy achieved on mock requests; written once, read by the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, insert, select

from expunge.requests import models
from expunge.requests.events import Draft, record
from expunge.requests.payloads import checked_payload
from expunge.requests.schema import qualifications
from expunge.requests.values import AuditOutcome, MockKind, Qualification

if TYPE_CHECKING:
    from expunge.requests.store import Store

_TOLD = ("version", "strategy", "settings", "request", "outcome", "dataset_ordinal")


def qualify(
    store: Store,
    *,
    model: str,
    version: str,
    dataset_ordinal: int,
    strategy: str,
    settings: str,
    request: MockKind,
    metrics: Mapping[str, Any],
    outcome: AuditOutcome,
) -> Qualification:
    """Append one record with its event; UnknownRecordError for a version that is not recorded."""
    kept = checked_payload(metrics)
    with store.write() as connection:
        audited = models.require(connection, model, version)
        last = select(func.coalesce(func.max(qualifications.c.id), 0))
        made = Qualification(
            id=connection.execute(last).scalar_one() + 1,
            model=model,
            version=version,
            dataset=audited.dataset,
            dataset_ordinal=dataset_ordinal,
            strategy=strategy,
            settings=settings,
            request=request,
            metrics=kept,
            outcome=outcome,
            created_at=store.now(),
        )
        values = {name: getattr(made, name) for name in Qualification.__dataclass_fields__}
        connection.execute(insert(qualifications).values(**values))
        told = {"record": made.id, **{name: values[name] for name in _TOLD}}
        drafts = [Draft("audited", dataset=made.dataset, model=model, payload=told)]
        record(connection, made.created_at, drafts)
        return made


def find(
    connection: Connection, model: str, *, settings: str | None, request: MockKind | None
) -> tuple[Qualification, ...]:
    """Records of a model, oldest first; of some settings, of one kind of request where given."""
    query = select(qualifications).where(qualifications.c.model == model)
    if settings is not None:
        query = query.where(qualifications.c.settings == settings)
    if request is not None:
        query = query.where(qualifications.c.request == request)
    rows = connection.execute(query.order_by(qualifications.c.id))
    return tuple(Qualification(**row._mapping) for row in rows)
