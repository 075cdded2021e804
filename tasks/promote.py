"""Station promote: register and promote a candidate, or hold the model."""

from __future__ import annotations

from prefect import task

from expunge.line import promote as station_promote
from expunge.line.attempt import Attempt
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("promote", timeout=HOUR))
def promote(root: str, batch_id: str, fence: Fence, attempt: Attempt) -> None:
    """Make the attempt's candidate the champion."""
    with line_at(root) as line:
        station_promote.promote(line, batch_id, fence, attempt)


@task(**station("hold", timeout=HOUR))
def hold(root: str, batch_id: str, fence: Fence, first: Attempt, why: str) -> None:
    """Leave the attempt's model in debt."""
    with line_at(root) as line:
        station_promote.hold(line, batch_id, fence, first, why)
