"""Station publish: make the staged shards the next version."""

from __future__ import annotations

from prefect import task

from expunge.line import publish as station_publish
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("publish", timeout=4 * HOUR))
def publish(root: str, batch_id: str, fence: Fence) -> None:
    """Run the station once."""
    with line_at(root) as line:
        station_publish.publish(line, batch_id, fence)
