"""One writer per dataset: a lock with a lease, a heartbeat, and a fencing token.

The token grows with every holder and is checked inside each write transaction, so a holder that
was paused beyond its lease can still try, and is refused. The lease only decides when others may
take over; a holder of this host that is dead loses the lock at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from expunge.errors import TransientError
from expunge.requests.errors import DatasetLockedError, LockLostError
from expunge.requests.events import Draft, record
from expunge.requests.holders import is_dead, this_holder
from expunge.requests.schema import locks
from expunge.requests.values import Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store

logger = logging.getLogger(__name__)


@contextmanager
def hold(store: Store, dataset: str, lease_seconds: float) -> Iterator[Fence]:
    """Be the one writer of `dataset` inside the block; renewed by a thread until it ends."""
    fence = _acquire(store, dataset, lease_seconds)
    stop = threading.Event()
    heartbeat = threading.Thread(
        target=_beat,
        args=(store, fence, lease_seconds, stop),
        name=f"lock-{dataset}",
        daemon=True,
    )
    heartbeat.start()
    try:
        yield fence
    finally:
        stop.set()
        heartbeat.join()
        _release(store, fence)


def is_held(connection: Connection, dataset: str, now: datetime) -> bool:
    """Whether a process that is not known to be dead holds the lock, within its lease."""
    row = connection.execute(select(locks).where(locks.c.dataset == dataset)).one_or_none()
    return row is not None and _is_held(row, now)


def require_fence(connection: Connection, fence: Fence) -> None:
    """Raise LockLostError unless `fence` is the dataset's current holder."""
    row = connection.execute(
        select(locks.c.token, locks.c.holder).where(locks.c.dataset == fence.dataset)
    ).one_or_none()
    if row is None or row.token != fence.token or row.holder != fence.holder:
        raise LockLostError(
            f"The lock on dataset {fence.dataset!r} (token {fence.token}) was taken over "
            "or released.",
            fix="run the command again: it goes on from what is recorded",
        )


def _acquire(store: Store, dataset: str, lease_seconds: float) -> Fence:
    holder = this_holder()
    with store.write() as connection:
        now = store.now()
        row = connection.execute(select(locks).where(locks.c.dataset == dataset)).one_or_none()
        if row is not None and row.holder is not None:
            if _is_held(row, now):
                raise DatasetLockedError(
                    f"Dataset {dataset!r} is being written by {row.holder}, whose lease runs "
                    f"until {row.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
                    fix="wait for that run to end, then run the command again",
                )
            taken = {"token": row.token, "holder": row.holder}
            record(connection, now, [Draft("lock_taken_over", dataset=dataset, payload=taken)])
        token = 1 if row is None else row.token + 1
        values = {
            "token": token,
            "holder": holder,
            "expires_at": now + timedelta(seconds=lease_seconds),
            "taken_at": now,
        }
        if row is None:
            connection.execute(insert(locks).values(dataset=dataset, **values))
        else:
            connection.execute(update(locks).where(locks.c.dataset == dataset).values(**values))
    return Fence(dataset, token, holder)


def _is_held(row: Row[Any], now: datetime) -> bool:
    return row.holder is not None and now < row.expires_at and not is_dead(row.holder)


def _beat(store: Store, fence: Fence, lease_seconds: float, stop: threading.Event) -> None:
    while not stop.wait(lease_seconds / 3):
        try:
            if not _renew(store, fence, lease_seconds):
                logger.warning("the lock on dataset %s was taken over", fence.dataset)
                return
        except TransientError as error:
            logger.warning("the lock on dataset %s was not renewed: %s", fence.dataset, error.what)


def _renew(store: Store, fence: Fence, lease_seconds: float) -> bool:
    expires_at = store.now() + timedelta(seconds=lease_seconds)
    with store.write_aside() as connection:
        renewed = connection.execute(
            update(locks).where(*_mine(fence)).values(expires_at=expires_at)
        )
        return renewed.rowcount == 1


def _release(store: Store, fence: Fence) -> None:
    """Give the lock back; a failure only costs the next holder the rest of the lease."""
    try:
        with store.write() as connection:
            connection.execute(update(locks).where(*_mine(fence)).values(holder=None))
    except TransientError as error:
        logger.warning("the lock on dataset %s was not released: %s", fence.dataset, error.what)


def _mine(fence: Fence) -> tuple[ColumnElement[bool], ...]:
    return (
        locks.c.dataset == fence.dataset,
        locks.c.token == fence.token,
        locks.c.holder == fence.holder,
    )
