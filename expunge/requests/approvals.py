"""Approvals: a person's yes or no to a candidate that passed the gate, for as long as it is asked.

A question names one candidate by the digest of its files. Whoever answers it, with a reason, is in
the history; a question that nobody answers in time expires, and is never taken for a yes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, insert, select, update

from expunge.requests import batches
from expunge.requests.errors import TransitionError, UnknownRecordError, illegal
from expunge.requests.events import Draft, record
from expunge.requests.schema import approvals
from expunge.requests.values import Approval, ApprovalState, Batch, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store

Verdict = Literal["approved", "rejected"]
_FIELDS = tuple(Approval.__dataclass_fields__)
_ENDS = ("state", "decided_at", "decided_by", "reason")
_KINDS: dict[ApprovalState, str] = {"expired": "approval_expired", "void": "approval_void"}


def find(connection: Connection, batch_id: str, part: str) -> Approval | None:
    """The question about one attempt, or None."""
    key = (approvals.c.batch_id == batch_id, approvals.c.part == part)
    row = connection.execute(select(approvals).where(*key)).one_or_none()
    return None if row is None else Approval(**row._mapping)


def of_batch(connection: Connection, batch_id: str) -> tuple[Approval, ...]:
    """Every question of a batch, in the order in which they were asked."""
    query = select(approvals).where(approvals.c.batch_id == batch_id)
    rows = connection.execute(query.order_by(approvals.c.asked_at, approvals.c.part))
    return tuple(Approval(**row._mapping) for row in rows)


def waiting(connection: Connection) -> tuple[Approval, ...]:
    """Every question that nobody has answered, nearest end first."""
    query = select(approvals).where(approvals.c.state == "waiting")
    rows = connection.execute(query.order_by(approvals.c.expires_at, approvals.c.batch_id))
    return tuple(Approval(**row._mapping) for row in rows)


def ask(store: Store, fence: Fence, asked: Approval) -> Approval:
    """Put a question, once; the one that is there comes back as it stands."""
    with store.write(fence) as connection:
        dataset = batches.fenced(connection, fence, asked.batch_id).dataset
        known = find(connection, asked.batch_id, asked.part)
        if known is not None:
            return known
        connection.execute(
            insert(approvals).values(**{name: getattr(asked, name) for name in _FIELDS})
        )
        told = {"part": asked.part, "version": asked.version, "digest": asked.digest}
        told["expires_at"] = asked.expires_at.isoformat()
        place = (None, asked.batch_id, dataset, asked.model)
        record(connection, asked.asked_at, [Draft("approval_asked", *place, told)])
        return asked


def decide(
    store: Store, batch_id: str, model: str | None, verdict: Verdict, *, by: str, reason: str
) -> Approval:
    """Answer the question about a batch's candidate; the same answer again changes nothing.

    Raises:
        UnknownRecordError: no such batch, or nothing was asked about it.
        TransitionError: it is not open any more, or several are and no `model` was given.
    """
    with store.write() as connection:
        dataset = batches.batch(connection, batch_id).dataset
        found = _asked(of_batch(connection, batch_id), batch_id, model)
        if found.state == verdict:
            return found
        now = store.now()
        if found.state == "waiting" and now >= found.expires_at:
            found = replace(found, state="expired")
        if found.state != "waiting":
            raise illegal("Approval", f"of {found.model}", found.state, verdict, ("waiting",))
        found = replace(found, state=verdict, decided_at=now, decided_by=by, reason=reason)
        return _close(connection, dataset, found)


def close(
    store: Store,
    fence: Fence,
    found: Approval,
    state: Literal["expired", "void"],
    reason: str,
) -> Approval:
    """End a question: unanswered in time, or about what is no more; a no stays a no.

    One that was answered while we thought of it as expired keeps its answer.
    """
    with store.write(fence) as connection:
        dataset = batches.fenced(connection, fence, found.batch_id).dataset
        known = find(connection, found.batch_id, found.part) or found
        still = ("waiting",) if state == "expired" else ("waiting", "approved")
        if known.state not in still:
            return known
        ended = replace(known, state=state, decided_at=store.now(), decided_by=None, reason=reason)
        return _close(connection, dataset, ended)


def void(connection: Connection, batch: Batch, model: str, now: datetime) -> None:
    """End the open questions about a model that was decided on in another way: by training."""
    for each in of_batch(connection, batch.id):
        if each.model == model and each.state == "waiting":
            reason = "the model was decided on without it"
            ended = replace(each, state="void", decided_at=now, reason=reason)
            _close(connection, batch.dataset, ended)


def _asked(known: tuple[Approval, ...], batch_id: str, model: str | None) -> Approval:
    """The one question that is meant: the open one, or the last."""
    mine = [each for each in known if model in (None, each.model)]
    still = [each for each in mine if each.state == "waiting"]
    if len({each.model for each in still}) > 1:
        names = ", ".join(sorted({each.model for each in still}))
        raise TransitionError(
            f"Several models of batch {batch_id} wait for approval: {names}.",
            fix="say which: --model NAME",
        )
    if not mine:
        what = f"of model {model!r} " if model else ""
        raise UnknownRecordError(
            f"No candidate {what}was put to anyone for approval in batch {batch_id}.",
            fix="expunge status lists what waits for approval",
        )
    return (still or mine)[-1]


def _close(connection: Connection, dataset: str, closed: Approval) -> Approval:
    """Write down how a question ended, with its event."""
    values = {name: getattr(closed, name) for name in _ENDS}
    key = (approvals.c.batch_id == closed.batch_id, approvals.c.part == closed.part)
    connection.execute(update(approvals).where(*key).values(**values))
    told = {"part": closed.part, "version": closed.version, "digest": closed.digest}
    told |= {"reason": closed.reason or "", "by": closed.decided_by or ""}
    place = (None, closed.batch_id, dataset, closed.model)
    kind = _KINDS.get(closed.state, closed.state)
    record(connection, closed.decided_at or closed.asked_at, [Draft(kind, *place, told)])
    return closed
