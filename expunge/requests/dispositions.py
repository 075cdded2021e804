"""What becomes of each claim once the dataset has been looked into.

A person who is not there was erased before (the request cites that one, and joins its batch where
a model still holds a debt), or never was there. Several claims of one person are one: the first
holds the rows, the others are settled alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from expunge.keys import ReferenceKey
from expunge.requests import batches, vault
from expunge.requests.errors import illegal
from expunge.requests.events import Draft, record
from expunge.requests.projection import project
from expunge.requests.schema import requests, settlements, suppressions, targets
from expunge.requests.values import Claim, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store


@dataclass(frozen=True)
class _Desk:
    """One transaction's tools."""

    connection: Connection
    store: Store
    references: tuple[ReferenceKey, ...]
    dataset: str
    batch_id: str

    def mark(self, claim: Claim, **values: Any) -> None:
        """Change the claim's target."""
        change = update(targets).where(targets.c.id == claim.target_id)
        self.connection.execute(change.values(**values))

    def changed(self, claim: Claim, **values: Any) -> bool:
        """`mark`, and whether anything was not so before."""
        differs = [targets.c[name].is_distinct_from(value) for name, value in values.items()]
        change = update(targets).where(targets.c.id == claim.target_id, or_(*differs))
        return self.connection.execute(change.values(**values)).rowcount > 0

    def told(self, kind: str, claim: Claim, **payload: Any) -> Draft:
        """An event of the claim."""
        return Draft(kind, claim.request_id, self.batch_id, self.dataset, None, payload)


def dispose(
    store: Store,
    fence: Fence,
    batch_id: str,
    *,
    absent: Collection[int],
    blocked: Mapping[int, str],
    rows: Mapping[int, int],
) -> None:
    """Write down what stage found, by target id; said again, it changes nothing."""
    references = store.keys.references()
    with store.write(fence) as connection:
        found = batches.fenced(connection, fence, batch_id)
        if found.state not in batches.BEFORE_PUBLISH:
            raise illegal("Batch", batch_id, found.state, "dispose", batches.BEFORE_PUBLISH)
        desk = _Desk(connection, store, references, found.dataset, batch_id)
        people: dict[str, list[Claim]] = defaultdict(list)
        for claim in batches.claims(connection, store, batch_id):
            people[claim.subject_id].append(claim)
        drafts: list[Draft] = []
        for subject_id, claims in people.items():
            reason = next((blocked[c.target_id] for c in claims if c.target_id in blocked), None)
            if reason is not None:
                drafts += _block(desk, claims, reason)
            elif claims[0].target_id in absent:
                drafts += _end(desk, subject_id, claims)
            else:
                drafts += _keep(desk, claims, rows)
        project(connection, {claim.request_id for each in people.values() for claim in each})
        record(connection, store.now(), drafts)


def _block(desk: _Desk, claims: Sequence[Claim], reason: str) -> list[Draft]:
    chosen = [claim.target_id for claim in claims]
    batches.release_claims(desk.connection, desk.store, desk.batch_id, chosen)
    for claim in claims:
        desk.mark(claim, state="blocked", reason=reason)
        own = requests.c.id == claim.request_id
        desk.connection.execute(update(requests).where(own).values(reason=reason))
    return [desk.told("blocked", claim, reason=reason) for claim in claims]


def _keep(desk: _Desk, claims: Sequence[Claim], rows: Mapping[int, int]) -> list[Draft]:
    """The first claim holds the person's rows, later ones cite it."""
    first, *others = claims
    held = rows.get(first.target_id, 0)
    drafts = []
    if desk.changed(first, disposition="erase", rows=held, cites=None):
        drafts.append(desk.told("found", first, rows=held))
    for claim in others:
        if desk.changed(claim, disposition="same_person", rows=0, cites=first.request_id):
            drafts.append(desk.told("same_person", claim, cites=first.request_id))
    return drafts


def _end(desk: _Desk, subject_id: str, claims: Sequence[Claim]) -> list[Draft]:
    refs = [key.ref(subject_id) for key in desk.references]
    cites = _first_request(desk, refs)
    joined = _unsettled_target(desk, refs) if cites else None
    vault.forget(desk.connection, [claim.target_id for claim in claims])
    drafts: list[Draft] = []
    for claim in claims:
        if joined is not None:
            _join(desk, claim, joined, cites)
            drafts.append(desk.told("joined", claim, cites=cites, joins=joined.batch_id))
        else:
            state = "already_erased" if cites else "no_match"
            desk.mark(claim, state=state, cites=cites, disposition=state)
            drafts.append(desk.told(state, claim, cites=cites))
    return drafts


def _first_request(desk: _Desk, refs: Sequence[str]) -> str | None:
    query = (
        select(targets.c.request_id)
        .join(suppressions, suppressions.c.target_id == targets.c.id)
        .where(suppressions.c.dataset == desk.dataset, suppressions.c.subject_ref.in_(refs))
        .order_by(targets.c.id)
    )
    return desk.connection.execute(query).scalars().first()


def _unsettled_target(desk: _Desk, refs: Sequence[str]) -> Row[Any] | None:
    query = (
        select(targets)
        .join(requests, requests.c.id == targets.c.request_id)
        .where(
            requests.c.subject_ref.in_(refs),
            targets.c.dataset == desk.dataset,
            targets.c.state == "erased_model_pending",
        )
        .order_by(targets.c.id.desc())
    )
    return desk.connection.execute(query).first()


def _join(desk: _Desk, claim: Claim, other: Row[Any], cites: str | None) -> None:
    """Share the batch and the debts of the target that holds the person's rows."""
    desk.mark(
        claim,
        state="erased_model_pending",
        batch_id=other.batch_id,
        cites=cites,
        disposition="joined",
    )
    owed = select(settlements.c.model, settlements.c.state, settlements.c.version)
    rows = desk.connection.execute(owed.where(settlements.c.target_id == other.id)).all()
    copies = [{"target_id": claim.target_id, **row._mapping} for row in rows]
    desk.connection.execute(insert(settlements), copies)
