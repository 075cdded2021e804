"""How the ledger's records hang together: each link read by an index, and no more than asked for.

For lineage queries: one `Links` is one read transaction, so that a trace is of one moment. A link
to many records is read as a `Page`: the first of them, and how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, and_, select

from expunge.keys import ReferenceKey
from expunge.requests import approvals, batches, reading, settling
from expunge.requests.pages import Page
from expunge.requests.schema import events, outcomes, requests, suppressions, targets
from expunge.requests.values import Approval, Batch, DatasetVersion, Event, Request
from expunge.requests.version_links import VersionLinks

_ERASED = ("erased_model_pending", "completed")
_EVENTS = 200


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
class Links(VersionLinks):
    """Links between requests, batches, versions and what is derived, at one moment."""

    references: tuple[ReferenceKey, ...] = field(repr=False)

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
        return self._once(("batch", batch_id), lambda: batches.batch(self.connection, batch_id))

    def decisions(self, batch_id: str) -> Mapping[str, tuple[str, str | None]]:
        """Decision and version by model."""
        return settling.decisions(self.connection, batch_id)

    def judged(self, batch_id: str) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What the gate said, by part, in the order in which it was asked."""
        found = self._outcomes(batch_id)
        return tuple((row.part, row.payload) for row in found if row.station == "gate")

    def approvals(self, batch_id: str) -> tuple[Approval, ...]:
        """What a person was asked about the candidates of a batch, and answered."""
        return approvals.of_batch(self.connection, batch_id)

    def staged(self, batch_id: str) -> Mapping[str, Any]:
        """What stage counted; empty before it ran."""
        found = (row.payload for row in self._outcomes(batch_id) if row.station == "stage")
        return next(found, {})

    def _outcomes(self, batch_id: str) -> Sequence[Row[Any]]:
        query = select(outcomes.c.station, outcomes.c.part, outcomes.c.payload).where(
            outcomes.c.batch_id == batch_id, outcomes.c.station.in_(("gate", "stage"))
        )
        ordered = query.order_by(outcomes.c.at, outcomes.c.part)
        key = ("outcomes", batch_id)
        return self._once(key, lambda: self.connection.execute(ordered).all())

    def absorbed(self, batch_id: str, limit: int) -> Page[Absorbed]:
        """Requests whose rows a batch erased, in the order in which they were filed."""
        query = select(targets.c.request_id, targets.c.state, targets.c.rows).where(
            targets.c.batch_id == batch_id, targets.c.state.in_(_ERASED)
        )
        rows, total = self._page(query, targets.c.id, limit)
        return Page(tuple(Absorbed(**row._mapping) for row in rows), total)

    def requests_of(self, dataset: str, subject_id: str, limit: int) -> Page[str]:
        """Ids of a person's requests for a dataset, under whichever key they were filed."""
        query = (
            select(requests.c.id, requests.c.received_at)
            .join(
                targets, and_(targets.c.request_id == requests.c.id, targets.c.dataset == dataset)
            )
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
