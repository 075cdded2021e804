"""The line: stations as plain functions, from claim to promotion.

    claim → stage → validate → publish → (unlearn → evaluate → gate)* → promote

Each station takes `(line, batch_id, fence)`, writes what it found to the ledger as one outcome,
and does nothing when that outcome is already there. So any process may die anywhere: the next
run of the same batch goes on from the last outcome. Effects outside the database are written as
intent, effect under a deterministic key, outcome; a replay looks for the effect first.
"""

from expunge.line.adopt import Adopted, adopt
from expunge.line.audit import AuditReport, Skipped, audit
from expunge.line.catchup import CaughtUp, catch_up
from expunge.line.context import Line, Progress, open_line, silent
from expunge.line.ingest import Ingested, ingest
from expunge.line.recover import LedgerBehindError
from expunge.line.report import BatchReport, ModelReport, batch_report
from expunge.line.rollback import rollback
from expunge.line.run import Stations, in_turn, run_batch, settle
from expunge.line.train import Trained, train

__all__ = [
    "Adopted",
    "AuditReport",
    "BatchReport",
    "CaughtUp",
    "Ingested",
    "LedgerBehindError",
    "Line",
    "ModelReport",
    "Progress",
    "Skipped",
    "Stations",
    "Trained",
    "adopt",
    "audit",
    "batch_report",
    "catch_up",
    "in_turn",
    "ingest",
    "open_line",
    "rollback",
    "run_batch",
    "settle",
    "silent",
    "train",
]
