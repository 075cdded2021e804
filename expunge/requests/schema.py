"""The ledger's tables, the same on SQLite and PostgreSQL.

`events` is the history and can only grow, as can `qualifications` (triggers in the migrations).
Every other table is a projection of it, or a record that an event points to, written in the
event's own transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from expunge.requests.values import (
    APPROVAL_STATES,
    AUDIT_OUTCOMES,
    BATCH_STATES,
    MOCK_KINDS,
    REQUEST_STATES,
)

_WITHOUT_ZONE = -len("+00:00")


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; SQLite knows no zones and stores the naive UTC time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a naive time is a mistake of ours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the ledger")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """On SQLite the text that SQLAlchemy would write, several times faster."""
        if dialect.name != "sqlite":
            return super().bind_processor(dialect)

        def text_of(value: datetime | None) -> str | None:
            if value is not None and value.tzinfo is UTC:
                return value.isoformat(" ", "microseconds")[:_WITHOUT_ZONE]
            utc = self.process_bind_param(value, dialect)
            return None if utc is None else utc.isoformat(" ", "microseconds")

        return text_of

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# On SQLite an INTEGER primary key is the row's own number, and needs no second index.
NUMBER = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *rest: Any, **options: Any) -> Column[Any]:
    return Column(name, Text, *rest, **{"nullable": False, **options})


def _maybe(name: str, *rest: Any) -> Column[Any]:
    return Column(name, Text, *rest, nullable=True)


def _count(name: str, **options: Any) -> Column[Any]:
    return Column(name, Integer, **{"nullable": False, **options})


def _moment(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Moment, nullable=nullable)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _where(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


_TARGET = "targets.id"
_BATCH = "batches.id"
_REQUEST = "requests.id"
OPEN_BATCH = "state IN ('claimed', 'staged', 'validated', 'published')"

# The id is a digest of source and external_id, so the primary key keeps them unique.
requests = Table(
    "requests",
    metadata,
    _text("id", primary_key=True),
    _text("source"),
    _text("external_id"),
    _text("subject_ref", index=True),
    _text("key_id"),
    _text("regulation"),
    _moment("received_at"),
    _moment("due_at"),
    Column("extended", Boolean, nullable=False),
    _text("state"),
    _maybe("reason"),
    _text("payload_digest"),
    _one_of("state", REQUEST_STATES),
    Index(None, "state", "due_at"),
)

targets = Table(
    "targets",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=False),
    _text("request_id", ForeignKey(_REQUEST)),
    _text("dataset"),
    _moment("due_at"),
    _text("state"),
    _maybe("batch_id", ForeignKey(_BATCH)),
    _maybe("reason"),
    _maybe("cites", ForeignKey(_REQUEST)),
    _count("rows"),
    Column("confirmed", Boolean, nullable=False),
    _maybe("disposition"),
    UniqueConstraint("request_id", "dataset"),
    _one_of("state", REQUEST_STATES),
    Index(None, "dataset", "state", "due_at", "id"),
    _where("ix_targets_batch_id", "batch_id", where="batch_id IS NOT NULL"),
)

vault = Table(
    "vault",
    metadata,
    Column("target_id", NUMBER, ForeignKey(_TARGET), primary_key=True, autoincrement=False),
    _text("key_name"),
    Column("sealed", LargeBinary, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    _text("id", primary_key=True),
    _text("dataset"),
    _text("state"),
    _moment("created_at"),
    _maybe("reason"),
    _one_of("state", BATCH_STATES),
    _where("uq_batches_open", "dataset", where=OPEN_BATCH, unique=True),
)

batch_models = Table(
    "batch_models",
    metadata,
    _text("batch_id", ForeignKey(_BATCH), primary_key=True),
    _text("model", primary_key=True),
    _maybe("champion"),
    _maybe("decision"),
    _maybe("version"),
)

settlements = Table(
    "settlements",
    metadata,
    Column("target_id", NUMBER, ForeignKey(_TARGET), primary_key=True, autoincrement=False),
    _text("model", primary_key=True),
    _text("state"),
    _maybe("version"),
    Index(None, "model", "state"),
)

outcomes = Table(
    "outcomes",
    metadata,
    _text("batch_id", ForeignKey(_BATCH), primary_key=True),
    _text("station", primary_key=True),
    _text("part", primary_key=True),
    Column("payload", JSON, nullable=False),
    _moment("at"),
)

# Questions to a person about a candidate that passed the gate; `part` is the attempt's.
approvals = Table(
    "approvals",
    metadata,
    _text("batch_id", ForeignKey(_BATCH), primary_key=True),
    _text("part", primary_key=True),
    _text("model"),
    _text("base"),
    _text("version"),
    _text("digest"),
    _moment("asked_at"),
    _moment("expires_at"),
    _text("state"),
    _moment("decided_at", nullable=True),
    _maybe("decided_by"),
    _maybe("reason"),
    _one_of("state", APPROVAL_STATES),
    _where("ix_approvals_waiting", "expires_at", where="state = 'waiting'"),
)

effects = Table(
    "effects",
    metadata,
    _text("key", primary_key=True),
    _text("dataset"),
    _maybe("batch_id", ForeignKey(_BATCH)),
    _text("kind"),
    _text("state"),
    Column("detail", JSON, nullable=False),
    Column("result", JSON(none_as_null=True)),
    _moment("intended_at"),
    _moment("done_at", nullable=True),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    _text("dataset", primary_key=True),
    _count("ordinal", primary_key=True, autoincrement=False),
    _text("md5"),
    _text("commit"),
    _text("kind"),
    _count("ingest"),
    _maybe("batch_id", ForeignKey(_BATCH)),
    Column("rows", BigInteger, nullable=False),
    _count("shards"),
    _moment("created_at"),
    UniqueConstraint("dataset", "md5", "commit"),
    _where("ix_dataset_versions_batch_id", "batch_id", where="batch_id IS NOT NULL"),
)

# Training rows that an erasure took out, by the ingest that had brought them.
erased_training_rows = Table(
    "erased_training_rows",
    metadata,
    _text("dataset", primary_key=True),
    _count("ordinal", primary_key=True, autoincrement=False),
    _count("ingest", primary_key=True, autoincrement=False),
    Column("rows", BigInteger, nullable=False),
)

suppressions = Table(
    "suppressions",
    metadata,
    _text("dataset", primary_key=True),
    _text("subject_ref", primary_key=True),
    _text("key_id"),
    Column("target_id", NUMBER, ForeignKey(_TARGET), nullable=False),
    Index(None, "dataset", "key_id"),
)

model_versions = Table(
    "model_versions",
    metadata,
    _text("model", primary_key=True),
    _text("version", primary_key=True),
    _count("position"),
    _text("dataset"),
    _count("dataset_ordinal"),
    _count("ingest_seen"),
    _count("clean_as_of"),
    _text("kind"),
    _maybe("parent"),
    _maybe("batch_id", ForeignKey(_BATCH)),
    _text("run_id"),
    _maybe("strategy"),
    _count("edits"),
    _moment("created_at"),
    _moment("promoted_at", nullable=True),
    Column("held_out_loss", Double),
    Column("hard_row_excess", Double),
    UniqueConstraint("model", "position"),
    Index(None, "dataset", "dataset_ordinal"),
    Index(None, "model", "parent"),
    Index(None, "run_id"),
    _where("ix_model_versions_batch_id", "batch_id", where="batch_id IS NOT NULL"),
)

champions = Table("champions", metadata, _text("model", primary_key=True), _text("version"))

qualifications = Table(
    "qualifications",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=False),
    _text("model"),
    _text("version"),
    _text("dataset"),
    _count("dataset_ordinal"),
    _text("strategy"),
    _text("settings"),
    _text("request"),
    Column("metrics", JSON, nullable=False),
    _text("outcome"),
    _moment("created_at"),
    _one_of("request", MOCK_KINDS),
    _one_of("outcome", AUDIT_OUTCOMES),
    Index(None, "model", "settings", "request", "id"),
)

derived = Table(
    "derived",
    metadata,
    _text("key", primary_key=True),
    _text("kind"),
    _text("dataset"),
    _count("dataset_ordinal"),
    _text("roles"),
    _text("path"),
    _text("digest"),
    _text("state"),
    _moment("created_at"),
    Index(None, "dataset", "dataset_ordinal"),
)

# How far each table of requests was read; `position` is a value of its cursor column.
feeds = Table(
    "feeds",
    metadata,
    _text("source", primary_key=True),
    _text("table_name"),
    _text("cursor_column"),
    Column("position", JSON, nullable=False),
    _moment("read_at"),
)

locks = Table(
    "locks",
    metadata,
    _text("dataset", primary_key=True),
    Column("token", BigInteger, nullable=False),
    _maybe("holder"),
    _moment("expires_at"),
    _moment("taken_at", nullable=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    _moment("at"),
    _text("kind"),
    _maybe("request_id"),
    _maybe("batch_id"),
    _maybe("dataset"),
    _maybe("model"),
    Column("payload", JSON, nullable=False),
    _where("ix_events_request_id", "request_id", where="request_id IS NOT NULL"),
    _where("ix_events_batch_id", "batch_id", where="batch_id IS NOT NULL"),
    _where("ix_events_dataset", "dataset", where="dataset IS NOT NULL"),
    _where("ix_events_model", "model", where="model IS NOT NULL"),
)
