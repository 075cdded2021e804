"""Audit records, and what the edits of a model version cost together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_REFUSAL = "the audit records of the ledger are append-only"


def upgrade() -> None:
    """A table of audit records, append-only by triggers; two columns of `model_versions`."""
    op.add_column("model_versions", sa.Column("held_out_loss", sa.Double(), nullable=True))
    op.add_column("model_versions", sa.Column("hard_row_excess", sa.Double(), nullable=True))
    _qualifications()
    if op.get_bind().dialect.name == "postgresql":
        _guard_on_postgresql()
    else:
        _guard_on_sqlite()


def _qualifications() -> None:
    op.create_table(
        "qualifications",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("dataset_ordinal", sa.Integer(), nullable=False),
        sa.Column("strategy", TEXT, nullable=False),
        sa.Column("settings", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "request IN ('subjects', 'rows', 'class')", name="ck_qualifications_request"
        ),
        sa.CheckConstraint(
            "outcome IN ('pass', 'fail', 'inconclusive')", name="ck_qualifications_outcome"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_qualifications"),
    )
    op.create_index(
        "ix_qualifications_model_settings_request_id",
        "qualifications",
        ["model", "settings", "request", "id"],
    )


def _guard_on_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER qualifications_no_{verb.lower()} BEFORE {verb} ON qualifications "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def _guard_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change_of_qualifications() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER qualifications_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON qualifications FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_qualifications()"
    )
