"""Station evaluate: measure one attempt."""

from __future__ import annotations

from prefect import task

from expunge.line import evaluate as station_evaluate
from expunge.line.attempt import Attempt
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, accelerator, station


@task(**station("evaluate", timeout=24 * HOUR))
def evaluate(root: str, batch_id: str, fence: Fence, attempt: Attempt) -> None:
    """Run the station once, in an accelerator slot."""
    with line_at(root) as line, accelerator():
        station_evaluate.evaluate(line, batch_id, fence, attempt)
