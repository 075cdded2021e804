"""Station unlearn: run one rung of a model's ladder."""

from __future__ import annotations

from prefect import task

from expunge.line import unlearn as station_unlearn
from expunge.line.attempt import Attempt
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, accelerator, station


@task(**station("unlearn", timeout=24 * HOUR))
def unlearn(root: str, batch_id: str, fence: Fence, attempt: Attempt) -> None:
    """Run the station once, in an accelerator slot."""
    with line_at(root) as line, accelerator():
        station_unlearn.unlearn(line, batch_id, fence, attempt)
