"""The scheduled job: the backlog of every dataset of a workspace, batch after batch."""

from __future__ import annotations

from prefect import flow, get_run_logger

from expunge.line.schedule import Drained, drain
from flows.deletion_batch import deletion_batch
from flows.failures import summary
from flows.logs import structured_logs
from tasks.lines import line_at, workspace_root


@flow(name="deletion-batches", flow_run_name="every dataset", persist_result=False)
def deletion_batches(
    workspace: str | None = None, only_pressing: bool = False
) -> dict[str, list[str]]:
    """Run `deletion_batch` until no dataset has anything left to do; the batches of each.

    The order, the bounds and what `only_pressing` leaves for the night are those of
    `expunge.line.schedule`. A dataset whose batch fails does not keep the others from theirs; the
    flow fails at the end. `workspace` is a folder; left out, it is `EXPUNGE_WORKSPACE` or the
    working directory.
    """
    structured_logs()
    root = workspace_root(workspace)
    with line_at(root) as line:
        names = [spec.name for spec in line.workspace.datasets()]
        done = drain(
            line, names, lambda name: deletion_batch(name, root), only_pressing=only_pressing
        )
    _tell(done)
    if done.failed:
        raise summary(done.failed)
    return done.batches


def _tell(done: Drained) -> None:
    say = get_run_logger().info
    for name in done.busy:
        say("%s: another run is at work on it", name)
    for name, made in done.batches.items():
        say("%s: %d batches, %d requests still pending", name, len(made), done.pending.get(name, 0))
