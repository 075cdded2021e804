"""The ledger's part for batches: claims, dispositions, outcomes, effects outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from expunge.requests import backlog, batches, dispositions, effects, outcomes, reclaiming
from expunge.requests.backlog import Backlog
from expunge.requests.store import Store
from expunge.requests.summary import BatchSummary, summary
from expunge.requests.values import Batch, BatchState, Claim, Effect, Fence


class Workbench:
    """Batches and effects; a part of `Ledger`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def backlog(self, dataset: str) -> Backlog:
        """What waits in a dataset, and until when."""
        with self._store.read() as connection:
            return backlog.backlog(connection, dataset, self._store.now())

    def open_batch(self, dataset: str) -> Batch | None:
        """The dataset's unfinished batch."""
        with self._store.read() as connection:
            return batches.open_batch(connection, dataset)

    def batch(self, batch_id: str) -> Batch:
        """One batch."""
        with self._store.read() as connection:
            return batches.batch(connection, batch_id)

    def batches(self, dataset: str | None = None) -> tuple[Batch, ...]:
        """Batches, oldest first."""
        with self._store.read() as connection:
            return batches.all_batches(connection, dataset)

    def claim(
        self, fence: Fence, *, champions: Mapping[str, str | None], limit: int
    ) -> Batch | None:
        """Resume the open batch, or claim the pending targets that are due first."""
        return batches.claim(self._store, fence, champions, limit)

    def unasked(self, dataset: str, subject_ids: Collection[str]) -> list[str]:
        """Those of some people for whom no target of the dataset is pending."""
        return reclaiming.unasked(self._store, dataset, subject_ids)

    def reclaim(
        self,
        fence: Fence,
        batch_id: str,
        *,
        champions: Mapping[str, str | None],
        subject_ids: Collection[str],
    ) -> Batch:
        """Open a batch again that this ledger, from a backup, lost; see `reclaiming`."""
        return reclaiming.reclaim(self._store, fence, batch_id, champions, subject_ids)

    def claims(self, batch_id: str) -> tuple[Claim, ...]:
        """The batch's claims with their subjects, due first; KeyMissingError once purged."""
        with self._store.read() as connection:
            return batches.claims(connection, self._store, batch_id)

    def request_states(self, batch_id: str) -> dict[str, int]:
        """How many of the requests that the batch ever claimed are in which state now."""
        with self._store.read() as connection:
            return batches.request_states(connection, batch_id)

    def summary(self, batch_id: str) -> BatchSummary:
        """The batch in counts and dates: requests by regulation, people erased."""
        with self._store.read() as connection:
            return summary(connection, batch_id, self._store.now())

    def dispose(
        self,
        fence: Fence,
        batch_id: str,
        absent: Collection[int],
        blocked: Mapping[int, str],
        rows: Mapping[int, int],
    ) -> None:
        """Write down, by target id, who is not in the dataset, who is blocked, who has rows."""
        dispositions.dispose(
            self._store, fence, batch_id, absent=absent, blocked=blocked, rows=rows
        )

    def outcome(self, batch_id: str, station: str, part: str = "") -> dict[str, Any] | None:
        """What a station came to, or None."""
        with self._store.read() as connection:
            return outcomes.outcome(connection, batch_id, station, part)

    def parts(self, batch_id: str, station: str) -> tuple[str, ...]:
        """The parts of a station that have an outcome, in the order in which they came."""
        with self._store.read() as connection:
            return outcomes.parts(connection, batch_id, station)

    def conclude(
        self,
        fence: Fence,
        batch_id: str,
        station: str,
        payload: Mapping[str, Any],
        *,
        part: str = "",
        state: BatchState | None = None,
    ) -> dict[str, Any]:
        """Record a station's outcome once, and the batch's next state; returns what is recorded."""
        return outcomes.conclude(
            self._store, fence, batch_id, station, payload, part=part, state=state
        )

    def fail(self, fence: Fence, batch_id: str, reason: str) -> None:
        """End a batch before publish; its targets are pending again."""
        batches.give_up(self._store, fence, batch_id, reason, "failed")

    def postpone(self, fence: Fence, batch_id: str, reason: str) -> None:
        """End a batch before publish because its time has not come; its targets are pending."""
        batches.give_up(self._store, fence, batch_id, reason, "postponed")

    def finish(self, fence: Fence, batch_id: str) -> None:
        """End a batch with nothing left to erase or decide."""
        batches.finish(self._store, fence, batch_id)

    def intend(
        self,
        fence: Fence,
        key: str,
        kind: str,
        detail: Mapping[str, Any],
        batch_id: str | None = None,
    ) -> Effect:
        """Record the intent of an effect, or return the one that is there."""
        return effects.intend(self._store, fence, key, kind, detail, batch_id=batch_id)

    def effect(self, key: str) -> Effect | None:
        """The effect under `key`."""
        with self._store.read() as connection:
            return effects.effect(connection, key)

    def open_effects(self, dataset: str, kind: str) -> tuple[Effect, ...]:
        """Effects of a kind that were intended and not done, oldest first."""
        with self._store.read() as connection:
            return effects.open_effects(connection, dataset, kind)

    def complete(self, fence: Fence, key: str, result: Mapping[str, Any]) -> Effect:
        """Record an effect's result once."""
        return effects.complete(self._store, fence, key, result)
