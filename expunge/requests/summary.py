"""A batch in counts: what was asked under which regulation and by when, and for how many people.

Counts and dates only, never a request's id or a subject's reference: this is what a report shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from expunge.requests import batches
from expunge.requests.schema import events, requests, targets
from expunge.requests.values import Regulation

_ENDS = ("batch_finished", "batch_failed", "batch_postponed")


@dataclass(frozen=True)
class Asked:
    """The requests of one regulation in a batch.

    `overdue`: how many were due before the batch ended, or before now while it has not.
    """

    regulation: Regulation
    requests: int
    first_received: datetime
    last_received: datetime
    first_due: datetime
    last_due: datetime
    overdue: int


@dataclass(frozen=True)
class BatchSummary:
    """What a batch was asked; `people` is how many it erased; `ended_at` None while it runs."""

    asked: tuple[Asked, ...]
    people: int
    ended_at: datetime | None


def summary(connection: Connection, batch_id: str, now: datetime) -> BatchSummary:
    """Of every request that the batch ever claimed, in three queries however many there are."""
    found = batches.batch(connection, batch_id)
    ended = connection.execute(
        select(func.max(events.c.at)).where(events.c.batch_id == found.id, events.c.kind.in_(_ENDS))
    ).scalar_one()
    people = select(func.count()).where(
        targets.c.batch_id == found.id, targets.c.disposition == "erase"
    )
    return BatchSummary(
        asked=_asked(connection, found.id, ended or now),
        people=connection.execute(people).scalar_one(),
        ended_at=ended,
    )


def _asked(connection: Connection, batch_id: str, until: datetime) -> tuple[Asked, ...]:
    ever = select(events.c.request_id).where(
        events.c.batch_id == batch_id, events.c.kind == "claimed"
    )
    received, due = requests.c.received_at, requests.c.due_at
    query = select(
        requests.c.regulation,
        func.count(),
        func.min(received),
        func.max(received),
        func.min(due),
        func.max(due),
        func.count().filter(due < until),
    ).where(requests.c.id.in_(ever))
    rows = connection.execute(query.group_by(requests.c.regulation).order_by(func.min(due)))
    return tuple(Asked(*row) for row in rows)
