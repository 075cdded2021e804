"""The ledger's part for lineage: versions of datasets and models, debts, derived artifacts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from expunge.requests import (
    approvals,
    batches,
    derived,
    erasures,
    models,
    qualifications,
    settling,
    versions,
)
from expunge.requests.approvals import Verdict
from expunge.requests.links import Links
from expunge.requests.store import Store
from expunge.requests.values import (
    Approval,
    AuditOutcome,
    DatasetVersion,
    Decision,
    Derived,
    Fence,
    MockKind,
    ModelSight,
    ModelVersion,
    Qualification,
)
from expunge.requests.versions import Suppressed


class Register:
    """Versions, debts and derived artifacts; a part of `Ledger`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record_ingest(
        self,
        fence: Fence,
        *,
        dataset: str,
        md5: str,
        commit: str,
        ingest: int,
        rows: int,
        shards: int,
    ) -> DatasetVersion:
        """Record what an ingest published, once."""
        batches.require_dataset(fence, dataset, "an ingest")
        return versions.record_ingest(
            self._store, fence, md5=md5, commit=commit, ingest=ingest, rows=rows, shards=shards
        )

    def record_erasure(
        self,
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
        """Record what a validated batch published: version, suppression, duties of the models."""
        return erasures.record_erasure(
            self._store,
            fence,
            batch_id,
            md5=md5,
            commit=commit,
            rows=rows,
            shards=shards,
            shards_rewritten=shards_rewritten,
            trained=trained,
            models=models,
        )

    def versions(self, dataset: str) -> tuple[DatasetVersion, ...]:
        """Versions of a dataset, oldest first."""
        with self._store.read() as connection:
            return versions.versions(connection, dataset)

    def current_version(self, dataset: str) -> DatasetVersion | None:
        """The newest version."""
        with self._store.read() as connection:
            return versions.current(connection, dataset)

    @contextmanager
    def links(self) -> Iterator[Links]:
        """How the records hang together, as of one moment."""
        references = self._store.keys.references()
        with self._store.read() as connection:
            yield Links(connection, references)

    def suppressed(self, dataset: str) -> Suppressed:
        """The erased people who must not come back."""
        return versions.suppressed(self._store, dataset)

    def record_model(self, fence: Fence, version: ModelVersion) -> ModelVersion:
        """Record a model version, once."""
        return models.record_model(self._store, fence, version)

    def record_promotion(self, fence: Fence, model: str, version: str) -> None:
        """Point the champion at a recorded version."""
        models.record_promotion(self._store, fence, model, version)

    def champion(self, model: str) -> ModelVersion | None:
        """The champion."""
        with self._store.read() as connection:
            return models.champion(connection, model)

    def model_versions(self, model: str) -> tuple[ModelVersion, ...]:
        """Versions of a model, oldest first."""
        with self._store.read() as connection:
            return models.all_versions(connection, model)

    def settle(
        self,
        fence: Fence,
        batch_id: str,
        model: str,
        *,
        decision: Decision,
        version: str | None,
    ) -> None:
        """Record the gate's decision, and pay or keep the model's debts."""
        settling.settle(self._store, fence, batch_id, model, decision=decision, version=version)

    def settle_by_training(self, fence: Fence, model: str, version: str) -> None:
        """Pay the debts that a freshly trained, recorded version does not hold."""
        settling.settle_by_training(self._store, fence, model, version)

    def debts(self, model: str) -> tuple[str, ...]:
        """Batches whose rows the model still holds, oldest first."""
        with self._store.read() as connection:
            return settling.debts(connection, model)

    def decisions(self, batch_id: str) -> dict[str, tuple[Decision, str | None]]:
        """What a batch decided on each model so far, with the version that serves since."""
        with self._store.read() as connection:
            return settling.decisions(connection, batch_id)

    def ask_approval(self, fence: Fence, asked: Approval) -> Approval:
        """Put a candidate to a person, once; the question as it stands."""
        return approvals.ask(self._store, fence, asked)

    def decide_approval(
        self, batch_id: str, model: str | None, verdict: Verdict, *, by: str, reason: str
    ) -> Approval:
        """A person's answer; TransitionError once the question is not open any more."""
        return approvals.decide(self._store, batch_id, model, verdict, by=by, reason=reason)

    def close_approval(
        self, fence: Fence, found: Approval, state: Literal["expired", "void"], reason: str
    ) -> Approval:
        """End a question that was not answered in time, or that has no object any more."""
        return approvals.close(self._store, fence, found, state, reason)

    def approval(self, batch_id: str, part: str) -> Approval | None:
        """The question about one attempt."""
        with self._store.read() as connection:
            return approvals.find(connection, batch_id, part)

    def approvals(self, batch_id: str) -> tuple[Approval, ...]:
        """Every question of a batch, in order."""
        with self._store.read() as connection:
            return approvals.of_batch(connection, batch_id)

    def may_serve(self, model: str, version: str) -> bool:
        """Whether the version holds no erased row that it saw."""
        with self._store.read() as connection:
            return models.may_serve(connection, model, version)

    def floor(self, model: str) -> str | None:
        """The oldest version, once champion, that may serve."""
        with self._store.read() as connection:
            return models.floor(connection, model)

    def qualify(
        self,
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
        """Append what an audit of a strategy on mock requests came to."""
        return qualifications.qualify(
            self._store,
            model=model,
            version=version,
            dataset_ordinal=dataset_ordinal,
            strategy=strategy,
            settings=settings,
            request=request,
            metrics=metrics,
            outcome=outcome,
        )

    def qualifications(
        self, model: str, *, settings: str | None = None, request: MockKind | None = None
    ) -> tuple[Qualification, ...]:
        """Audit records of a model, oldest first; of some settings and kind where given."""
        with self._store.read() as connection:
            return qualifications.find(connection, model, settings=settings, request=request)

    def record_derived(self, fence: Fence | None, made: Derived) -> None:
        """Record an artifact made from people's rows."""
        derived.record_derived(self._store, fence, made)

    def derived(self, key: str) -> Derived | None:
        """One derived artifact."""
        with self._store.read() as connection:
            return derived.find(connection, key)

    def derived_of(self, dataset: str) -> tuple[Derived, ...]:
        """Everything derived from a dataset."""
        with self._store.read() as connection:
            return derived.of_dataset(connection, dataset)

    def invalidate_derived(self, fence: Fence, dataset: str, roles: Collection[str]) -> int:
        """Mark what was made from any of `roles` as invalid; returns how many."""
        return derived.invalidate(self._store, fence, dataset, roles)
