"""Approvals: questions to a person about a candidate, and their answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATES = "state IN ('waiting', 'approved', 'rejected', 'expired', 'void')"


def upgrade() -> None:
    """One table."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "approvals",
        sa.Column("batch_id", sa.Text, nullable=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided_at", moment),
        sa.Column("decided_by", sa.Text),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("batch_id", "part", name="pk_approvals"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_approvals_batch_id"),
        sa.CheckConstraint(STATES, name="ck_approvals_state"),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_approvals_waiting",
        "approvals",
        ["expires_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
