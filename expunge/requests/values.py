"""The ledger's nouns, as immutable values.

A raw subject id appears in two of them only, `Filing` and `Claim`, and never in their repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

Regulation = Literal["gdpr", "ccpa"]
RequestState = Literal[
    "received",
    "on_hold",
    "pending",
    "claimed",
    "erased_model_pending",
    "completed",
    "denied",
    "cancelled",
    "no_match",
    "already_erased",
    "blocked",
]
BatchState = Literal[
    "claimed", "staged", "validated", "published", "finished", "failed", "postponed"
]
SettlementState = Literal["pending", "settled", "held", "not_needed"]
Decision = Literal["promoted", "retrained", "held"]
ModelKind = Literal["trained", "unlearned", "retrained"]
VersionKind = Literal["ingest", "erasure"]
MockKind = Literal["subjects", "rows", "class"]
AuditOutcome = Literal["pass", "fail", "inconclusive"]
ApprovalState = Literal["waiting", "approved", "rejected", "expired", "void"]
Position = str | int | float  # a value of a table's cursor column

REGULATIONS: tuple[str, ...] = get_args(Regulation)
REQUEST_STATES: tuple[str, ...] = get_args(RequestState)
BATCH_STATES: tuple[str, ...] = get_args(BatchState)
MOCK_KINDS: tuple[MockKind, ...] = get_args(MockKind)
AUDIT_OUTCOMES: tuple[AuditOutcome, ...] = get_args(AuditOutcome)
APPROVAL_STATES: tuple[str, ...] = get_args(ApprovalState)
BEFORE_END: tuple[BatchState, ...] = ("claimed", "staged", "validated", "published")
OPEN_STATES = ("received", "on_hold", "pending", "claimed", "erased_model_pending", "blocked")


@dataclass(frozen=True)
class Filing:
    """One erasure request as it comes in.

    `source` with `external_id` is its key. `received_at` is aware; None says that the sender
    gave no time, and the ledger's clock does. `line` is where in its file it stood, `position`
    how far its table was read with it; neither is part of the request.
    """

    source: str
    external_id: str
    subject_id: str = field(repr=False)
    regulation: Regulation
    received_at: datetime | None
    datasets: tuple[str, ...]
    line: int | None = field(default=None, compare=False, kw_only=True)
    position: Position | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True)
class Filed:
    """What became of a filing: `duplicate` is a no-op, `conflict` has another payload."""

    request_id: str
    outcome: Literal["accepted", "duplicate", "conflict"]


@dataclass(frozen=True)
class Feed:
    """A table of requests by the team's name for it, and how far it was read; None: never."""

    source: str
    table: str
    cursor_column: str
    position: Position | None = None


@dataclass(frozen=True)
class Settlement:
    """One target in one governed model."""

    target_id: int
    model: str
    state: SettlementState
    version: str | None


@dataclass(frozen=True)
class Target:
    """One request in one dataset; `rows` were erased for it, `cites` an earlier request."""

    id: int
    request_id: str
    dataset: str
    state: RequestState
    batch_id: str | None
    reason: str | None
    cites: str | None
    rows: int
    settlements: tuple[Settlement, ...]


@dataclass(frozen=True)
class Request:
    """One erasure request; its state is a projection of its targets' states."""

    id: str
    source: str
    external_id: str
    subject_ref: str
    key_id: str
    regulation: Regulation
    received_at: datetime
    due_at: datetime
    state: RequestState
    reason: str | None
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Fence:
    """Proof of holding a dataset's lock; `token` grows with every holder."""

    dataset: str
    token: int
    holder: str


@dataclass(frozen=True)
class Batch:
    """Targets of one dataset processed together; `champions` as they were at claim."""

    id: str
    dataset: str
    state: BatchState
    created_at: datetime
    champions: Mapping[str, str | None]
    reason: str | None


@dataclass(frozen=True)
class Claim:
    """A target of a batch with its subject, readable while the batch's data key exists.

    `disposition` is None before `dispose`, then `erase`, or `same_person` where an earlier
    claim of the batch holds the person's rows.
    """

    target_id: int
    request_id: str
    subject_id: str = field(repr=False)
    subject_ref: str
    confirmed: bool
    disposition: str | None


@dataclass(frozen=True)
class Effect:
    """An effect outside the database: intended, then done."""

    key: str
    batch_id: str | None
    kind: str
    state: Literal["intended", "done"]
    detail: dict[str, Any]
    result: dict[str, Any] | None


@dataclass(frozen=True)
class DatasetVersion:
    """An immutable DVC version: `md5` of the folder, git `commit`, `ordinal` 1, 2, 3…"""

    dataset: str
    ordinal: int
    md5: str
    commit: str
    kind: VersionKind
    ingest: int
    batch_id: str | None
    rows: int
    shards: int
    created_at: datetime


@dataclass(frozen=True)
class ModelSight:
    """What a champion saw: the highest ingest in its training rows, None if untrained."""

    ingest_seen: int | None


@dataclass(frozen=True)
class ModelVersion:
    """A version of a governed model.

    `clean_as_of`: dataset ordinal up to which no erased person is in it. `edits`: how often it
    was edited since the last exact model. `held_out_loss` and `hard_row_excess` are what these
    edits cost together: held-out accuracy, 0 … 1, and hard-row AUC above its reference; None
    where it was not kept track of.
    """

    model: str
    version: str
    dataset: str
    dataset_ordinal: int
    ingest_seen: int
    clean_as_of: int
    kind: ModelKind
    parent: str | None
    batch_id: str | None
    run_id: str
    strategy: str | None
    edits: int
    created_at: datetime
    promoted_at: datetime | None = None
    held_out_loss: float | None = None
    hard_row_excess: float | None = None


@dataclass(frozen=True)
class Qualification:
    """What one audit of one strategy on one kind of mock request came to.

    `settings` is a digest of the rung's settings, `metrics` JSON of numbers by name, never of
    people. Append-only: the newest record of the same settings counts.
    """

    id: int
    model: str
    version: str
    dataset: str
    dataset_ordinal: int
    strategy: str
    settings: str
    request: MockKind
    metrics: dict[str, Any]
    outcome: AuditOutcome
    created_at: datetime


@dataclass(frozen=True)
class Approval:
    """A question to a person about one candidate, and its answer.

    `part` is the attempt's, `base` the champion that it replaces, `digest` the SHA-256 of the
    registered files. Nobody answered one that is `expired`; one that is `void` is about a
    candidate that could not be promoted any more.
    """

    batch_id: str
    part: str
    model: str
    base: str
    version: str
    digest: str
    asked_at: datetime
    expires_at: datetime
    state: ApprovalState = "waiting"
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Derived:
    """A file or model made from people's rows: tracked, invalidated and purged like them."""

    key: str
    kind: str
    dataset: str
    dataset_ordinal: int
    roles: str
    path: str
    digest: str
    state: Literal["valid", "invalid"]
    created_at: datetime


@dataclass(frozen=True)
class Event:
    """One line of the append-only history; `seq` has no gaps and follows the commits."""

    seq: int
    at: datetime
    kind: str
    request_id: str | None
    batch_id: str | None
    dataset: str | None
    model: str | None
    payload: dict[str, Any]
