"""Reporting: the page and the JSON of a batch that is over, logged to MLflow; one effect.

The intent is written when the batch is opened. So a batch that dies between its last decision and
its report still owes one, and whoever takes the dataset's lock next writes it. Erasing never waits
for a report: those that are owed are written when nothing else is to be done.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from expunge.line.account import account
from expunge.line.context import Line
from expunge.line.recover import OVER
from expunge.lineage.batch_runs import BatchRun, BatchRuns, LoggedRun
from expunge.report import Pictures, Report, decisions, page
from expunge.requests import Fence

KIND = "report"
PAGE, VALUES = "report.html", "report.json"
OTHERS_ROWS = "perturbed.png"
"""The one plot that shows rows: of held-out people, who may ask to be erased one day."""


@dataclass(frozen=True)
class Reported:
    """A batch's report and where it was logged; `link` opens its run on an MLflow server."""

    report: Report
    logged: LoggedRun
    link: str | None

    @property
    def page(self) -> str:
        """Address of the page among the run's artifacts."""
        return f"{self.logged.artifacts}/{PAGE}"


def owe_report(line: Line, fence: Fence, batch_id: str) -> None:
    """Write down that this batch gets a report."""
    line.ledger.intend(fence, _key(batch_id), KIND, {}, batch_id=batch_id)


def owed_reports(line: Line, dataset: str) -> list[str]:
    """Batches that are over and have no report yet, oldest first."""
    owed = [effect.batch_id for effect in line.ledger.open_effects(dataset, KIND)]
    return [each for each in owed if each and line.ledger.batch(each).state in OVER]


def report(
    line: Line, batch_id: str, fence: Fence, tell: Callable[[Reported], None] | None = None
) -> None:
    """Log the report of a batch that is over, and `tell` of it; made once, told at least once."""
    line.progress(KIND, f"page and JSON of {batch_id} to MLflow")
    runs = BatchRuns.open(line.workspace.settings)
    found = account(line, batch_id)
    line.ledger.check(fence)
    logged = runs.find_run(_key(batch_id), found.dataset) or runs.log_run(_run(line, found))
    if tell is not None:
        tell(Reported(found, logged, _link(runs, logged)))
    line.ledger.complete(fence, _key(batch_id), {"run": logged.run_id})


def logged_run(line: Line, batch_id: str) -> str | None:
    """The MLflow run that holds the report of a batch; None while there is none."""
    effect = line.ledger.effect(_key(batch_id))
    return str(effect.result["run"]) if effect and effect.result else None


def pictures(line: Line, found: Report, *, others_rows: bool = False) -> Pictures:
    """The candidates' plots out of MLflow; that of other people's rows where it is asked for."""
    runs = BatchRuns.open(line.workspace.settings)
    tried = [rung.run_id for model in found.models for rung in model.rungs if rung.run_id]
    drawn = {run_id: runs.plots(run_id) for run_id in tried}
    if not others_rows:
        for plots in drawn.values():
            plots.pop(OTHERS_ROWS, None)
    return drawn


def rendered(line: Line, found: Report, *, others_rows: bool = False) -> str:
    """The page of a report, with the plots in it."""
    drawn = pictures(line, found, others_rows=others_rows)
    return page(found, drawn, mlflow=BatchRuns.open(line.workspace.settings).pages)


def _key(batch_id: str) -> str:
    return f"{KIND}:{batch_id}"


def _run(line: Line, found: Report) -> BatchRun:
    numbers = {"requests": sum(asked.requests for asked in found.asked)}
    if found.erasure is not None:
        erased = found.erasure
        numbers |= {"people": erased.people, "rows": erased.rows, "shards": erased.shards}
    return BatchRun(
        effect_key=_key(found.batch_id),
        batch_id=found.batch_id,
        dataset=found.dataset,
        description="\n".join(f"- {sentence}" for sentence in decisions(found)),
        files={
            PAGE: rendered(line, found),
            VALUES: json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n",
        },
        metrics={**numbers, **{f"seconds.{name}": spent for name, spent in found.seconds.items()}},
        tags={"expunge.state": found.state},
    )


def _link(runs: BatchRuns, logged: LoggedRun) -> str | None:
    if runs.pages is None:
        return None
    return f"{runs.pages}/#/experiments/{logged.experiment_id}/runs/{logged.run_id}"
