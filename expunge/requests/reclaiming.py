"""Batches that a ledger from a backup lost, made again under their own ids."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Row, select, update

from expunge.requests import batches
from expunge.requests.chunks import chunked
from expunge.requests.errors import LedgerConflictError
from expunge.requests.schema import requests, targets
from expunge.requests.values import Batch, Fence

if TYPE_CHECKING:
    from expunge.requests.store import Store


def unasked(store: Store, dataset: str, subject_ids: Collection[str]) -> list[str]:
    """Those of some people for whom no target of the dataset is pending."""
    people = _by_ref(store, subject_ids)
    with store.read() as connection:
        asked = {people[row.subject_ref] for row in _pending(connection, dataset, people)}
    return [each for each in subject_ids if each not in asked]


def reclaim(
    store: Store,
    fence: Fence,
    batch_id: str,
    champions: Mapping[str, str | None],
    subject_ids: Collection[str],
) -> Batch:
    """Open batch `batch_id` again with these people's pending targets; once open, return it.

    They count as confirmed: whoever had to confirm an erasure that was published did so.
    """
    with store.write(fence) as connection:
        found = batches.open_batch(connection, fence.dataset)
        if found is not None and found.id == batch_id:
            return found
        if found is not None or batches.exists(connection, batch_id):
            raise LedgerConflictError(
                f"Batch {batch_id} cannot be made again: "
                f"{f'{found.id} is open' if found else 'the ledger has it'}.",
                fix=f"look at `expunge trace batch {batch_id}`",
            )
        mine = _pending(connection, fence.dataset, _by_ref(store, subject_ids))
        taken = {row.id: row.request_id for row in mine}
        for chunk in chunked(taken):
            confirm = update(targets).where(targets.c.id.in_(chunk))
            connection.execute(confirm.values(confirmed=True))
        return batches.opened(connection, store, fence, champions, taken, batch_id=batch_id)


def _by_ref(store: Store, subject_ids: Collection[str]) -> dict[str, str]:
    """People by their references under every key that there is."""
    return {key.ref(each): each for key in store.keys.references() for each in subject_ids}


def _pending(
    connection: Connection, dataset: str, refs: Collection[str]
) -> Iterator[Row[tuple[int, str, str]]]:
    for chunk in chunked(refs):
        query = (
            select(targets.c.id, targets.c.request_id, requests.c.subject_ref)
            .join(requests, requests.c.id == targets.c.request_id)
            .where(targets.c.dataset == dataset, targets.c.state == "pending")
            .where(requests.c.subject_ref.in_(chunk))
        )
        yield from connection.execute(query).all()
