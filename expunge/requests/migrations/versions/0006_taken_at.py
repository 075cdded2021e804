"""Since when a lock is held: for whoever watches that none is held for ever."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column; empty for locks that were taken before."""
    op.add_column("locks", sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True))
