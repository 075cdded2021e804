"""The append-only history: every change writes what it did, in its own transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from expunge.requests.bulk import insert_rows
from expunge.requests.schema import events
from expunge.requests.values import Event

if TYPE_CHECKING:
    from expunge.requests.store import Store

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has no number yet. The payload never names a subject."""

    kind: str
    request_id: str | None = None
    batch_id: str | None = None
    dataset: str | None = None
    model: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


def record(connection: Connection, at: datetime, drafts: Sequence[Draft]) -> None:
    """Append `drafts` in order; the caller's transaction is the only writer, so no gaps."""
    if not drafts:
        return
    last = connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one()
    rows = [
        (seq, at, each.kind, each.request_id, each.batch_id, each.dataset, each.model, each.payload)
        for seq, each in enumerate(drafts, start=last + 1)
    ]
    insert_rows(connection, events, rows)


def read(store: Store, **wanted: str | None) -> Iterator[Event]:
    """Events in order, of the given request, batch, dataset or model; read page by page."""
    chosen = [events.c[name] == value for name, value in wanted.items() if value is not None]
    last = 0
    while True:
        query = select(events).where(events.c.seq > last, *chosen)
        with store.read() as connection:
            page = connection.execute(query.order_by(events.c.seq).limit(_PAGE)).all()
        for row in page:
            yield Event(**row._mapping)
        if len(page) < _PAGE:
            return
        last = page[-1].seq
