"""The main job: one batch of erasure requests of one dataset, from claim to promotion.

The order of the stations stands in `expunge.line.run_batch`; here each one runs as a Prefect
task. Parameters are names only: Prefect stores them in clear.
"""

from __future__ import annotations

from prefect import flow, get_run_logger

from expunge.line import run_batch
from flows.limits import ensure_limits
from flows.logs import structured_logs
from flows.stations import STATIONS
from tasks.lines import line_at, workspace_root


@flow(name="deletion-batch", flow_run_name="{dataset}", persist_result=False)
def deletion_batch(dataset: str, workspace: str | None = None) -> str | None:
    """Run the open batch of `dataset`, or a new one; its id, or None when nothing is pending.

    `workspace` is a folder; left out, it is `EXPUNGE_WORKSPACE` or the working directory.
    """
    structured_logs()
    ensure_limits()
    with line_at(workspace_root(workspace)) as line:
        done = run_batch(line, dataset, STATIONS)
    if done is None:
        return None
    for asked in done.approvals:
        if asked.state == "waiting":
            told = "%s version %s waits for approval: see artifact approval-%s"
            get_run_logger().info(told, asked.model, asked.version, asked.model)
    return done.batch_id
