"""What an operator decides about a request: hold, release, deny, cancel, confirm, extend.

Each acts on the targets that nobody works on yet; those in a batch are out of reach, so a
request with one is refused as `claimed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select, update

from expunge.requests import vault
from expunge.requests.deadlines import due_at
from expunge.requests.errors import illegal, unknown
from expunge.requests.events import Draft, record
from expunge.requests.projection import project
from expunge.requests.schema import requests, targets
from expunge.requests.values import OPEN_STATES, RequestState

if TYPE_CHECKING:
    from expunge.requests.store import Store


@dataclass(frozen=True)
class _Rule:
    """From which states of the request a decision is allowed, and what its targets become."""

    allowed: tuple[RequestState, ...]
    becomes: RequestState
    event: str
    ends: bool = False
    confirms: bool = False
    untouched: bool = False


_RULES: Mapping[str, _Rule] = {
    "hold": _Rule(("pending",), "on_hold", "held_back"),
    "release": _Rule(("on_hold",), "pending", "released"),
    "deny": _Rule(("pending", "on_hold", "blocked"), "denied", "denied", ends=True),
    "cancel": _Rule(("pending",), "cancelled", "cancelled", ends=True, untouched=True),
    "confirm": _Rule(("blocked",), "pending", "confirmed", confirms=True),
}


def decide(store: Store, verb: str, request_id: str, reason: str | None) -> None:
    """Apply one decision, in one transaction; TransitionError where the state forbids it."""
    rule = _RULES[verb]
    with store.write() as connection:
        state = _request(connection, request_id).state
        if state not in rule.allowed:
            raise illegal("Request", request_id, state, verb, rule.allowed)
        states = dict(
            connection.execute(
                select(targets.c.id, targets.c.state).where(targets.c.request_id == request_id)
            )
            .tuples()
            .all()
        )
        if rule.untouched and set(states.values()) != {"pending"}:
            raise illegal("Request", request_id, "partly done", verb, ("pending in every dataset",))
        moved = [target for target, found in states.items() if found in rule.allowed]
        changes: dict[str, Any] = {"state": rule.becomes, "reason": reason}
        if rule.confirms:
            changes["confirmed"] = True
        connection.execute(update(targets).where(targets.c.id.in_(moved)).values(**changes))
        if rule.ends:
            vault.forget(connection, moved)
        project(connection, [request_id])
        connection.execute(
            update(requests).where(requests.c.id == request_id).values(reason=reason)
        )
        record(connection, store.now(), [Draft(rule.event, request_id, payload={"reason": reason})])


def extend(store: Store, request_id: str, reason: str) -> None:
    """Move the deadline as the regulation allows once, with notice to the person."""
    with store.write() as connection:
        found = _request(connection, request_id)
        if found.extended or found.state not in OPEN_STATES:
            state = "extended already" if found.extended else found.state
            raise illegal("Request", request_id, state, "extend", ("open and not extended",))
        due = due_at(found.regulation, found.received_at, extended=True)
        connection.execute(
            update(requests).where(requests.c.id == request_id).values(due_at=due, extended=True)
        )
        connection.execute(
            update(targets).where(targets.c.request_id == request_id).values(due_at=due)
        )
        payload = {"reason": reason, "due_at": due.isoformat()}
        record(connection, store.now(), [Draft("extended", request_id, payload=payload)])


def _request(connection: Connection, request_id: str) -> Row[Any]:
    row = connection.execute(select(requests).where(requests.c.id == request_id)).one_or_none()
    if row is None:
        raise unknown("request", request_id)
    return row
