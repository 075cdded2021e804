"""Somebody else's database, to read from and nothing else.

A PostgreSQL transaction is READ ONLY and sees one snapshot; a SQLite file is opened `mode=ro`. A
driver's error may quote the URL, with a password in it, or a row: its text is never shown, only
its class, and the SQLSTATE where there is one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from expunge.requests.errors import IntakeError, SourceUnavailableError

_LEFT = "Requests that were reported as filed are filed, and the place in the table with them."


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """One read-only transaction in the database at `url`; IntakeError, SourceUnavailableError."""
    with _translated():
        engine = _engine(_checked(url))
        try:
            with engine.connect() as bare:
                yield _read_only(bare)
        finally:
            engine.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _unusable("is not an SQLAlchemy URL") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    backend = parsed.drivername.partition("+")[0]
    if backend not in ("postgresql", "sqlite"):
        raise _unusable("is neither PostgreSQL's nor SQLite's, which can be kept read-only")
    if backend == "sqlite" and not Path(parsed.database or "").is_file():
        raise _unusable("names no SQLite file")
    return parsed


def _engine(url: URL) -> Engine:
    if url.drivername.startswith("postgresql"):
        return create_engine(url, hide_parameters=True, poolclass=NullPool)
    file = Path(str(url.database)).absolute().as_uri()
    return create_engine(
        "sqlite://", creator=lambda: _sqlite(file), hide_parameters=True, poolclass=NullPool
    )


def _sqlite(file: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{file}?mode=ro", uri=True, timeout=60)
    # A text that is not UTF-8 would end the whole read; so it ends its own row, further on.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


def _read_only(bare: Connection) -> Connection:
    if bare.dialect.name == "sqlite":
        return bare
    connection = bare.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    connection.execute(text("SET LOCAL DateStyle = 'ISO, YMD'"))
    connection.execute(text("SET LOCAL TimeZone = 'UTC'"))
    return connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise SourceUnavailableError(
            f"The database of the requests did not answer ({_kind(error)}).",
            left=_LEFT,
            fix="check its URL with its own client (psql, sqlite3); the import can be run again",
        ) from None
    except (NoSuchModuleError, ModuleNotFoundError):
        raise _unusable("needs a driver that is not installed") from None
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        raise IntakeError(
            f"The table of requests cannot be read ({_kind(error)}).",
            left=_LEFT,
            fix="try the same table with the database's own client, as the same user",
        ) from None


def _kind(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    state = getattr(cause, "sqlstate", None)
    return type(cause).__name__ + (f", SQLSTATE {state}" if state else "")


def _unusable(why: str) -> IntakeError:
    return IntakeError(
        f"The URL of the database of requests {why}.",
        fix="give postgresql://USER:PASSWORD@HOST/NAME or sqlite:///PATH; "
        "other databases export to CSV",
    )
