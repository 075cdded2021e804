"""The database behind the ledger: one write transaction at a time, on SQLite and PostgreSQL.

What always holds:

- Writers are serialised (`BEGIN IMMEDIATE`, or one advisory lock), so ids and event numbers
  follow the order of the commits and have no gaps, and what holds on one database holds on both.
- A write that is given a fence checks it inside its own transaction.
- Readers never wait for writers (WAL, MVCC).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from expunge.errors import TerminalError
from expunge.keys import KeyRing
from expunge.requests.errors import LedgerForbiddenError, LedgerUnavailableError
from expunge.requests.locks import require_fence
from expunge.requests.migrations.upgrade import upgrade_to_head
from expunge.requests.values import Fence

_BUSY_MS = 60_000  # a writer waits so long for another one
_IDLE_MS = 30_000  # of a transaction whose process was stopped: PostgreSQL ends it then
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_FORBIDDEN = "42501"  # insufficient_privilege, of PostgreSQL's error codes
_WRITER = 0x65787075  # one number for all writers of a database: "expu"


@dataclass(frozen=True)
class Store:
    """Engine, keys and clock of one ledger."""

    engine: Engine
    keys: KeyRing
    now: Callable[[], datetime] = field(repr=False)

    @classmethod
    def open(cls, url: str, keys: KeyRing, clock: Callable[[], datetime]) -> Store:
        """Connect, and migrate to the newest schema; safe when several processes do so at once."""
        store = cls(_engine(checked_url(url)), keys, clock)
        with translated():
            upgrade_to_head(store.engine, _queue)
        return store

    @contextmanager
    def write(self, fence: Fence | None = None) -> Iterator[Connection]:
        """One transaction of the only writer; refused if `fence` is given and stale."""
        with translated(), self._begin() as connection:
            _queue(connection)
            if fence is not None:
                require_fence(connection, fence)
            yield connection

    @contextmanager
    def write_aside(self) -> Iterator[Connection]:
        """One transaction that does not queue (PostgreSQL): for a lock's heartbeat."""
        with translated(), self._begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction."""
        with translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.engine.connect() as bare:
            connection = bare.execution_options(expunge_writer=True)
            with connection.begin():
                yield connection


def _queue(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER})


@contextmanager
def translated() -> Iterator[None]:
    """Turn what a database that does not answer raises into our error."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        if isinstance(error, InternalError) and not error.connection_invalidated:
            raise  # a mistake of ours; PostgreSQL files the end of an idle transaction there too
        cause = " ".join(str(error.orig).split())
        raise LedgerUnavailableError(
            f"The ledger's database did not answer as it should: {cause}.",
            left="Nothing of the transaction is half done.",
            fix="expunge doctor checks the connection; the same command can be run again",
        ) from error
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _FORBIDDEN:
            raise
        raise LedgerForbiddenError(
            f"The ledger's database refused: {' '.join(str(error.orig).split())}.",
            left="The transaction was rolled back.",
            fix="after an upgrade, run `expunge status` once as the role that owns the ledger's "
            "tables, then its grants again (docs/deployment.md)",
        ) from error


def checked_url(url: str) -> URL:
    """The parsed URL of a ledger; TerminalError where no ledger can be at it."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise TerminalError(
            "The ledger's URL is not an SQLAlchemy URL.",
            fix="set EXPUNGE_LEDGER_URL, for example sqlite:////var/lib/expunge/ledger.db",
        ) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    in_memory = parsed.database in (None, "", ":memory:")
    known = parsed.get_backend_name() in ("sqlite", "postgresql")
    if not known or (parsed.get_backend_name() == "sqlite" and in_memory):
        raise TerminalError(
            f"A ledger on {parsed.get_backend_name()!r} at this URL is not possible.",
            fix="use a SQLite file (sqlite:///PATH) or PostgreSQL (postgresql://HOST/NAME)",
        )
    return parsed


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(
            url, hide_parameters=True, json_serializer=_JSON.encode, pool_pre_ping=True
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise TerminalError(
            f"The driver of the ledger's URL is not installed: {error}.",
            fix="use postgresql+psycopg:// or sqlite:///",
        ) from None
    if url.get_backend_name() == "sqlite":
        _private_file(Path(str(url.database)))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
    return engine


def reading_engine(url: URL) -> Engine:
    """An engine whose connections cannot write, whatever their role may."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _prepare_reading)
        return engine
    only = {"options": "-c default_transaction_read_only=on", "connect_timeout": 10}
    return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=only)


def _prepare_reading(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    cursor.close()


def _private_file(path: Path) -> None:
    """Create the database file for its owner only; SQLite would follow the umask.

    One that is there is not touched: to close it here would drop the locks that SQLite has on it
    for every other ledger of this process, and another process could remove their log.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise LedgerUnavailableError(
            f"The ledger's file cannot be opened: {error.strerror}.",
            fix="check the path, its permissions and the free space: expunge doctor",
        ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves; the driver would send it too late
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.close()


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """Let nobody wait without end for a process that was stopped in the middle of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {_BUSY_MS}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_MS}")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    writer = connection.get_execution_options().get("expunge_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
