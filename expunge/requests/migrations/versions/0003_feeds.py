"""How far each table of requests was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text()


def upgrade() -> None:
    """One table, a row by source."""
    op.create_table(
        "feeds",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("table_name", TEXT, nullable=False),
        sa.Column("cursor_column", TEXT, nullable=False),
        sa.Column("position", sa.JSON(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_feeds"),
    )
