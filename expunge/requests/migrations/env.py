"""Run by Alembic: the caller's connection and transaction, or a clear refusal."""

from __future__ import annotations

from alembic import context

from expunge.errors import TerminalError
from expunge.requests.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise TerminalError(
        "The ledger's steps run only inside `Ledger.open`.",
        fix="expunge status opens the ledger, and migrates it",
    )
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()
