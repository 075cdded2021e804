"""Bring a ledger's database to the newest schema."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError

from expunge.errors import TerminalError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0006"
_WAL_ATTEMPTS = 200


def upgrade_to_head(engine: Engine, queue: Callable[[Connection], None]) -> None:
    """Migrate inside one queued write transaction; does nothing when the schema is newest.

    Raises TerminalError when the database was made by a newer expunge.
    """
    if engine.dialect.name == "sqlite":
        _write_ahead(engine)
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with engine.connect() as bare:
        connection = bare.execution_options(expunge_writer=True)
        with connection.begin():
            queue(connection)
            _upgrade(connection)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration of the packaged steps, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    found = revision(connection)
    if found is not None and found not in known:
        raise TerminalError(
            f"The ledger has schema {found}, which this expunge does not know.",
            fix="install the expunge that made it, or a newer one",
        )
    command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """The schema that the database has; None where it holds no ledger."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _write_ahead(engine: Engine) -> None:
    """Switch a SQLite file to WAL, once for its life.

    SQLite's busy timeout does not cover this switch, so two processes that open a fresh ledger
    at once have to try again.
    """
    for attempt in range(_WAL_ATTEMPTS):
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
        except engine.dialect.loaded_dbapi.OperationalError as error:
            if attempt == _WAL_ATTEMPTS - 1:
                raise OperationalError("PRAGMA journal_mode = WAL", None, error) from error
            time.sleep(0.05)
        else:
            return
        finally:
            raw.close()
