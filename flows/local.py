"""Run a flow in this process, with or without a Prefect server: what `expunge run` calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from expunge.line.context import Progress, silent
from flows.embedded import embedded_api, wait_for_api

if TYPE_CHECKING:
    from expunge.line import BatchReport


def run_deletion_batch(root: Path, dataset: str, progress: Progress = silent) -> BatchReport | None:
    """One batch of `dataset` through the Prefect flow; None when nothing is pending."""
    with embedded_api(root / ".expunge" / "prefect"):
        # Importing takes seconds: meanwhile the embedded server starts.
        from expunge.line import batch_report, open_line
        from flows.deletion_batch import deletion_batch
        from flows.limits import ensure_limits
        from tasks.lines import lend

        with open_line(root, progress=progress) as line, lend(line):
            progress("orchestrate", "waiting for the Prefect API")
            wait_for_api()
            ensure_limits()
            batch_id = deletion_batch(dataset, str(line.workspace.root))
            return batch_report(line, batch_id) if batch_id else None
