"""Requests as values: with their targets and settlements, read page by page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, exists, select, tuple_

from expunge.requests.errors import unknown
from expunge.requests.schema import requests, settlements, targets
from expunge.requests.values import Request, RequestState, Settlement, Target

if TYPE_CHECKING:
    from expunge.requests.store import Store

_PAGE = 2_000  # each page of all states sorts what is left
_REQUEST_FIELDS = tuple(name for name in Request.__dataclass_fields__ if name != "targets")
_TARGET_FIELDS = tuple(name for name in Target.__dataclass_fields__ if name != "settlements")


def request(store: Store, request_id: str) -> Request:
    """One request."""
    with store.read() as connection:
        return find(connection, request_id)


def find(connection: Connection, request_id: str) -> Request:
    """One request, or UnknownRecordError."""
    rows = connection.execute(select(requests).where(requests.c.id == request_id)).all()
    if not rows:
        raise unknown("request", request_id)
    return _assembled(connection, rows)[0]


def all_requests(
    store: Store, state: RequestState | None, dataset: str | None, limit: int | None
) -> Iterator[Request]:
    """Requests by deadline, of a state and in a dataset where given; streamed."""
    base = select(requests).order_by(requests.c.due_at, requests.c.id)
    if state is not None:
        base = base.where(requests.c.state == state)
    if dataset is not None:
        # Asked row by row, so that a page of a backlog ends where it is full.
        here = exists().where(targets.c.request_id == requests.c.id, targets.c.dataset == dataset)
        base = base.where(here)
    place, left, query = tuple_(requests.c.due_at, requests.c.id), limit, base
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        with store.read() as connection:
            page = _assembled(connection, connection.execute(query.limit(size)).all())
        yield from page
        if len(page) < size:
            return
        query = base.where(place > (page[-1].due_at, page[-1].id))
        left = None if left is None else left - len(page)


def _assembled(connection: Connection, rows: Sequence[Row[Any]]) -> list[Request]:
    found = _targets(connection, [row.id for row in rows])
    return [
        Request(
            **{name: row._mapping[name] for name in _REQUEST_FIELDS}, targets=tuple(found[row.id])
        )
        for row in rows
    ]


def _targets(connection: Connection, request_ids: list[str]) -> dict[str, list[Target]]:
    query = select(targets).where(targets.c.request_id.in_(request_ids)).order_by(targets.c.id)
    rows = connection.execute(query).all()
    settled: dict[int, list[Settlement]] = defaultdict(list)
    of_targets = settlements.c.target_id.in_([row.id for row in rows])
    query = select(settlements).where(of_targets).order_by(settlements.c.model)
    for row in connection.execute(query):
        settled[row.target_id].append(Settlement(**row._mapping))
    found: dict[str, list[Target]] = defaultdict(list)
    for row in rows:
        values = {name: row._mapping[name] for name in _TARGET_FIELDS}
        found[row.request_id].append(Target(**values, settlements=tuple(settled[row.id])))
    return found
