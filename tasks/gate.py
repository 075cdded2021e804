"""Station gate: judge one attempt."""

from __future__ import annotations

from prefect import task

from expunge.line import gate as station_gate
from expunge.line.attempt import Attempt
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("gate", timeout=HOUR))
def gate(root: str, batch_id: str, fence: Fence, attempt: Attempt) -> bool:
    """True when the attempt's candidate may be promoted."""
    with line_at(root) as line:
        return station_gate.gate(line, batch_id, fence, attempt)
