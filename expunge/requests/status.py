"""The ledger at a glance: requests by state and by deadline, batches, models, datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from expunge.requests import approvals, models, settling, versions
from expunge.requests.schema import batches, dataset_versions, model_versions, requests, targets
from expunge.requests.values import OPEN_STATES, Approval, DatasetVersion

_SOON = timedelta(days=5)


@dataclass(frozen=True)
class Deadlines:
    """Open requests by how near their deadline is."""

    on_time: int
    due_in_5_days: int
    past_due: int


@dataclass(frozen=True)
class ModelStatus:
    """A governed model: champion version, rollback floor, batches it still holds.

    `edits`, `held_out_loss` and `hard_row_excess` are the champion's, since the last exact model.
    """

    model: str
    dataset: str
    champion: str | None
    floor: str | None
    debts: tuple[str, ...]
    edits: int = 0
    held_out_loss: float | None = None
    hard_row_excess: float | None = None


@dataclass(frozen=True)
class DatasetStatus:
    """A dataset: its newest version, and how many people are on its suppression list."""

    dataset: str
    version: DatasetVersion | None
    versions: int
    suppressed: int


@dataclass(frozen=True)
class Status:
    """Everything that `expunge status` tells."""

    at: datetime
    requests: Mapping[str, int]
    deadlines: Deadlines
    batches: Mapping[str, int]
    models: tuple[ModelStatus, ...]
    datasets: tuple[DatasetStatus, ...]
    approvals: tuple[Approval, ...] = ()


def status(connection: Connection, now: datetime) -> Status:
    """The ledger as of `now`."""
    return Status(
        at=now,
        requests=_by_state(connection, requests.c.state),
        deadlines=_deadlines(connection, now),
        batches=_by_state(connection, batches.c.state),
        models=_models(connection),
        datasets=_datasets(connection),
        approvals=approvals.waiting(connection),
    )


def _by_state(connection: Connection, state: ColumnElement[Any]) -> dict[str, int]:
    query = select(state, func.count()).group_by(state).order_by(state)
    return dict(connection.execute(query).tuples().all())


def _deadlines(connection: Connection, now: datetime) -> Deadlines:
    def open_due(*when: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(requests)
        query = query.where(requests.c.state.in_(OPEN_STATES), *when)
        return connection.execute(query).scalar_one()

    due = requests.c.due_at
    return Deadlines(
        on_time=open_due(due > now + _SOON),
        due_in_5_days=open_due(due > now, due <= now + _SOON),
        past_due=open_due(due <= now),
    )


def _models(connection: Connection) -> tuple[ModelStatus, ...]:
    query = select(model_versions.c.model, model_versions.c.dataset).distinct()
    found = []
    for row in connection.execute(query.order_by(model_versions.c.model)).all():
        champion = models.champion(connection, row.model)
        found.append(
            ModelStatus(
                model=row.model,
                dataset=row.dataset,
                champion=None if champion is None else champion.version,
                floor=models.floor(connection, row.model),
                debts=settling.debts(connection, row.model),
                edits=0 if champion is None else champion.edits,
                held_out_loss=None if champion is None else champion.held_out_loss,
                hard_row_excess=None if champion is None else champion.hard_row_excess,
            )
        )
    return tuple(found)


def _datasets(connection: Connection) -> tuple[DatasetStatus, ...]:
    published = select(dataset_versions.c.dataset, func.count()).group_by(
        dataset_versions.c.dataset
    )
    counts = dict(connection.execute(published).tuples().all())
    asked = set(connection.execute(select(targets.c.dataset).distinct()).scalars())
    return tuple(
        DatasetStatus(
            dataset=name,
            version=versions.current(connection, name),
            versions=counts.get(name, 0),
            suppressed=versions.count(connection, name),
        )
        for name in sorted(asked | set(counts))
    )
