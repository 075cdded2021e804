"""What becomes of each claim once the dataset has been looked into.

A person who is not there was erased before (the request cites that one, and joins its batch where
a model still holds a debt), or never was there. Several claims of one person are one: the first
holds the rows, the others are settled alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from expunge.keys import ReferenceKey
from expunge.requests import batches, vault
from expunge.requests.chunks import chunked
from expunge.requests.errors import illegal
from expunge.requests.events import Draft, record
from expunge.requests.projection import project
from expunge.requests.schema import requests, settlements, suppressions, targets
from expunge.requests.values import Claim, Fence, RequestState

if TYPE_CHECKING:
    from expunge.requests.store import Store


@dataclass(frozen=True, slots=True)
class _Fate:
    """What a target's row says after the disposition."""

    state: RequestState
    batch_id: str | None
    disposition: str | None = None
    reason: str | None = None
    cites: str | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Where an absent person was erased: the first request, and a target that still owes."""

    request_id: str | None
    owing: Row[Any] | None


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
        people: dict[str, list[Claim]] = defaultdict(list)
        for claim in batches.claims(connection, store, batch_id):
            people[claim.subject_id].append(claim)
        stopped = _stopped(people.values(), blocked)
        gone = [
            subject
            for subject, claims in people.items()
            if claims[0].target_id in absent and claims[0].target_id not in stopped
        ]
        earlier = _earlier(connection, found.dataset, gone, references)
        fates: dict[int, _Fate] = {}
        for subject, claims in people.items():
            if subject in earlier:
                fates.update(_absent(claims, earlier[subject], batch_id))
            elif claims[0].target_id in stopped:
                fates.update(_blocked(claims, stopped))
            else:
                fates.update(_kept(claims, rows, batch_id))
        batches.release_claims(connection, store, batch_id, stopped)
        _write(connection, store, found.dataset, batch_id, fates)
        _share_debts(connection, people, earlier)


def _stopped(people: Iterable[Sequence[Claim]], blocked: Mapping[int, str]) -> dict[int, str]:
    """Why, for every claim of a person of whom one is blocked."""
    stopped: dict[int, str] = {}
    for claims in people:
        reasons = [blocked[each.target_id] for each in claims if each.target_id in blocked]
        stopped.update((each.target_id, reasons[0]) for each in claims if reasons)
    return stopped


def _blocked(claims: Sequence[Claim], reasons: Mapping[int, str]) -> Iterator[tuple[int, _Fate]]:
    for claim in claims:
        yield claim.target_id, _Fate("blocked", None, reason=reasons[claim.target_id])


def _kept(
    claims: Sequence[Claim], rows: Mapping[int, int], batch_id: str
) -> Iterator[tuple[int, _Fate]]:
    """The first claim holds the person's rows, later ones cite it."""
    first, *others = claims
    held = rows.get(first.target_id, 0)
    yield first.target_id, _Fate("claimed", batch_id, "erase", rows=held)
    for claim in others:
        yield claim.target_id, _Fate("claimed", batch_id, "same_person", cites=first.request_id)


def _absent(
    claims: Sequence[Claim], earlier: _Earlier, batch_id: str
) -> Iterator[tuple[int, _Fate]]:
    cites = earlier.request_id
    for claim in claims:
        if earlier.owing is not None:
            other = earlier.owing.batch_id
            yield claim.target_id, _Fate("erased_model_pending", other, "joined", cites=cites)
        else:
            state: RequestState = "already_erased" if cites else "no_match"
            yield claim.target_id, _Fate(state, batch_id, state, cites=cites)


def _write(
    connection: Connection, store: Store, dataset: str, batch_id: str, fates: Mapping[int, _Fate]
) -> None:
    """Update the targets whose fate is new, their requests, and the history."""
    change = update(targets).where(targets.c.id == bindparam("target"))
    drafts: list[Draft] = []
    moved: list[str] = []
    ended: list[int] = []
    for chunk in chunked(fates):
        rows = connection.execute(select(targets).where(targets.c.id.in_(chunk))).all()
        new = [row for row in rows if _told(row) != fates[row.id]]
        if new:
            connection.execute(change, [{"target": row.id, **asdict(fates[row.id])} for row in new])
        for row in sorted(new, key=lambda each: (each.due_at, each.id)):
            fate = fates[row.id]
            told = {name: value for name, value in asdict(fate).items() if value is not None}
            kind = fate.disposition or fate.state
            kind = "found" if kind == "erase" else kind
            drafts.append(Draft(kind, row.request_id, batch_id, dataset, None, told))
            if fate.state != "claimed":
                moved.append(row.request_id)
            if fate.state not in ("claimed", "blocked"):
                ended.append(row.id)
    vault.forget(connection, ended)
    project(connection, moved)
    _explain(connection, drafts)
    record(connection, store.now(), drafts)


def _told(row: Row[Any]) -> _Fate:
    return _Fate(**{name: row._mapping[name] for name in _Fate.__dataclass_fields__})


def _explain(connection: Connection, drafts: Sequence[Draft]) -> None:
    """A blocked request says why."""
    change = update(requests).where(requests.c.id == bindparam("request"))
    reasons = [
        {"request": draft.request_id, "reason": draft.payload["reason"]}
        for draft in drafts
        if draft.kind == "blocked"
    ]
    if reasons:
        connection.execute(change, reasons)


def _earlier(
    connection: Connection,
    dataset: str,
    subjects: Sequence[str],
    references: Sequence[ReferenceKey],
) -> dict[str, _Earlier]:
    """For each absent person, under whichever key: what is known of an earlier erasure."""
    by_ref = {key.ref(subject): subject for key in references for subject in subjects}
    first = (
        select(suppressions.c.subject_ref, targets.c.request_id)
        .join(targets, targets.c.id == suppressions.c.target_id)
        .where(suppressions.c.dataset == dataset)
        .order_by(targets.c.id.desc())
    )
    owing = (
        select(requests.c.subject_ref, targets.c.id, targets.c.batch_id)
        .join(targets, targets.c.request_id == requests.c.id)
        .where(targets.c.dataset == dataset, targets.c.state == "erased_model_pending")
        .order_by(targets.c.id)
    )
    cited = {
        by_ref[row.subject_ref]: row.request_id
        for row in _by_ref(connection, first, suppressions.c.subject_ref, by_ref)
    }
    owes = {
        by_ref[row.subject_ref]: row
        for row in _by_ref(connection, owing, requests.c.subject_ref, by_ref)
    }
    return {
        subject: _Earlier(cited.get(subject), owes.get(subject) if subject in cited else None)
        for subject in subjects
    }


def _by_ref(
    connection: Connection, query: Select[Any], column: Any, refs: Collection[str]
) -> Iterator[Row[Any]]:
    for chunk in chunked(refs):
        yield from connection.execute(query.where(column.in_(chunk))).all()


def _share_debts(
    connection: Connection, people: Mapping[str, Sequence[Claim]], earlier: Mapping[str, _Earlier]
) -> None:
    """Those who join a batch share the settlements of the target that holds the person's rows."""
    for subject, each in earlier.items():
        if each.owing is None:
            continue
        owed = select(settlements.c.model, settlements.c.state, settlements.c.version)
        rows = connection.execute(owed.where(settlements.c.target_id == each.owing.id)).all()
        copies = [
            {"target_id": claim.target_id, **row._mapping}
            for claim in people[subject]
            for row in rows
        ]
        connection.execute(insert(settlements), copies)
