"""A database by its SQLAlchemy URL; one that does not exist yet is not created."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.cli.reach import TIMEOUT_SECONDS, Finding, said

if TYPE_CHECKING:
    from sqlalchemy import Connection


def database(text: str, setting: str, look: Callable[[Connection], Finding]) -> Finding:
    """What `look` finds in the database, with its name; `setting` is the variable that names it."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = make_url(text)
        shown = url.render_as_string(hide_password=True)
        embedded = url.get_backend_name() == "sqlite"
        if embedded and not (file := Path(url.database or "")).exists():
            return _absent(file, setting)
        arguments = {} if embedded else {"connect_timeout": TIMEOUT_SECONDS}
        engine = create_engine(url, connect_args=arguments, hide_parameters=True)
        try:
            with engine.connect() as connection:
                found, mend = look(connection)
                connection.rollback()
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        return said(error), f"start the database, or mend {setting}"
    return f"{shown} answers{found}", mend


def _absent(file: Path, setting: str) -> Finding:
    if os.access(file.parent, os.W_OK):
        return f"{file} is made at first use", ""
    return f"{file.parent} cannot be written to", f"mend its permissions, or {setting}"
