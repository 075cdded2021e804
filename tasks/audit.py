"""The audit of one model, as a task."""

from __future__ import annotations

from prefect import task

from expunge.line import audit as audit_model
from tasks.lines import line_at
from tasks.policy import HOUR, accelerator, station


@task(**station("audit", timeout=24 * HOUR))
def audit(root: str, model: str) -> list[int]:
    """Numbers of the records made; each trial takes an accelerator slot of its own.

    So a batch of people's requests waits for one trial at most.
    """
    with line_at(root) as line:
        report = audit_model(line, model, slot=accelerator)
    return [record.id for record in report.records]
