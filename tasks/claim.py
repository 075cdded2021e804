"""Station claim: gather pending targets into a batch."""

from __future__ import annotations

from prefect import task

from expunge.line import claim as station_claim
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("claim", timeout=HOUR))
def claim(root: str, dataset: str, fence: Fence) -> str | None:
    """The batch to work on, or None."""
    with line_at(root) as line:
        return station_claim.claim(line, dataset, fence)
