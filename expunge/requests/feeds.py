"""How far each table of requests was read: kept in the transaction that files what was read.

So a read that is killed at any moment goes on where it was: a place is never ahead of its requests,
and a request that is read twice is a duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from expunge.requests.errors import LedgerConflictError
from expunge.requests.events import Draft, record
from expunge.requests.schema import feeds
from expunge.requests.values import Feed, Filing


def resumed(connection: Connection, feed: Feed) -> Feed:
    """`feed` with its place; LedgerConflictError where its name stands for another table.

    A place means something in its own table and column only.
    """
    query = select(feeds.c.source, feeds.c.table_name, feeds.c.cursor_column, feeds.c.position)
    row = connection.execute(query.where(feeds.c.source == feed.source)).one_or_none()
    if row is None:
        return replace(feed, position=None)
    known = Feed(*row)
    if replace(feed, position=known.position) != known:
        raise LedgerConflictError(
            f"Source {known.source!r} is read from table {known.table!r} by column "
            f"{known.cursor_column!r}.",
            fix="name the same table and column, or give the other table a --source of its own",
        )
    return known


def advance(connection: Connection, now: datetime, feed: Feed, filings: Sequence[Filing]) -> None:
    """Write down the place that `filings` reach, if it is another one."""
    places = (each.position for each in reversed(filings) if each.position is not None)
    place = next(places, None)
    known = resumed(connection, feed)
    if place is None or known.position == place:
        return
    values = {"position": place, "read_at": now}
    if known.position is None:
        told = {"table_name": feed.table, "cursor_column": feed.cursor_column}
        connection.execute(insert(feeds).values(source=feed.source, **told, **values))
    else:
        connection.execute(update(feeds).where(feeds.c.source == feed.source).values(**values))
    moved = {"source": feed.source, "table": feed.table, "position": place}
    record(connection, now, [Draft("feed_read", payload=moved)])
