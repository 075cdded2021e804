"""The ledger: what was asked, what was done, and what is still owed.

One object over small modules, each of which is one part of the story. What always holds: every
public write is one transaction with its events in it, every write of a batch checks the fence in
that transaction, and doing a step again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType

from expunge.keys import KeyRing
from expunge.requests import events, locks, status
from expunge.requests.desk import Desk
from expunge.requests.register import Register
from expunge.requests.store import Store
from expunge.requests.values import Event, Fence
from expunge.requests.workbench import Workbench


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class Ledger(Desk, Workbench, Register):
    """Open with `Ledger.open`; use as a context manager, or `close`."""

    @classmethod
    def open(cls, url: str, keys: KeyRing, *, clock: Callable[[], datetime] = utc_now) -> Ledger:
        """The ledger at an SQLAlchemy URL (SQLite file or PostgreSQL), at its newest schema."""
        return cls(Store.open(url, keys, clock))

    def close(self) -> None:
        """Give the database's connections back."""
        self._store.engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def lock(self, dataset: str, lease_seconds: float = 60.0) -> AbstractContextManager[Fence]:
        """Be the dataset's one writer; DatasetLockedError while someone else is."""
        return locks.hold(self._store, dataset, lease_seconds)

    def check(self, fence: Fence) -> None:
        """Raise LockLostError if the lock was taken over or released."""
        with self._store.read() as connection:
            locks.require_fence(connection, fence)

    def events(
        self,
        request_id: str | None = None,
        batch_id: str | None = None,
        dataset: str | None = None,
        model: str | None = None,
    ) -> Iterator[Event]:
        """The history, in order; streamed."""
        return events.read(
            self._store, request_id=request_id, batch_id=batch_id, dataset=dataset, model=model
        )

    def status(self, now: datetime | None = None) -> status.Status:
        """Counts by state and deadline, models, datasets."""
        moment = self._store.now() if now is None else now
        with self._store.read() as connection:
            return status.status(connection, moment)
