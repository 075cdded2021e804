"""Run a flow in this process, with or without a Prefect server: what `expunge run` calls.

Nothing heavy is imported at the top: the embedded server starts first, and the imports of the
stations and of Prefect, seconds of both, run beside its own.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.workspace import Workspace
from flows.embedded import embedded_api, wait_for_api
from flows.failures import api_errors

if TYPE_CHECKING:
    from expunge.line import BatchReport, Progress


def run_deletion_batch(
    root: Path, dataset: str, progress: Progress | None = None
) -> BatchReport | None:
    """One batch of `dataset` through the Prefect flow; None when nothing is pending.

    Raises:
        ExpungeError: as a station raised it.
    """
    workspace = Workspace.open(root)
    workspace.dataset(dataset)
    with local_api(workspace.root):
        if progress:
            progress("orchestrate", "starting")
        _import_stations()
        from expunge.line import batch_report, open_line, silent
        from flows.deletion_batch import deletion_batch
        from tasks.lines import lend

        with open_line(workspace.root, progress=progress or silent) as line, lend(line):
            wait_for_api()
            with api_errors():
                batch_id = deletion_batch(dataset, str(workspace.root))
            return batch_report(line, batch_id) if batch_id else None


def local_api(root: Path) -> AbstractContextManager[None]:
    """The Prefect API for runs in this process of a workspace; several runs may share it."""
    return embedded_api(root / ".expunge" / "prefect")


def _import_stations() -> None:
    """What is needed before a worker runs; the rest is imported while it does."""
    for name in ("great_expectations", "mlflow", "dvc.repo"):
        import_module(name)
