"""The ledger of erasure requests, and the lineage of record.

Requests, targets, settlements, batches and events; the vault; deadlines; intake formats.
"""

from expunge.requests.errors import (
    DatasetLockedError,
    FilingError,
    IntakeError,
    LedgerConflictError,
    LedgerUnavailableError,
    LockLostError,
    TransitionError,
    UnknownRecordError,
)
from expunge.requests.ledger import Ledger, utc_now
from expunge.requests.status import DatasetStatus, Deadlines, ModelStatus, Status
from expunge.requests.values import (
    Batch,
    BatchState,
    Claim,
    DatasetVersion,
    Decision,
    Derived,
    Effect,
    Event,
    Fence,
    Filed,
    Filing,
    ModelKind,
    ModelSight,
    ModelVersion,
    Regulation,
    Request,
    RequestState,
    Settlement,
    SettlementState,
    Target,
)
from expunge.requests.versions import Suppressed

__all__ = [
    "Batch",
    "BatchState",
    "Claim",
    "DatasetLockedError",
    "DatasetStatus",
    "DatasetVersion",
    "Deadlines",
    "Decision",
    "Derived",
    "Effect",
    "Event",
    "Fence",
    "Filed",
    "Filing",
    "FilingError",
    "IntakeError",
    "Ledger",
    "LedgerConflictError",
    "LedgerUnavailableError",
    "LockLostError",
    "ModelKind",
    "ModelSight",
    "ModelStatus",
    "ModelVersion",
    "Regulation",
    "Request",
    "RequestState",
    "Settlement",
    "SettlementState",
    "Status",
    "Suppressed",
    "Target",
    "TransitionError",
    "UnknownRecordError",
    "utc_now",
]
