"""Many rows into one table, without what SQLAlchemy does anew for each.

An import of a million requests writes four million rows. Their statement is compiled once, their
values are converted column by column, and the driver gets plain tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, insert

Convert = Callable[[Any], Any]


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows`, each with a value for every column of `table`, in the order of its columns."""
    if not rows:
        return
    columns = list(table.columns)
    statement = insert(table).compile(
        dialect=connection.dialect, column_keys=[each.name for each in columns]
    )
    converted = [
        _converted(values, each.type.dialect_impl(connection.dialect), connection)
        for values, each in zip(zip(*rows, strict=True), columns, strict=True)
    ]
    plain = list(zip(*converted, strict=True))
    if statement.positional:
        connection.exec_driver_sql(str(statement), plain)
    else:
        names = [each.name for each in columns]
        named = [dict(zip(names, row, strict=True)) for row in plain]
        connection.exec_driver_sql(str(statement), named)


def _converted(values: Sequence[Any], kind: Any, connection: Connection) -> Sequence[Any]:
    """Values as the driver takes them; where few come again and again, each is converted once."""
    convert: Convert | None = kind.bind_processor(connection.dialect)
    if convert is None or isinstance(kind, LargeBinary):  # drivers take bytes as they are
        return values
    distinct = {id(each): each for each in values}  # alive as long as `values`: no id comes twice
    if 2 * len(distinct) > len(values):
        return [convert(each) for each in values]
    known = {key: convert(each) for key, each in distinct.items()}
    return [known[id(each)] for each in values]
