"""The first schema of the ledger."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_REQUEST_STATES = (
    "state IN ('received', 'on_hold', 'pending', 'claimed', 'erased_model_pending', "
    "'completed', 'denied', 'cancelled', 'no_match', 'already_erased', 'blocked')"
)
_REFUSAL = "the events of the ledger are append-only"


def upgrade() -> None:
    """Tables, and the triggers that keep `events` append-only."""
    _requests()
    _batches()
    _targets()
    _versions()
    _history()
    if op.get_bind().dialect.name == "postgresql":
        _guard_on_postgresql()
    else:
        _guard_on_sqlite()


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("external_id", TEXT, nullable=False),
        sa.Column("subject_ref", TEXT, nullable=False),
        sa.Column("key_id", TEXT, nullable=False),
        sa.Column("regulation", TEXT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("extended", sa.Boolean(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("payload_digest", TEXT, nullable=False),
        sa.CheckConstraint(
            _REQUEST_STATES,
            name="ck_requests_state",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
    )
    op.create_index("ix_requests_state_due_at", "requests", ["state", "due_at"])
    op.create_index("ix_requests_subject_ref", "requests", ["subject_ref"])


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.CheckConstraint(
            "state IN ('claimed', 'staged', 'validated', 'published', 'finished', 'failed', "
            "'postponed')",
            name="ck_batches_state",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index(
        "uq_batches_open",
        "batches",
        ["dataset"],
        unique=True,
        **_where("state IN ('claimed', 'staged', 'validated', 'published')"),
    )
    op.create_table(
        "batch_models",
        sa.Column("batch_id", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("champion", TEXT, nullable=True),
        sa.Column("decision", TEXT, nullable=True),
        sa.Column("version", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_batch_models_batch_id"),
        sa.PrimaryKeyConstraint("batch_id", "model", name="pk_batch_models"),
    )
    op.create_table(
        "outcomes",
        sa.Column("batch_id", TEXT, nullable=False),
        sa.Column("station", TEXT, nullable=False),
        sa.Column("part", TEXT, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_outcomes_batch_id"),
        sa.PrimaryKeyConstraint("batch_id", "station", "part", name="pk_outcomes"),
    )
    op.create_table(
        "effects",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("batch_id", TEXT, nullable=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("intended_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_effects_batch_id"),
        sa.PrimaryKeyConstraint("key", name="pk_effects"),
    )


def _targets() -> None:
    op.create_table(
        "targets",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("batch_id", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("cites", TEXT, nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("disposition", TEXT, nullable=True),
        sa.CheckConstraint(
            _REQUEST_STATES,
            name="ck_targets_state",
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_targets_batch_id"),
        sa.ForeignKeyConstraint(["cites"], ["requests.id"], name="fk_targets_cites"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_targets_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_targets"),
        sa.UniqueConstraint("request_id", "dataset", name="uq_targets_request_id_dataset"),
    )
    op.create_index(
        "ix_targets_batch_id", "targets", ["batch_id"], **_where("batch_id IS NOT NULL")
    )
    op.create_index(
        "ix_targets_dataset_state_due_at_id", "targets", ["dataset", "state", "due_at", "id"]
    )
    op.create_table(
        "vault",
        sa.Column("target_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("key_name", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name="fk_vault_target_id"),
        sa.PrimaryKeyConstraint("target_id", name="pk_vault"),
    )

    op.create_table(
        "settlements",
        sa.Column("target_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name="fk_settlements_target_id"),
        sa.PrimaryKeyConstraint("target_id", "model", name="pk_settlements"),
    )
    op.create_index("ix_settlements_model_state", "settlements", ["model", "state"])
    op.create_table(
        "suppressions",
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("subject_ref", TEXT, nullable=False),
        sa.Column("key_id", TEXT, nullable=False),
        sa.Column("target_id", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name="fk_suppressions_target_id"),
        sa.PrimaryKeyConstraint("dataset", "subject_ref", name="pk_suppressions"),
    )
    op.create_index("ix_suppressions_dataset_key_id", "suppressions", ["dataset", "key_id"])


def _versions() -> None:
    op.create_table(
        "dataset_versions",
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("md5", TEXT, nullable=False),
        sa.Column("commit", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("ingest", sa.Integer(), nullable=False),
        sa.Column("batch_id", TEXT, nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_dataset_versions_batch_id"),
        sa.PrimaryKeyConstraint("dataset", "ordinal", name="pk_dataset_versions"),
        sa.UniqueConstraint(
            "dataset", "md5", "commit", name="uq_dataset_versions_dataset_md5_commit"
        ),
    )
    op.create_table(
        "erased_training_rows",
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ingest", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "ordinal", "ingest", name="pk_erased_training_rows"),
    )
    op.create_table(
        "model_versions",
        sa.Column("model", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("dataset_ordinal", sa.Integer(), nullable=False),
        sa.Column("ingest_seen", sa.Integer(), nullable=False),
        sa.Column("clean_as_of", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("parent", TEXT, nullable=True),
        sa.Column("batch_id", TEXT, nullable=True),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("strategy", TEXT, nullable=True),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("promoted_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_model_versions_batch_id"),
        sa.PrimaryKeyConstraint("model", "version", name="pk_model_versions"),
        sa.UniqueConstraint("model", "position", name="uq_model_versions_model_position"),
    )
    op.create_table(
        "champions",
        sa.Column("model", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("model", name="pk_champions"),
    )
    op.create_table(
        "derived",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("dataset_ordinal", sa.Integer(), nullable=False),
        sa.Column("roles", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_derived"),
    )
    op.create_index("ix_derived_dataset", "derived", ["dataset"])


def _history() -> None:
    op.create_table(
        "locks",
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", TEXT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("dataset", name="pk_locks"),
    )
    op.create_table(
        "events",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=True),
        sa.Column("batch_id", TEXT, nullable=True),
        sa.Column("dataset", TEXT, nullable=True),
        sa.Column("model", TEXT, nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
    )
    op.create_index("ix_events_batch_id", "events", ["batch_id"], **_where("batch_id IS NOT NULL"))
    op.create_index("ix_events_dataset", "events", ["dataset"], **_where("dataset IS NOT NULL"))
    op.create_index("ix_events_model", "events", ["model"], **_where("model IS NOT NULL"))
    op.create_index(
        "ix_events_request_id", "events", ["request_id"], **_where("request_id IS NOT NULL")
    )


def _guard_on_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def _guard_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()"
    )


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
