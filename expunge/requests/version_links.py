"""Links between versions of datasets and models, and what is derived from them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, or_, select

from expunge.requests import models, settling
from expunge.requests.pages import Page, Reader
from expunge.requests.schema import dataset_versions, derived, model_versions
from expunge.requests.values import DatasetVersion, Derived, ModelVersion

_MODEL_FIELDS = tuple(ModelVersion.__dataclass_fields__)


class VersionLinks(Reader):
    """A part of `Links`."""

    def version(self, dataset: str, ordinal: int) -> DatasetVersion | None:
        """One version of a dataset, or None."""
        where = (dataset_versions.c.dataset == dataset, dataset_versions.c.ordinal == ordinal)
        return self._once(("version", dataset, ordinal), lambda: self._version(*where))

    def version_of(self, batch_id: str) -> DatasetVersion | None:
        """The version that a batch published, or None."""
        where = dataset_versions.c.batch_id == batch_id
        return self._once(("version of", batch_id), lambda: self._version(where))

    def versions(self, dataset: str, limit: int, before: int | None = None) -> Page[DatasetVersion]:
        """The newest versions of a dataset, newest first; below ordinal `before` where given."""
        query = select(dataset_versions).where(dataset_versions.c.dataset == dataset)
        if before is not None:
            query = query.where(dataset_versions.c.ordinal < before)
        rows, total = self._page(query, dataset_versions.c.ordinal.desc(), limit)
        return Page(tuple(self._remember(row) for row in rows), total)

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
        return self._once(
            ("model", model, version), lambda: models.find(self.connection, model, version)
        )

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
        return self._once(("champion", model), lambda: models.champion(self.connection, model))

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

    def _models(self, query: Select[Any], order: Any, limit: int) -> Page[ModelVersion]:
        rows, total = self._page(query, order, limit)
        found = tuple(_model(row) for row in rows)
        self._known |= {("model", each.model, each.version): each for each in found}
        return Page(found, total)

    def _version(self, *where: ColumnElement[bool]) -> DatasetVersion | None:
        row = self.connection.execute(select(dataset_versions).where(*where)).one_or_none()
        return None if row is None else self._remember(row)

    def _remember(self, row: Row[Any]) -> DatasetVersion:
        """A version, so that it is not read again by its number or by its batch."""
        version = DatasetVersion(**row._mapping)
        self._known[("version", version.dataset, version.ordinal)] = version
        self._known[("version of", version.batch_id)] = version
        return version


def _model(row: Row[Any]) -> ModelVersion:
    return ModelVersion(**{name: row._mapping[name] for name in _MODEL_FIELDS})
