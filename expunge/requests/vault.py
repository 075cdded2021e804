"""Where raw subject ids wait: encrypted row by row, under data keys outside the database.

A filing is sealed under the intake key of its month. A claim re-wraps it under the batch's own
key, so that destroying that key after the purge destroys the ids of the batch, in the write-ahead
log and in backups too. What leaves a batch unerased goes back under the intake key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, update

from expunge.keys import DataKey, KeyRing
from expunge.requests.chunks import chunked
from expunge.requests.schema import targets, vault


def intake_key(at: datetime) -> str:
    """Name of the data key that filings of this month are sealed under."""
    return f"intake-{at:%Y%m}"


def context(request_id: str, dataset: str) -> bytes:
    """What an entry is bound to: it decrypts for this request in this dataset only."""
    return f"vault\0{request_id}\0{dataset}".encode()


def reveal(connection: Connection, keys: KeyRing, target_ids: Collection[int]) -> dict[int, str]:
    """Raw subject ids by target; targets whose entry was removed are not in it."""
    opened = _open(connection, keys, target_ids)
    return {target: plain.decode() for target, _, plain in opened}


def rewrap(connection: Connection, keys: KeyRing, target_ids: Collection[int], name: str) -> None:
    """Encrypt the entries of `target_ids` anew, under data key `name`."""
    if not target_ids:
        return
    key = keys.data_key(name, create=True)
    change = update(vault).where(vault.c.target_id == bindparam("target"))
    for entries in chunked(_open(connection, keys, target_ids)):
        rows = [
            {"target": target, "key_name": name, "sealed": key.seal(plain, context=bound)}
            for target, bound, plain in entries
        ]
        connection.execute(change, rows)


def _open(
    connection: Connection, keys: KeyRing, target_ids: Collection[int]
) -> Iterator[tuple[int, bytes, bytes]]:
    """Target, context and plain subject of each entry."""
    opened: dict[str, DataKey] = {}
    for chunk in chunked(target_ids):
        query = (
            select(vault, targets.c.request_id, targets.c.dataset)
            .join(targets, targets.c.id == vault.c.target_id)
            .where(vault.c.target_id.in_(chunk))
        )
        for row in connection.execute(query).all():
            if row.key_name not in opened:
                opened[row.key_name] = keys.data_key(row.key_name)
            bound = context(row.request_id, row.dataset)
            yield row.target_id, bound, opened[row.key_name].unseal(row.sealed, context=bound)


def forget(connection: Connection, target_ids: Collection[int]) -> None:
    """Remove the entries of targets that need their subject no more."""
    for chunk in chunked(target_ids):
        connection.execute(delete(vault).where(vault.c.target_id.in_(chunk)))
