"""Whoever is on call, in one small workspace: their shell, and what happens to their team."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import expunge.line.unlearn
from expunge.line import Line, open_line, run_batch
from expunge.requests import Filing
from tests.documented import REPOSITORY, Shell
from tests.line.small import CLASSES, COLUMNS, PEOPLE, ROWS, person, table

ALONE = 94
"""The only person with rows of the last class."""
STUCK = """
import os, signal, sys
from pathlib import Path
from expunge.requests import Ledger
from expunge.workspace import Workspace
workspace = Workspace.open(Path(sys.argv[1]))
ledger = Ledger.open(workspace.settings.ledger.url.get_secret_value(), workspace.keys)
with ledger.lock("small"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass
class Story(Shell):
    """The shell of whoever is on call; `BATCH` and `VERSION` are the ones that they would type."""

    in_processes: tuple[str, ...] = ()

    def line(self) -> Line:
        """The line over the workspace in which they are."""
        return open_line(self.folder)

    def typed(self, line: str) -> str:
        """A command with what its capitals stand for."""
        if "BATCH" in line or "VERSION" in line:
            with self.line() as opened:
                names = {
                    "BATCH": opened.ledger.batches()[-1].id,
                    "VERSION": str(opened.ledger.floor("small-mlp")),
                }
            line = re.sub(r"\b(BATCH|VERSION)\b", lambda found: names[found[1]], line)
        return line

    def ask(self, number: int, who: int, days_ago: int = 0) -> str:
        """Somebody asks, by the portal's request D-NUMBER; its id."""
        received = datetime.now(UTC) - timedelta(days=days_ago) if days_ago else None
        filing = Filing("portal", f"D-{number}", person(who), "gdpr", received, ("small",))
        with self.line() as opened:
            (filed,) = opened.ledger.file([filing])
        return filed.request_id

    def edit(self, path: str, old: str, new: str) -> None:
        """Write something else into a spec."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))


MODEL, RUNG = "models/small-mlp.yaml", "{strategy: exact_retrain}"
WEAK = "{strategy: exact_retrain, recipe: {epochs: 1, lr: 0.000001}}"


def _rows(story: Story) -> None:
    """Rows of 90 people and of one with a class of their own; everybody in a fixed role."""
    alone = table(range(ALONE, ALONE + 1)).set_column(2, "label", pa.array([CLASSES] * ROWS))
    rows = pa.concat_tables([table(range(PEOPLE)), alone])
    for at, name in enumerate(COLUMNS, start=3):  # so far apart that no verdict is left to chance
        apart = pc.add(rows[name], pc.multiply(rows["label"], 3)).cast(pa.float32())
        rows = rows.set_column(at, name, apart)
    pq.write_table(rows, story.folder.parent / "people.parquet")
    key = story.folder / ".expunge/keys/placement-small.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)


def _unmet(story: Story) -> None:
    story.edit("data/small.yaml", "min_rows: 50,", "min_rows: 865,")
    story.ask(6, 4)
    story("expunge run small", refused=True)


def _refused_by_the_gate(story: Story) -> None:
    story.edit(MODEL, RUNG, WEAK)
    story.ask(7, 6)
    story("expunge run small")


def _waits_for_a_yes(story: Story) -> None:
    story.edit(MODEL, "gate: {", "gate: {approval: required, ")
    story.ask(8, 8)
    story("expunge run small")


def _another_champion(story: Story) -> None:
    story.edit(MODEL, "approval: required, ", "")
    story("expunge train small-mlp")


def _interrupted(story: Story) -> None:
    """A run ends in the middle of its work; the batch stays open."""

    def lost(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, story.line() as opened:
        patch.setattr(expunge.line.unlearn, "_work", lost)
        with pytest.raises(KeyboardInterrupt):
            run_batch(opened, "small")


def _lost(story: Story) -> None:
    story.ask(10, 11)
    _interrupted(story)


def _stuck(story: Story) -> None:
    """The same, and its lock was never given back."""
    story.ask(9, 9)
    _interrupted(story)
    command = [sys.executable, "-c", STUCK, str(story.folder)]
    died = subprocess.run(command, env=story.variables, check=False, cwd=REPOSITORY)
    assert died.returncode == -9


def _the_day_after(story: Story) -> None:
    story.ask(11, 15)
    story("expunge run")


def _deadlines(story: Story) -> None:
    story.ask(12, 16, days_ago=70)
    story.ask(13, 18, days_ago=26)
    story.ask(14, 19)


def _more_than_usual(story: Story) -> None:
    for number, who in ((15, 20), (16, 21), (17, ALONE), (20, 0)):
        story.ask(number, who)


def _two_more(story: Story) -> None:
    story.ask(18, 23)
    story.ask(19, 24)


def _held_again(story: Story) -> None:
    story.edit(MODEL, RUNG, WEAK)
    story.ask(21, 25)
    story("expunge run small")


def _too_few(story: Story) -> None:
    story.edit(MODEL, "gate: {", "gate: {inconclusive: wait, min_rows: 5000, ")
    story.ask(22, 26)


BEFORE: dict[tuple[str, str], Callable[[Story], None]] = {
    ("bring-your-model.md", "expunge ingest small --from ../people.parquet"): _rows,
    ("batch-failing.md", "expunge metrics"): _unmet,
    ("gate-failing.md", "expunge report"): _refused_by_the_gate,
    ("approval-waiting.md", "expunge status"): _waits_for_a_yes,
    ("roll-back-a-model.md", "expunge model list --versions"): _another_champion,
    ("lock-stuck.md", "expunge metrics"): _stuck,
    ("worker-or-gpu-lost.md", "expunge status"): _lost,
    ("restore-from-backup.md", "cd .."): _the_day_after,
    ("deadline-near.md", "expunge request list --limit 5"): _deadlines,
    ("backlog-growing.md", "expunge status"): _more_than_usual,
    ("end-states.md", "expunge request show r-19a74f52160fd90c"): _two_more,
    ("end-states.md", "expunge request list --state erased_model_pending"): _held_again,
    ("end-states.md", "expunge run"): _too_few,
}
"""What happens to the team before a command of a page, for the first time that it stands there."""
