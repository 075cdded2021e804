"""Indexes for lineage: from a batch, a version, a parent or a run to what was made from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Five indexes, and a longer one instead of that of `derived`."""
    _index_of_batches("dataset_versions")
    _index_of_batches("model_versions")
    op.create_index(
        "ix_model_versions_dataset_dataset_ordinal",
        "model_versions",
        ["dataset", "dataset_ordinal"],
    )
    op.create_index("ix_model_versions_model_parent", "model_versions", ["model", "parent"])
    op.create_index("ix_model_versions_run_id", "model_versions", ["run_id"])
    op.drop_index("ix_derived_dataset", "derived")
    op.create_index("ix_derived_dataset_dataset_ordinal", "derived", ["dataset", "dataset_ordinal"])


def _index_of_batches(table: str) -> None:
    given = sa.text("batch_id IS NOT NULL")
    op.create_index(
        f"ix_{table}_batch_id", table, ["batch_id"], sqlite_where=given, postgresql_where=given
    )
