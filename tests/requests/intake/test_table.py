"""Tables of requests on SQLite and PostgreSQL: only read, row by row, and quoted as they are."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from expunge.requests import Filing, IntakeError, Position, SourceUnavailableError
from expunge.requests.intake import Defaults, Entry, Rejected, TableSource, databases, read_table

DEFAULTS = Defaults("crm", "gdpr", ("digits",))
SECRET = "secret-person"
Make = Callable[..., TableSource]

SERIAL = "CREATE TABLE deletion_requests (id INTEGER NOT NULL, subject_id TEXT, received_at {time})"


@pytest.fixture
def engine(blank_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(blank_url)
    yield made
    made.dispose()


@pytest.fixture
def execute(engine: sa.Engine) -> Callable[..., None]:
    def run(*statements: str) -> None:
        with engine.begin() as connection:
            for each in statements:
                connection.exec_driver_sql(each.replace("%", "%%") if _is_pg(engine) else each)

    return run


def _is_pg(engine: sa.Engine) -> bool:
    return engine.dialect.name == "postgresql"


def source(url: str, **change: Any) -> TableSource:
    return TableSource(
        **{"url": url, "table": "deletion_requests", "cursor_column": "id", **change}
    )


def read(wanted: TableSource, since: Position | None = None) -> list[Entry]:
    return list(read_table(wanted, DEFAULTS, since))


def ids(found: list[Entry]) -> list[str]:
    return [each.external_id for each in found if isinstance(each, Filing)]


def test_rows_are_filings_in_order_of_the_cursor(
    blank_url: str, backend: str, execute: Callable[..., None]
) -> None:
    time = "timestamptz" if backend == "postgresql" else "TIMESTAMP"
    execute(
        SERIAL.format(time=time),
        "INSERT INTO deletion_requests VALUES (2, 'bob', NULL)",
        "INSERT INTO deletion_requests VALUES (1, 'ada', '2026-01-31T10:00:00+02:00')",
    )
    found = read(source(blank_url))
    when = datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert found == [
        Filing("crm", "1", "ada", "gdpr", when, ("digits",)),
        Filing("crm", "2", "bob", "gdpr", None, ("digits",)),
    ]
    assert [each.line for each in found] == [1, 2]


def test_a_read_begins_at_the_place_and_not_after_it(
    blank_url: str, execute: Callable[..., None]
) -> None:
    execute(
        "CREATE TABLE deletion_requests (id TEXT, subject_id TEXT, at TIMESTAMP NOT NULL)",
        "INSERT INTO deletion_requests VALUES ('a', 'p', '2026-01-01 00:00:00.000001')",
        "INSERT INTO deletion_requests VALUES ('b', 'p', '2026-01-01 00:00:00.000002')",
        "INSERT INTO deletion_requests VALUES ('c', 'p', '2026-01-02 00:00:00')",
    )
    wanted = source(blank_url, cursor_column="at")
    places = [each.position for each in read(wanted) if isinstance(each, Filing)]
    execute("INSERT INTO deletion_requests VALUES ('late', 'p', '2026-01-01 00:00:00.000002')")
    assert sorted(ids(read(wanted, places[1]))) == ["b", "c", "late"]


def test_bad_rows_are_told_by_number_and_the_others_go_through(
    blank_url: str, backend: str, execute: Callable[..., None]
) -> None:
    pg = backend == "postgresql"
    infinite = "'infinity'" if pg else f"'{SECRET}'"
    execute(
        SERIAL.format(time="timestamp" if pg else "TIMESTAMP").replace(" NOT NULL", ""),
        "INSERT INTO deletion_requests VALUES (1, 'ada', '2026-01-31 10:00:00')",
        "INSERT INTO deletion_requests VALUES (2, NULL, NULL)",
        f"INSERT INTO deletion_requests VALUES (3, '{SECRET}', {infinite})",
        f"INSERT INTO deletion_requests VALUES (4, '{SECRET * 100}', NULL)",
        "INSERT INTO deletion_requests VALUES (5, 'bob', NULL)",
        f"INSERT INTO deletion_requests VALUES (NULL, '{SECRET}', NULL)",
    )
    found = read(source(blank_url))
    assert ids(found) == ["1", "5"]
    assert {each.line: each.reason for each in found if isinstance(each, Rejected)} == {
        2: "field subject_id is missing",
        3: "received_at is not an ISO 8601 time",
        4: "subject_id is longer than 1000 characters",
        6: "has no value in the cursor column",
    }
    assert SECRET not in repr(found)


def test_names_are_quoted_as_they_are(blank_url: str, execute: Callable[..., None]) -> None:
    execute(
        """CREATE TABLE "odd ""table""; DROP TABLE x %s" ("No %(n)s" INTEGER, "who's :me?" TEXT)""",
        """INSERT INTO "odd ""table""; DROP TABLE x %s" VALUES (7, 'ada')""",
    )
    columns = {"id": "No %(n)s", "subject_id": "who's :me?"}
    table = 'odd "table"; DROP TABLE x %s'
    wanted = source(blank_url, table=table, cursor_column="No %(n)s", columns=columns)
    assert ids(read(wanted)) == ["7"]
    assert ids(read(wanted, 7 if blank_url.startswith("sqlite") else "7")) == ["7"]


def test_a_view_may_rename_and_leave_out(blank_url: str, execute: Callable[..., None]) -> None:
    execute(
        "CREATE TABLE asked (number INTEGER, customer INTEGER, kind TEXT)",
        "INSERT INTO asked VALUES (1, 41, 'access')",
        "INSERT INTO asked VALUES (2, 42, 'erasure')",
        "CREATE VIEW deletion_requests AS SELECT number AS id, customer AS subject_id, "
        "'digits;faces' AS datasets FROM asked WHERE kind = 'erasure'",
    )
    (found,) = read(source(blank_url))
    assert found == Filing("crm", "2", "42", "gdpr", None, ("digits", "faces"))


def test_an_array_of_datasets_and_a_schema(
    blank_url: str, backend: str, execute: Callable[..., None]
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has neither arrays nor schemas")
    execute(
        "CREATE SCHEMA privacy",
        "CREATE TABLE privacy.deletion_requests (id uuid, subject_id bigint, datasets text[])",
        "INSERT INTO privacy.deletion_requests VALUES "
        "('a7551968-d5d6-44b2-9831-815ac9017798', 42, '{digits,faces}')",
    )
    (found,) = read(source(blank_url, schema="privacy"))
    assert isinstance(found, Filing)
    assert (found.subject_id, found.datasets) == ("42", ("digits", "faces"))
    assert ids(read(source(blank_url, schema="privacy"), found.position)) == [found.external_id]


def test_the_session_cannot_write(blank_url: str, execute: Callable[..., None]) -> None:
    execute(SERIAL.format(time="TIMESTAMP"))
    with (
        pytest.raises((IntakeError, SourceUnavailableError)) as refused,
        databases.reading(blank_url) as connection,
    ):
        connection.exec_driver_sql("INSERT INTO deletion_requests VALUES (1, 'x', NULL)")
    assert "ReadOnlySqlTransaction" in str(refused.value) or "(OperationalError" in str(
        refused.value
    )
    assert read(source(blank_url)) == []


def test_a_file_without_permission_to_write_is_read(tmp_path: Path) -> None:
    file = tmp_path / "team.db"
    with sa.create_engine(f"sqlite:///{file}").begin() as connection:
        connection.exec_driver_sql(SERIAL.format(time="TIMESTAMP"))
        connection.exec_driver_sql("INSERT INTO deletion_requests VALUES (1, 'x', NULL)")
    os.chmod(file, stat.S_IRUSR)  # noqa: PTH101
    before = sorted(path.name for path in tmp_path.iterdir())
    assert ids(read(source(f"sqlite:///{file}"))) == ["1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_values_that_sqlite_holds_in_spite_of_their_column_stop_their_own_row(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'team.db'}"
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE deletion_requests (id, subject_id TEXT, n)")
        for values in (
            "1, 'ada', 1",
            f"2, CAST(X'FF' || '{SECRET}' AS TEXT), 2",
            "3, 'bob', 2.5",
            "4, 'cyd', 'three'",
            f"5, '{SECRET}', X'00'",
        ):
            connection.exec_driver_sql(f"INSERT INTO deletion_requests VALUES ({values})")
    found = read(source(url, cursor_column="n"))
    assert ids(found) == ["1", "3", "4"]
    assert [each.position for each in found if isinstance(each, Filing)] == [1, 2.5, "three"]
    assert [each.reason for each in found if isinstance(each, Rejected)] == [
        "subject_id is not valid Unicode",
        "has neither a number nor a text in the cursor column",
    ]
    assert ids(read(source(url, cursor_column="n"), 2.5)) == ["3", "4"]
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"table": "nowhere"}, "no table or view 'nowhere'"),
        ({"cursor_column": "serial"}, "no column 'serial'"),
        ({"cursor_column": "subject_id"}, "holds the subjects' ids"),
        ({"columns": {"id": "number"}}, "no column 'number'"),
        ({"columns": {"identity": "id"}}, "no field 'identity'"),
        ({"columns": {"subject_id": "share"}}, "floating-point"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error(
    blank_url: str, execute: Callable[..., None], change: dict[str, Any], why: str
) -> None:
    execute("CREATE TABLE deletion_requests (id INTEGER, subject_id TEXT, share REAL)")
    with pytest.raises(IntakeError, match=why):
        read(source(blank_url, **change))


@pytest.mark.parametrize(
    "url",
    [
        "hidden",
        "postgresql://user:hid@den@127.0.0.1:1/none",
        "postgresql://user:hidden@127.0.0.1:1/none",
        "mysql://user:hidden@127.0.0.1/none",
        "sqlite://",
        "sqlite:////nowhere/hidden.db",
        "postgresql+hidden://user:hidden@h/d",
    ],
)
def test_an_impossible_url_is_refused_without_its_content(url: str) -> None:
    with pytest.raises((IntakeError, SourceUnavailableError)) as refused:
        read(source(url))
    assert "hid" not in str(refused.value) and "den" not in str(refused.value)
    assert "hidden" not in repr(source(url))


def test_an_error_of_the_database_shows_no_row(
    blank_url: str, backend: str, execute: Callable[..., None]
) -> None:
    if backend == "sqlite":
        pytest.skip("a cast fails in PostgreSQL only")
    execute(
        "CREATE TABLE asked (id INTEGER, subject_id TEXT)",
        f"INSERT INTO asked VALUES (1, '{SECRET}')",
        "CREATE VIEW deletion_requests AS "
        "SELECT id, CAST(subject_id AS INTEGER) AS subject_id FROM asked",
    )
    with pytest.raises(IntakeError, match="SQLSTATE 22P02") as refused:
        read(source(blank_url))
    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__


def test_rows_are_streamed(blank_url: str, backend: str, execute: Callable[..., None]) -> None:
    """A row that the database fails to make ends the read after the rows of the pages before."""
    if backend == "sqlite":
        pytest.skip("a cast fails in PostgreSQL only")
    execute(
        "CREATE TABLE asked AS SELECT n AS id, n::text AS subject_id "
        "FROM generate_series(1, 20000) AS n",
        "UPDATE asked SET subject_id = 'x' WHERE id = 20000",
        "ALTER TABLE asked ADD PRIMARY KEY (id)",
        "CREATE VIEW deletion_requests AS "
        "SELECT id, CAST(subject_id AS INTEGER) AS subject_id FROM asked",
    )
    rows = read_table(source(blank_url), DEFAULTS, None)
    assert [next(rows).line for _ in range(10_000)][-1] == 10_000
    with pytest.raises(IntakeError):
        list(rows)
