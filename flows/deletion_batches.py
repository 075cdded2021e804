"""The scheduled job: one batch of every dataset of a workspace, one after the other."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from expunge.errors import ExpungeError
from expunge.workspace import Workspace
from flows.deletion_batch import deletion_batch
from flows.failures import summary
from tasks.lines import workspace_root


@flow(name="deletion-batches", flow_run_name="every dataset", persist_result=False)
def deletion_batches(workspace: str | None = None) -> dict[str, str | None]:
    """Run `deletion_batch` for each dataset; the batch of each, None where nothing was pending.

    A dataset whose batch fails does not keep the others from theirs; the flow fails at the end.
    `workspace` is a folder; left out, it is `EXPUNGE_WORKSPACE` or the working directory.
    """
    root = workspace_root(workspace)
    batches: dict[str, str | None] = {}
    failed: dict[str, ExpungeError] = {}
    for spec in Workspace.open(Path(root)).datasets():
        try:
            batches[spec.name] = deletion_batch(spec.name, root)
        except ExpungeError as error:
            failed[spec.name] = error
    if failed:
        raise summary(failed)
    return batches
