"""Run a flow in this process, with or without a Prefect server: what `expunge run` calls."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.line.context import Progress, silent
from flows.embedded import embedded_api, wait_for_api

if TYPE_CHECKING:
    from expunge.line import BatchReport


def run_deletion_batch(root: Path, dataset: str, progress: Progress = silent) -> BatchReport | None:
    """One batch of `dataset` through the Prefect flow; None when nothing is pending."""
    with embedded_api(root / ".expunge" / "prefect"):
        progress("orchestrate", "starting")
        _import_stations()
        from expunge.line import batch_report, open_line
        from flows.deletion_batch import deletion_batch
        from flows.limits import ensure_limits
        from tasks.lines import lend

        with open_line(root, progress=progress) as line, lend(line):
            wait_for_api()
            ensure_limits()
            batch_id = deletion_batch(dataset, str(line.workspace.root))
            return batch_report(line, batch_id) if batch_id else None


def _import_stations() -> None:
    """Import what the stations will need, seconds of it, while the embedded server starts."""
    for name in ("torch", "dvc.repo", "mlflow.pytorch", "great_expectations"):
        import_module(name)
