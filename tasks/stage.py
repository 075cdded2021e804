"""Station stage: write the rewritten shards aside."""

from __future__ import annotations

from prefect import task

from expunge.line import stage as station_stage
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("stage", timeout=4 * HOUR))
def stage(root: str, batch_id: str, fence: Fence) -> None:
    """Run the station once."""
    with line_at(root) as line:
        station_stage.stage(line, batch_id, fence)
