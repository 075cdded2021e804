"""Station approve: put a candidate that passed the gate to a person, or read the answer."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact

from expunge.line import approve as station_approve
from expunge.line.attempt import Attempt
from expunge.requests import Fence
from tasks.lines import line_at
from tasks.policy import HOUR, station


@task(**station("approve", timeout=HOUR))
def approve(root: str, batch_id: str, fence: Fence, attempt: Attempt) -> station_approve.Answer:
    """The answer as of now; a question is shown in Prefect as artifact `approval-MODEL`."""
    with line_at(root) as line:
        return station_approve.approve(line, batch_id, fence, attempt, tell=_artifact)


def _artifact(asked: station_approve.Asked) -> None:
    found = asked.approval
    create_markdown_artifact(
        key=f"approval-{found.model}".replace("_", "-"),
        markdown=_markdown(asked),
        description=f"Batch {found.batch_id} of {asked.dataset} waits for a yes or a no",
    )


def _markdown(asked: station_approve.Asked) -> str:
    """What is asked, until when, and how to answer: names and digests, no people."""
    found = asked.approval
    candidate = f"{found.model} version {found.version}"
    linked = f"[{candidate}]({asked.link})" if asked.link else candidate
    command = f"{found.batch_id} --model {found.model} --reason TEXT"
    return (
        f"## {candidate} waits for approval\n\n"
        f"{linked} passed the gate in batch {found.batch_id} of {asked.dataset}. It is to replace "
        f"version {found.base}. Without an answer until {found.expires_at:%Y-%m-%d %H:%M} UTC the "
        "model is held, and keeps its debt.\n\n"
        f"What was measured: `expunge report {found.batch_id} --html report.html`\n\n"
        f"`expunge approve {command}`\n\n`expunge reject {command}`\n\n"
        f"SHA-256 of the candidate: `{found.digest}`\n"
    )
