"""A table or view of requests in the team's own database, read on from where it was left.

The place in it is a value of the cursor column, which only grows. A read begins at that value and
not after it: rows that came late with the same value are seen, and those filed are duplicates.

A row's values are read as the text that the database makes of them, so that one which Python
cannot hold (a date that is infinite, a text that is not UTF-8) stops its own row and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table
from sqlalchemy.exc import NoSuchTableError

from expunge.requests.errors import IntakeError
from expunge.requests.intake.databases import reading
from expunge.requests.intake.rows import (
    FIELDS,
    BadRowError,
    Defaults,
    Entry,
    Row,
    filings,
)
from expunge.requests.values import Position

_PAGE = 1_000
_PLACE = "place"  # the label of the cursor column, and no field's name


@dataclass(frozen=True)
class TableSource:
    """Where requests stand: an SQLAlchemy URL, a table or view, and its monotone column.

    `columns` says which column holds a field where that is not the column of the same name.
    """

    url: str = field(repr=False)
    table: str
    cursor_column: str
    schema: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def read_table(source: TableSource, defaults: Defaults, since: Position | None) -> Iterator[Entry]:
    """Filings of the rows from `since` on, in order of the cursor column; streamed.

    Raises IntakeError where the table cannot be used, SourceUnavailableError where its database
    does not answer.
    """
    return filings(_rows(source, since), defaults)


def _rows(source: TableSource, since: Position | None) -> Iterator[Row]:
    with reading(source.url) as connection:
        table = _reflected(connection, source)
        cursor = _column(table, source.cursor_column, "cursor")
        columns = _columns(table, source.columns)
        _check(cursor, columns)
        number = 0
        for found in _streamed(connection, _query(connection, columns, cursor, since)):
            number += 1
            yield _row(number, found)
        placeless = sa.select(sa.literal(1)).select_from(table).where(cursor.is_(None))
        for _ in _streamed(connection, placeless):
            number += 1
            yield Row(number, BadRowError("has no value in the cursor column"))


def _row(number: int, found: RowMapping) -> Row:
    values = dict(found)
    place = values.pop(_PLACE)
    if isinstance(place, str | int | float):
        return Row(number, values, place)
    return Row(number, BadRowError("has neither a number nor a text in the cursor column"))


def _reflected(connection: Connection, source: TableSource) -> Table:
    try:
        return Table(
            source.table,
            sa.MetaData(),
            schema=source.schema,
            autoload_with=connection,
            resolve_fks=False,
        )
    except NoSuchTableError:
        raise IntakeError(
            f"The database shows this user no table or view {source.table!r}.",
            fix="spell it as the database does, with its schema in --schema",
        ) from None


def _columns(table: Table, named: Mapping[str, str]) -> dict[str, ColumnElement[Any]]:
    """Columns by field: those that are named, those needed, and others of a field's name."""
    if unknown := [name for name in named if name not in FIELDS]:
        raise IntakeError(
            f"A request has no field {unknown[0]!r}.", fix=f"choose from {', '.join(FIELDS)}"
        )
    found: dict[str, ColumnElement[Any]] = {}
    for name in FIELDS:
        if name in named or name in ("id", "subject_id"):
            found[name] = _column(table, named.get(name, name), name)
        elif name in table.c:
            found[name] = table.c[name]
    return found


def _column(table: Table, name: str, what: str) -> ColumnElement[Any]:
    if name not in table.c:
        option = "--cursor-column" if what == "cursor" else f"--column {what}=NAME"
        raise IntakeError(f"The table has no column {name!r}.", fix=f"name one of it: {option}")
    return table.c[name]


def _check(cursor: ColumnElement[Any], columns: Mapping[str, ColumnElement[Any]]) -> None:
    """Refuse what would lose requests, or keep a subject's id where it must not be."""
    if columns["subject_id"] is cursor:
        raise IntakeError(
            "The cursor column holds the subjects' ids, and the ledger keeps its last value.",
            fix="choose another one: a serial number, or the time when the row was written",
        )
    for name in ("id", "subject_id"):
        if isinstance(columns[name].type, sa.Float):
            raise IntakeError(
                f"The column of field {name} holds floating-point numbers, which are no ids.",
                fix="read a view that gives them as whole numbers or texts",
            )


def _query(
    connection: Connection,
    columns: Mapping[str, ColumnElement[Any]],
    cursor: ColumnElement[Any],
    since: Position | None,
) -> Select[Any]:
    if connection.dialect.name == "sqlite":  # any column holds values of any kind
        place: ColumnElement[Any] = sa.type_coerce(cursor, sa.types.NULLTYPE)
        reached = place >= sa.literal(since, sa.types.NULLTYPE)
    else:
        place = sa.cast(cursor, sa.Text)
        reached = cursor >= sa.cast(sa.literal(since, sa.Text), cursor.type)
    shown = [_text(column).label(name) for name, column in columns.items()]
    wanted = cursor.is_not(None) if since is None else reached
    return sa.select(place.label(_PLACE), *shown).where(wanted).order_by(cursor)


def _text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column if isinstance(column.type, sa.ARRAY) else sa.cast(column, sa.Text)


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[RowMapping]:
    """Rows page by page, by a cursor on the server where there is one."""
    yield from connection.execution_options(yield_per=_PAGE).execute(query).mappings()
