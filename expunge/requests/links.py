"""How the ledger's records hang together: each link read by an index, and no more than asked for.

For lineage queries: one `Links` is one read transaction, so that a trace is of one moment. A link
to many records is read as a `Page`: the first of them, and how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, Select, and_, func, literal, or_, select

from expunge.keys import ReferenceKey
from expunge.requests import batches, models, reading, settling
from expunge.requests.schema import (
    dataset_versions,
    derived,
    events,
    model_versions,
    outcomes,
    requests,
    suppressions,
    targets,
)
from expunge.requests.values import Batch, DatasetVersion, Derived, Event, ModelVersion, Request

T_co = TypeVar("T_co", covariant=True)
COUNTED = 10_000  # what is more is not counted to its end
_ERASED = ("erased_model_pending", "completed")
_EVENTS = 200
_MODEL_FIELDS = tuple(ModelVersion.__dataclass_fields__)


@dataclass(frozen=True)
class Page(Generic[T_co]):
    """The first of many; `total` is `COUNTED` where there are at least so many."""

    items: tuple[T_co, ...]
    total: int

    @property
    def left(self) -> int:
        """How many are not shown."""
        return self.total - len(self.items)


@dataclass(frozen=True)
class Absorbed:
    """A request whose rows a batch erased."""

    request_id: str
    state: str
    rows: int


@dataclass(frozen=True)
class Erasure:
    """Where a person was erased: the version that no longer holds them, by which batch."""

    request_id: str
    version: DatasetVersion
    batch_id: str
    rows: int


@dataclass
class Links:
    """Links between requests, batches, versions and what is derived, at one moment."""

    connection: Connection
    references: tuple[ReferenceKey, ...] = field(repr=False)
    _champions: dict[str, ModelVersion | None] = field(default_factory=dict, repr=False)

    def request(self, request_id: str) -> Request:
        """One request; UnknownRecordError where there is none."""
        return reading.find(self.connection, request_id)

    def history(self, request_id: str) -> tuple[Event, ...]:
        """The first 200 events of a request, in order."""
        query = select(events).where(events.c.request_id == request_id)
        rows = self.connection.execute(query.order_by(events.c.seq).limit(_EVENTS))
        return tuple(Event(**row._mapping) for row in rows)

    def batch(self, batch_id: str) -> Batch:
        """One batch; UnknownRecordError where there is none."""
        return batches.batch(self.connection, batch_id)

    def decisions(self, batch_id: str) -> Mapping[str, tuple[str, str | None]]:
        """Decision and version by model."""
        return settling.decisions(self.connection, batch_id)

    def judged(self, batch_id: str) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What the gate said, by part, in the order in which it was asked."""
        query = select(outcomes.c.part, outcomes.c.payload).where(
            outcomes.c.batch_id == batch_id, outcomes.c.station == "gate"
        )
        rows = self.connection.execute(query.order_by(outcomes.c.at, outcomes.c.part))
        return tuple((row.part, row.payload) for row in rows)

    def staged(self, batch_id: str) -> Mapping[str, Any]:
        """What stage counted; empty before it ran."""
        query = select(outcomes.c.payload).where(
            outcomes.c.batch_id == batch_id, outcomes.c.station == "stage", outcomes.c.part == ""
        )
        found: dict[str, Any] | None = self.connection.execute(query).scalar_one_or_none()
        return found or {}

    def absorbed(self, batch_id: str, limit: int) -> Page[Absorbed]:
        """Requests whose rows a batch erased, in the order in which they were filed."""
        query = select(targets.c.request_id, targets.c.state, targets.c.rows).where(
            targets.c.batch_id == batch_id, targets.c.state.in_(_ERASED)
        )
        rows, total = self._page(query, targets.c.id, limit)
        return Page(tuple(Absorbed(**row._mapping) for row in rows), total)

    def version(self, dataset: str, ordinal: int) -> DatasetVersion | None:
        """One version of a dataset, or None."""
        query = select(dataset_versions).where(
            dataset_versions.c.dataset == dataset, dataset_versions.c.ordinal == ordinal
        )
        return _dataset_version(self.connection.execute(query).one_or_none())

    def version_of(self, batch_id: str) -> DatasetVersion | None:
        """The version that a batch published, or None."""
        query = select(dataset_versions).where(dataset_versions.c.batch_id == batch_id)
        return _dataset_version(self.connection.execute(query).one_or_none())

    def versions(self, dataset: str, limit: int, before: int | None = None) -> Page[DatasetVersion]:
        """The newest versions of a dataset, newest first; below ordinal `before` where given."""
        query = select(dataset_versions).where(dataset_versions.c.dataset == dataset)
        if before is not None:
            query = query.where(dataset_versions.c.ordinal < before)
        rows, total = self._page(query, dataset_versions.c.ordinal.desc(), limit)
        return Page(tuple(DatasetVersion(**row._mapping) for row in rows), total)

    def matching(self, dataset: str, start: str) -> tuple[DatasetVersion, ...]:
        """Versions whose md5 or commit begins so; at most two, since one alone is an answer."""
        query = select(dataset_versions).where(
            dataset_versions.c.dataset == dataset,
            or_(
                dataset_versions.c.md5.startswith(start, autoescape=True),
                dataset_versions.c.commit.startswith(start, autoescape=True),
            ),
        )
        rows = self.connection.execute(query.limit(2))
        return tuple(DatasetVersion(**row._mapping) for row in rows)

    def model_version(self, model: str, version: str) -> ModelVersion | None:
        """One version of a model, or None."""
        return models.find(self.connection, model, version)

    def model_versions(
        self, model: str, limit: int, clean_before: int | None = None
    ) -> Page[ModelVersion]:
        """The newest versions, newest first; of those not clean as of an ordinal where given."""
        query = select(model_versions).where(model_versions.c.model == model)
        if clean_before is not None:
            query = query.where(model_versions.c.clean_as_of < clean_before)
        return self._models(query, model_versions.c.position.desc(), limit)

    def made_by(self, batch_id: str, limit: int) -> Page[ModelVersion]:
        """Model versions that a batch made."""
        query = select(model_versions).where(model_versions.c.batch_id == batch_id)
        return self._models(query, model_versions.c.model, limit)

    def made_from(self, model: str, version: str, limit: int) -> Page[ModelVersion]:
        """Model versions whose parent this one is."""
        query = select(model_versions).where(
            model_versions.c.model == model, model_versions.c.parent == version
        )
        return self._models(query, model_versions.c.position, limit)

    def made_in(self, run_id: str) -> ModelVersion | None:
        """The model version that an MLflow run made, or None."""
        query = select(model_versions).where(model_versions.c.run_id == run_id)
        row = self.connection.execute(query.limit(1)).one_or_none()
        return None if row is None else _model(row)

    def trained_on(self, dataset: str, ordinal: int, limit: int) -> Page[ModelVersion]:
        """Model versions made from a version of a dataset."""
        query = select(model_versions).where(
            model_versions.c.dataset == dataset, model_versions.c.dataset_ordinal == ordinal
        )
        return self._models(query, model_versions.c.created_at, limit)

    def having_seen(self, dataset: str, ingest: int, limit: int) -> Page[ModelVersion]:
        """The newest model versions whose training rows reach up to an ingest at least."""
        query = select(model_versions).where(
            model_versions.c.dataset == dataset, model_versions.c.ingest_seen >= ingest
        )
        return self._models(query, model_versions.c.dataset_ordinal.desc(), limit)

    def champion(self, model: str) -> ModelVersion | None:
        """The champion, or None."""
        if model not in self._champions:
            self._champions[model] = models.champion(self.connection, model)
        return self._champions[model]

    def may_serve(self, version: ModelVersion) -> bool:
        """Whether it holds no erased row that it saw."""
        return models.is_clean(self.connection, version)

    def floor(self, model: str) -> str | None:
        """The rollback floor."""
        return models.floor(self.connection, model)

    def debts(self, model: str) -> tuple[str, ...]:
        """Batches whose rows the model still holds."""
        return settling.debts(self.connection, model)

    def derived_from(self, dataset: str, ordinal: int, limit: int) -> Page[Derived]:
        """Files and helper models made from the rows of a version."""
        query = select(derived).where(
            derived.c.dataset == dataset, derived.c.dataset_ordinal == ordinal
        )
        rows, total = self._page(query, derived.c.created_at, limit)
        return Page(tuple(Derived(**row._mapping) for row in rows), total)

    def requests_of(self, dataset: str, subject_id: str, limit: int) -> Page[str]:
        """Ids of a person's requests for a dataset, under whichever key they were filed."""
        query = (
            select(requests.c.id, requests.c.received_at)
            .join(targets, and_(targets.c.request_id == requests.c.id, _in(dataset)))
            .where(requests.c.subject_ref.in_(self._refs(subject_id)))
        )
        rows, total = self._page(query, requests.c.received_at, limit)
        return Page(tuple(row.id for row in rows), total)

    def erasure(self, dataset: str, subject_id: str) -> Erasure | None:
        """Where a person was erased from a dataset first, under whichever key; None: never."""
        query = (
            select(targets.c.request_id, targets.c.batch_id, targets.c.rows)
            .join(suppressions, suppressions.c.target_id == targets.c.id)
            .where(
                suppressions.c.dataset == dataset,
                suppressions.c.subject_ref.in_(self._refs(subject_id)),
            )
        )
        row = self.connection.execute(query.order_by(targets.c.id).limit(1)).one_or_none()
        version = None if row is None else self.version_of(row.batch_id)
        if row is None or version is None:
            return None
        return Erasure(row.request_id, version, row.batch_id, row.rows)

    def _refs(self, subject_id: str) -> list[str]:
        return [key.ref(subject_id) for key in self.references]

    def _models(self, query: Select[Any], order: Any, limit: int) -> Page[ModelVersion]:
        rows, total = self._page(query, order, limit)
        return Page(tuple(_model(row) for row in rows), total)

    def _page(self, query: Select[Any], order: Any, limit: int) -> tuple[Sequence[Row[Any]], int]:
        rows = self.connection.execute(query.order_by(order).limit(limit)).all()
        if len(rows) < limit:
            return rows, len(rows)
        some = query.with_only_columns(literal(1)).limit(COUNTED).subquery()
        total = self.connection.execute(select(func.count()).select_from(some)).scalar_one()
        return rows, total


def _in(dataset: str) -> Any:
    return targets.c.dataset == dataset


def _dataset_version(row: Row[Any] | None) -> DatasetVersion | None:
    return None if row is None else DatasetVersion(**row._mapping)


def _model(row: Row[Any]) -> ModelVersion:
    return ModelVersion(**{name: row._mapping[name] for name in _MODEL_FIELDS})
