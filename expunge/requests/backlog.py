"""What waits in a dataset: how many targets, until when, and whether someone is at work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from expunge.requests import batches, locks
from expunge.requests.schema import targets

if TYPE_CHECKING:
    from expunge.requests.values import Batch


@dataclass(frozen=True)
class Backlog:
    """What waits in one dataset, as of one moment.

    `due_at` is the nearest deadline of a pending target; `open_due_at` that of a target of the
    unfinished batch. `busy`: a live process holds the dataset's lock.
    """

    dataset: str
    pending: int
    due_at: datetime | None
    open_batch: Batch | None
    open_due_at: datetime | None
    busy: bool

    @property
    def nearest(self) -> datetime | None:
        """The nearest deadline of all; None where nothing waits."""
        return min((due for due in (self.due_at, self.open_due_at) if due), default=None)


def backlog(connection: Connection, dataset: str, now: datetime) -> Backlog:
    """What waits in `dataset`; answered from an index however long the backlog is."""
    pending, due_at = connection.execute(
        select(func.count(), func.min(targets.c.due_at)).where(
            targets.c.dataset == dataset, targets.c.state == "pending"
        )
    ).one()
    found = batches.open_batch(connection, dataset)
    open_due_at = None
    if found is not None:
        open_due_at = connection.execute(
            select(func.min(targets.c.due_at)).where(
                targets.c.batch_id == found.id,
                targets.c.state.in_(("claimed", "erased_model_pending")),
            )
        ).scalar_one()
    busy = locks.is_held(connection, dataset, now)
    return Backlog(dataset, pending, due_at, found, open_due_at, busy)
