"""Rows written past SQLAlchemy are the rows that it would have written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from expunge.requests import filing
from expunge.requests.bulk import insert_rows
from expunge.requests.schema import events, metadata, requests, targets

ZONE = timezone(timedelta(hours=5, minutes=45))
TIMES = [datetime(2026, 1, 31, 10, tzinfo=UTC), datetime(1999, 12, 31, 23, 59, 59, 7, ZONE)]


def rows_of(table: sa.Table) -> list[tuple[Any, ...]]:
    payload = {"datasets": ("digits",), "text": "ü%s:x?"}
    if table is events:
        return [
            (number, at, "received", None, None, "d", None, payload)
            for number, at in enumerate(TIMES, start=1)
        ]
    return [
        (f"r-{n}", "s", "e", "ref", "key", "gdpr", at, at, n == 1, "pending", None, "digest")
        for n, at in enumerate(TIMES, start=1)
    ]


@pytest.mark.parametrize("table", [requests, events], ids=lambda table: str(table.name))
def test_rows_are_what_sqlalchemy_writes(blank_url: str, table: sa.Table) -> None:
    engine = sa.create_engine(blank_url)
    metadata.create_all(engine, tables=[table])
    rows = rows_of(table)
    shown = sa.select(*(sa.cast(column, sa.Text) for column in table.c)).order_by(table.c[0])
    found = []
    with engine.begin() as connection:
        for write in ("bulk", "sqlalchemy"):
            if write == "bulk":
                insert_rows(connection, table, rows)
            else:
                names = table.c.keys()
                named = [dict(zip(names, row, strict=True)) for row in rows]
                connection.execute(sa.insert(table), named)
            found.append(connection.execute(shown).all())
            connection.execute(sa.delete(table))
    engine.dispose()
    assert found[0] == found[1]
    assert len(found[0]) == 2
    if engine.dialect.name == "sqlite":  # the text of ledgers that are there already
        assert "1999-12-31 18:14:59.000007" in found[0][1]


def test_the_rows_of_a_filing_are_in_the_order_of_their_columns() -> None:
    assert list(filing._RequestRow._fields) == requests.c.keys()
    assert list(filing._TargetRow._fields) == targets.c.keys()
