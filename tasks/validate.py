"""Station validate: judge the staged shards."""

from __future__ import annotations

from prefect import task

from expunge.line import validate as station_validate
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("validate", timeout=4 * HOUR))
def validate(root: str, batch_id: str, fence: Fence) -> None:
    """Run the station once."""
    with line_at(root) as line:
        station_validate.validate(line, batch_id, fence)
