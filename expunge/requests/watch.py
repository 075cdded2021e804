"""The ledger watched from outside: what is waiting, what is late, what is stuck.

Only ever reads, and a role that may do no more is enough; the database is neither made nor
migrated. Counts and dates, by dataset, model and station; never a request's id or a person's
reference: these numbers become labels that a monitoring system keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, Row, func, select

from expunge.requests.errors import LedgerUnavailableError
from expunge.requests.ledger import utc_now
from expunge.requests.schema import (
    batches,
    events,
    locks,
    model_versions,
    requests,
    settlements,
    targets,
)
from expunge.requests.store import checked_url, reading_engine, translated
from expunge.requests.values import BEFORE_END, OPEN_STATES

_COUNTED = ("concluded", "batch_failed")


@dataclass(frozen=True)
class Waiting:
    """Targets of one dataset by state; dates are those of the open ones, None without any."""

    dataset: str
    states: Mapping[str, int]
    oldest_received: datetime | None
    nearest_due: datetime | None
    overdue: int


@dataclass(frozen=True)
class BatchTimes:
    """When a dataset's last batch ended well; when its open one began, and last moved."""

    dataset: str
    finished_at: datetime | None
    opened_at: datetime | None
    moved_at: datetime | None


@dataclass(frozen=True)
class Debt:
    """A governed model: how many `batches` it still owes, and whether the gate let none through."""

    dataset: str
    model: str
    batches: int
    held: bool


@dataclass(frozen=True)
class LockState:
    """A dataset's writer lock; a holder that died far away leaves it held beyond its lease."""

    dataset: str
    held: bool
    expires_at: datetime
    taken_at: datetime | None


@dataclass(frozen=True)
class Sight:
    """The ledger as of `at`."""

    at: datetime
    backlogs: tuple[Waiting, ...]
    batches: tuple[BatchTimes, ...]
    debts: tuple[Debt, ...]
    locks: tuple[LockState, ...]


@dataclass(frozen=True)
class Concluded:
    """A station's outcome (`seconds`, and the gate's `verdict`), or a batch that failed."""

    seq: int
    dataset: str
    failed: bool
    station: str
    model: str | None
    seconds: float
    verdict: str | None


@dataclass(frozen=True)
class Watch:
    """A connection to the ledger that cannot write."""

    engine: Engine = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)

    @classmethod
    @contextmanager
    def open(cls, url: str, now: Callable[[], datetime] = utc_now) -> Iterator[Self]:
        """Watch the ledger at an SQLAlchemy URL; LedgerUnavailableError where there is none."""
        parsed = checked_url(url)
        if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
            raise LedgerUnavailableError(
                "There is no ledger yet.", fix="it is made by the first `expunge request` command"
            )
        engine = reading_engine(parsed)
        try:
            yield cls(engine, now)
        finally:
            engine.dispose()

    def sight(self) -> Sight:
        """What there is to see, as of one moment."""
        now = self.now()
        with translated(), self.engine.connect() as connection:
            return Sight(
                at=now,
                backlogs=_backlogs(connection, now),
                batches=_batches(connection),
                debts=_debts(connection),
                locks=_locks(connection),
            )

    def concluded(self, after: int) -> tuple[Concluded, ...]:
        """What stations came to since event `after`, oldest first; events are never changed."""
        query = select(
            events.c.seq,
            events.c.dataset,
            events.c.kind,
            events.c.payload["station"].as_string().label("station"),
            events.c.payload["part"].as_string().label("part"),
            events.c.payload[("outcome", "seconds")].as_float().label("seconds"),
            events.c.payload[("outcome", "outcome")].as_string().label("verdict"),
        ).where(events.c.seq > after, events.c.kind.in_(_COUNTED))
        with translated(), self.engine.connect() as connection:
            return tuple(
                _concluded(row) for row in connection.execute(query.order_by(events.c.seq))
            )


def _concluded(row: Row[Any]) -> Concluded:
    station = row.station or ""
    return Concluded(
        seq=row.seq,
        dataset=row.dataset,
        failed=row.kind == "batch_failed",
        station=station,
        model=(row.part or "").split("/")[0] or None,
        seconds=row.seconds or 0.0,
        verdict=row.verdict if station == "gate" else None,
    )


def _backlogs(connection: Connection, now: datetime) -> tuple[Waiting, ...]:
    by_state = select(targets.c.dataset, targets.c.state, func.count()).group_by(
        targets.c.dataset, targets.c.state
    )
    counts: dict[str, dict[str, int]] = {}
    for dataset, state, number in connection.execute(by_state).tuples():
        counts.setdefault(dataset, dict.fromkeys(OPEN_STATES, 0))[state] = number
    waiting = (
        select(
            targets.c.dataset,
            func.min(requests.c.received_at),
            func.min(targets.c.due_at),
            func.count().filter(targets.c.due_at < now),
        )
        .join(requests, requests.c.id == targets.c.request_id)
        .where(targets.c.state.in_(OPEN_STATES))
        .group_by(targets.c.dataset)
    )
    dates = {row[0]: row[1:] for row in connection.execute(waiting)}
    return tuple(
        Waiting(name, states, *dates.get(name, (None, None, 0)))
        for name, states in sorted(counts.items())
    )


def _batches(connection: Connection) -> tuple[BatchTimes, ...]:
    datasets = sorted(connection.execute(select(batches.c.dataset).distinct()).scalars())
    return tuple(_times(connection, name) for name in datasets)


def _times(connection: Connection, dataset: str) -> BatchTimes:
    newest = select(batches.c.id).where(batches.c.dataset == dataset, batches.c.state == "finished")
    newest = newest.order_by(batches.c.created_at.desc()).limit(1)
    finished = select(func.max(events.c.at)).where(
        events.c.batch_id == newest.scalar_subquery(), events.c.kind == "batch_finished"
    )
    still_open = select(batches.c.id, batches.c.created_at).where(
        batches.c.dataset == dataset, batches.c.state.in_(BEFORE_END)
    )
    row = connection.execute(still_open).one_or_none()
    moved = None
    if row is not None:
        last = select(func.max(events.c.at)).where(events.c.batch_id == row.id)
        moved = connection.execute(last).scalar()
    done = connection.execute(finished).scalar()
    return BatchTimes(dataset, done, None if row is None else row.created_at, moved)


def _debts(connection: Connection) -> tuple[Debt, ...]:
    named = select(model_versions.c.model, model_versions.c.dataset).distinct()
    governed = connection.execute(named.order_by(model_versions.c.model)).tuples().all()
    query = (
        select(
            settlements.c.model,
            func.count(targets.c.batch_id.distinct()),
            func.count().filter(settlements.c.state == "held"),
        )
        .join(targets, targets.c.id == settlements.c.target_id)
        .where(
            settlements.c.model.in_([model for model, _ in governed]),
            settlements.c.state.in_(("pending", "held")),
        )
        .group_by(settlements.c.model)
    )
    owed = {model: (owes, held > 0) for model, owes, held in connection.execute(query).tuples()}
    return tuple(Debt(dataset, model, *owed.get(model, (0, False))) for model, dataset in governed)


def _locks(connection: Connection) -> tuple[LockState, ...]:
    rows = connection.execute(select(locks).order_by(locks.c.dataset))
    return tuple(
        LockState(row.dataset, row.holder is not None, row.expires_at, row.taken_at) for row in rows
    )
