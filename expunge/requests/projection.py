"""The state of a request, projected from the states of its targets.

Open work comes first, in the order in which it needs someone; then how it ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from sqlalchemy import Connection, select, update

from expunge.requests.chunks import chunked
from expunge.requests.schema import requests, settlements, targets
from expunge.requests.values import RequestState

_ORDER: tuple[RequestState, ...] = (
    "blocked",
    "on_hold",
    "claimed",
    "pending",
    "received",
    "erased_model_pending",
    "denied",
    "cancelled",
    "completed",
    "already_erased",
    "no_match",
)


def projected(states: Iterable[str]) -> RequestState:
    """State of a request whose targets have these states (at least one)."""
    present = set(states)
    return next(state for state in _ORDER if state in present)


def project(connection: Connection, request_ids: Collection[str]) -> None:
    """Write the projected state of each request that has changed."""
    for chunk in chunked(dict.fromkeys(request_ids)):
        states: dict[str, set[str]] = defaultdict(set)
        query = select(targets.c.request_id, targets.c.state)
        found = connection.execute(query.where(targets.c.request_id.in_(chunk)))
        for request_id, state in found.tuples().all():
            states[request_id].add(state)
        before = select(requests.c.id, requests.c.state).where(requests.c.id.in_(chunk))
        changed: dict[RequestState, list[str]] = defaultdict(list)
        for request_id, known in connection.execute(before).tuples().all():
            state = projected(states[request_id])
            if known != state:
                changed[state].append(request_id)
        for state, ids in changed.items():
            connection.execute(update(requests).where(requests.c.id.in_(ids)).values(state=state))


def complete_settled(connection: Connection, target_ids: Collection[int]) -> list[int]:
    """Complete the targets whose settlements are all done, and return them."""
    completed: list[int] = []
    for chunk in chunked(target_ids):
        unsettled = select(settlements.c.target_id).where(
            settlements.c.target_id == targets.c.id,
            settlements.c.state.in_(("pending", "held")),
        )
        done = connection.execute(
            update(targets)
            .where(
                targets.c.id.in_(chunk),
                targets.c.state == "erased_model_pending",
                ~unsettled.exists(),
            )
            .values(state="completed")
            .returning(targets.c.id)
        )
        completed += [row.id for row in done]
    return completed
