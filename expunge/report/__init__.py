"""The report of a batch: what was asked, what was done, what was decided and on which grounds.

A `Report` is a plain value that the line fills from the ledger; `page` turns it into one HTML file
that needs no network and no script; `to_json` is the same for machines. Neither names a person or
a request: counts and dates only.
"""

from expunge.report.page import Pictures, page
from expunge.report.value import (
    AuditRecord,
    DatasetPoint,
    Edit,
    Erasure,
    MeasuredRow,
    ModelPart,
    Report,
    RequestFacts,
    RungPart,
)
from expunge.report.words import decision, decisions

__all__ = [
    "AuditRecord",
    "DatasetPoint",
    "Edit",
    "Erasure",
    "MeasuredRow",
    "ModelPart",
    "Pictures",
    "Report",
    "RequestFacts",
    "RungPart",
    "decision",
    "decisions",
    "page",
]
