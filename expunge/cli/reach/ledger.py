"""The ledger's database: its schema, whether it may be written to, and the guard of its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expunge.cli.reach import Finding, said
from expunge.cli.reach.database import database
from expunge.workspace import Workspace

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SETTING = "EXPUNGE_LEDGER_URL"
_APPEND_ONLY = ("events", "qualifications")
# Each changes nothing, and fails where the role or the database does not let expunge write.
_WRITES = (
    "INSERT INTO events SELECT * FROM events WHERE 1 = 0",
    "UPDATE locks SET token = token WHERE 1 = 0",
    "DELETE FROM vault WHERE 1 = 0",
)
_MAY_CREATE = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
_TRIGGERS = {
    "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%ABORT%'",
    "postgresql": "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE t.tgenabled IN ('O', 'A') AND NOT t.tgisinternal",
}
_PER_TABLE = {"sqlite": 2, "postgresql": 1}  # SQLite has one for UPDATE and one for DELETE


def ledger(workspace: Workspace) -> Finding:
    """The database of requests."""
    return database(workspace.settings.ledger.url.get_secret_value(), _SETTING, _look)


def _look(connection: Connection) -> Finding:
    from expunge.requests.migrations.upgrade import HEAD, revision

    found = revision(connection)
    if found is None:
        return _before_first_use(connection)
    if found > HEAD:
        return f", with schema {found} of a newer expunge", "install that expunge, or a newer one"
    if mend := _unwritable(connection):
        return mend
    if lost := _unguarded(connection):
        return (
            f", but nothing keeps {' and '.join(lost)} append-only: its triggers are gone or off",
            "restore the database from its backup, or enable the triggers again; find out who did",
        )
    behind = "" if found == HEAD else f" (becomes {HEAD} at the next command)"
    return f", with schema {found}{behind}; it can be written to, and its history only grow", ""


def _before_first_use(connection: Connection) -> Finding:
    from sqlalchemy import text

    if (
        connection.dialect.name == "postgresql"
        and not connection.execute(text(_MAY_CREATE)).scalar()
    ):
        return ", but its role may not create tables", (
            "GRANT USAGE, CREATE ON SCHEMA public TO the role, or let one that may open it first"
        )
    return "; its tables are made at first use", ""


def _unwritable(connection: Connection) -> Finding | None:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        for statement in _WRITES:
            connection.execute(text(statement))
    except SQLAlchemyError as error:
        return (
            f", but cannot be written to: {said(error)}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO the role of "
            f"{_SETTING}; for SQLite, mend the permissions of the file and its folder",
        )
    return None


def _unguarded(connection: Connection) -> list[str]:
    from sqlalchemy import text

    name = connection.dialect.name
    tables = list(connection.execute(text(_TRIGGERS[name])).scalars())
    return [table for table in _APPEND_ONLY if tables.count(table) < _PER_TABLE[name]]
