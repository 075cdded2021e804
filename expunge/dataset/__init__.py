"""Datasets: ingest, shards by subject, erasure, validation, rows for training.

Nothing here imports torch or Great Expectations before it is needed.
"""

from expunge.dataset.erasure import StagedErasure, stage_erasure
from expunge.dataset.errors import (
    ColumnError,
    DuplicateRecordError,
    HeldOutError,
    IngestError,
    RoleConflictError,
    ShardError,
    ValueRefusedError,
)
from expunge.dataset.expectations import Expectation, Validation, validate
from expunge.dataset.facts import Facts, collect_facts
from expunge.dataset.holdings import (
    Holding,
    Summary,
    look_up,
    subjects_in,
    subjects_of_shard,
    summary,
)
from expunge.dataset.ingest import StagedIngest, stage_ingest
from expunge.dataset.packed import Where
from expunge.dataset.placement import ROLES
from expunge.dataset.rows import ArrowRows, forget_rows, open_rows, training_rows
from expunge.dataset.sealed import open_sealed, seal_rows, sweep_sealing
from expunge.dataset.store import Store
from expunge.dataset.versions import Published, Recorded, checkout, find_published, history, publish

__all__ = [
    "ROLES",
    "ArrowRows",
    "ColumnError",
    "DuplicateRecordError",
    "Expectation",
    "Facts",
    "HeldOutError",
    "Holding",
    "IngestError",
    "Published",
    "Recorded",
    "RoleConflictError",
    "ShardError",
    "StagedErasure",
    "StagedIngest",
    "Store",
    "Summary",
    "Validation",
    "ValueRefusedError",
    "Where",
    "checkout",
    "collect_facts",
    "find_published",
    "forget_rows",
    "history",
    "look_up",
    "open_rows",
    "open_sealed",
    "publish",
    "seal_rows",
    "stage_erasure",
    "stage_ingest",
    "subjects_in",
    "subjects_of_shard",
    "summary",
    "sweep_sealing",
    "training_rows",
    "validate",
]
