"""Station report: log the report of a batch that is over, and show it in Prefect."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact

from expunge.line import reporting as station_report
from expunge.report import decisions
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("report", timeout=HOUR))
def report(root: str, batch_id: str, fence: Fence) -> None:
    """Run the station once; its artifact `report-DATASET` has a version for each batch."""
    with line_at(root) as line:
        station_report.report(line, batch_id, fence, tell=_artifact)


def _artifact(told: station_report.Reported) -> None:
    create_markdown_artifact(
        key=f"report-{told.report.dataset}".replace("_", "-"),
        markdown=_markdown(told),
        description=f"Batch {told.report.batch_id} of {told.report.dataset}",
    )


def _markdown(told: station_report.Reported) -> str:
    """The decisions, and where the page is: counts and names of models, never of people."""
    found = told.report
    lines = [f"## Batch {found.batch_id} of {found.dataset}: {found.state}", ""]
    lines += [f"- {sentence}" for sentence in decisions(found)]
    where = f"[its MLflow run]({told.link})" if told.link else f"MLflow run `{told.logged.run_id}`"
    lines += ["", f"The report, one page, is among the artifacts of {where}:", ""]
    lines += [f"`{told.page}`", "", f"`expunge report {found.batch_id}` tells it in a terminal."]
    return "\n".join(lines) + "\n"
