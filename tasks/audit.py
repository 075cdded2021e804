"""The audit of one model, as a task."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from expunge.line import audit as audit_model
from expunge.line.shadows import train_shadow_apart
from tasks.lines import line_at
from tasks.policy import HOUR, accelerator, station


@task(**station("audit", timeout=24 * HOUR))
def audit(root: str, model: str, with_retrain: bool = False) -> list[int]:
    """Numbers of the records made; each trial takes an accelerator slot of its own.

    So a batch of people's requests waits for one trial at most.
    """
    with line_at(root) as line:
        report = audit_model(line, model, with_retrain=with_retrain, slot=accelerator)
    return [record.id for record in report.records]


@task(**station("shadow", timeout=24 * HOUR))
def shadow(root: str, model: str, number: int) -> None:
    """Train one shadow model of `model`, in an accelerator slot; many run side by side."""
    with accelerator():
        train_shadow_apart(Path(root), model, number)
