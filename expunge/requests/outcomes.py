"""What each station of a batch came to: written once, with the batch's next state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import Connection, insert, select

from expunge.requests import batches
from expunge.requests.errors import illegal
from expunge.requests.events import Draft, record
from expunge.requests.payloads import checked_payload
from expunge.requests.schema import outcomes
from expunge.requests.values import Batch, BatchState, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store

_ORDER: tuple[BatchState, ...] = get_args(BatchState)[:5]


def outcome(
    connection: Connection, batch_id: str, station: str, part: str
) -> dict[str, Any] | None:
    """The recorded outcome, or None."""
    query = select(outcomes.c.payload).where(
        outcomes.c.batch_id == batch_id, outcomes.c.station == station, outcomes.c.part == part
    )
    found: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
    return found


def parts(connection: Connection, batch_id: str, station: str) -> tuple[str, ...]:
    """The parts of a station that have an outcome, in the order in which they came."""
    query = select(outcomes.c.part).where(
        outcomes.c.batch_id == batch_id, outcomes.c.station == station
    )
    return tuple(connection.execute(query.order_by(outcomes.c.at, outcomes.c.part)).scalars())


def conclude(
    store: Store,
    fence: Fence,
    batch_id: str,
    station: str,
    payload: Mapping[str, Any],
    *,
    part: str,
    state: BatchState | None,
) -> dict[str, Any]:
    """Record an outcome once, and advance the batch; a replay gets back what is recorded."""
    fresh = checked_payload(payload)
    with store.write(fence) as connection:
        found = batches.fenced(connection, fence, batch_id)
        recorded = outcome(connection, batch_id, station, part)
        if recorded is None:
            key = {"batch_id": batch_id, "station": station, "part": part}
            now = store.now()
            connection.execute(insert(outcomes).values(**key, payload=fresh, at=now))
            told = {"station": station, "part": part, "outcome": fresh}
            record(connection, now, [Draft("concluded", None, batch_id, found.dataset, None, told)])
        if state is not None:
            _advance(connection, store, found, state)
        return fresh if recorded is None else recorded


def _advance(connection: Connection, store: Store, found: Batch, state: BatchState) -> None:
    """Forward by one step; a state that is reached already stays."""
    ended = ("failed", "postponed")
    if state in ended or found.state in ended:
        allowed = ("changed by `fail` or `postpone`",)
        raise illegal("Batch", found.id, found.state, f"becoming {state}", allowed)
    here, there = _ORDER.index(found.state), _ORDER.index(state)
    if there <= here:
        return
    if state == "finished":
        batches.require_finishable(connection, found)
    elif there > here + 1 or state == "published":
        needed = _ORDER[there - 1] if state != "published" else "recorded as an erasure"
        raise illegal("Batch", found.id, found.state, f"becoming {state}", (needed,))
    batches.set_state(connection, found, state, store.now())
