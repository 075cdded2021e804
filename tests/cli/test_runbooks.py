"""docs/runbooks: all pages as one story in one small workspace; and one page for each alert."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

import expunge.cli.run
import expunge.line.unlearn
from expunge.cli.session import Session
from expunge.line import BatchReport, open_line, run_batch
from tests.cli.oncall import BEFORE, Story
from tests.documented import REPOSITORY, environment, page, says
from tests.line.small import work_here

FOLDER = REPOSITORY / "docs/runbooks"
ALERTS = REPOSITORY / "deploy/prometheus/alerts.yaml"
PARTS = (
    "Meaning", "What users notice", "What to look at", "Commands", "Verify", "Escalate",
)  # fmt: skip
PARTS_OF_AN_END = (
    "Meaning", "Users notice", "Look at", "Commands", "Verify", "Escalate",
)  # fmt: skip
ELSEWHERE = {
    "make setup": "made the environment that this runs in",
    "expunge audit small-mlp": "tests/cli/test_audit.py",
    "expunge exporter --port 9108 --address 0.0.0.0": "tests/cli/test_metrics.py, at a free port",
    "curl --fail --silent http://127.0.0.1:9108/metrics": "tests/cli/test_metrics.py reads it",
    "pg_dump --format custom --file ledger.dump expunge": "needs a server: only its options",
    "pg_restore --clean --if-exists --dbname expunge ledger.dump": "needs a server",
}
"""What is run in another form, or not here."""
STORY = (
    "first-installation.md",
    "bring-your-model.md",
    "nightly-batch.md",
    "batch-failing.md",
    "validation-failed.md",
    "gate-failing.md",
    "model-held.md",
    "model-in-debt.md",
    "approval-waiting.md",
    "roll-back-a-model.md",
    "rotate-keys.md",
    "lock-stuck.md",
    "worker-or-gpu-lost.md",
    "restore-from-backup.md",
    "deadline-near.md",
    "deadline-missed.md",
    "backlog-growing.md",
    "batch-late.md",
    "exporter-down.md",
    "upgrade.md",
    "end-states.md",
)
OF_PREFECT = sorted(
    {
        command.line
        for name in STORY
        for block in page(f"runbooks/{name}")
        for command in block.commands
        if command.line.startswith("prefect ")
    }
)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`expunge run` without Prefect, which tests/cli/test_guide.py has around the same stations."""

    def run_one(session: Session, dataset: str) -> BatchReport | None:
        root = session.workspace().root
        with session.progress() as progress, open_line(root, progress=progress) as line:
            return run_batch(line, dataset)

    monkeypatch.setattr(expunge.cli.run, "_run_one", run_one)
    monkeypatch.setattr(expunge.cli.run, "_one_api", lambda *_, **__: nullcontext())
    monkeypatch.setattr(expunge.line.unlearn, "_work", work_here)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    # MLflow must not keep connections to a database that a backup replaces.
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "on call")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "on-call@localhost")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), *sys.path]))


def told(story: Story) -> Iterator[tuple[str, str, str, str]]:
    """Follow all pages; page, command, what the page says that it prints, what it printed."""
    due = dict(BEFORE)
    for name in STORY:
        for block in page(f"runbooks/{name}"):
            if block.name:
                (story.folder / block.name).write_text(block.text)
            for command in block.commands:
                if command.line in ELSEWHERE or command.line in OF_PREFECT:
                    continue
                if happens := due.pop((name, command.line), None):
                    happens(story)
                said = story(story.typed(command.line), refused=command.refused)
                yield name, command.line, command.said, said
    assert not due, "no page has these commands any more"


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_the_pages_are_one_story_and_say_what_is_said(tmp_path: Path) -> None:
    story = Story(tmp_path, environment())
    for name, line, documented, said in told(story):
        try:
            says(said, documented)
        except AssertionError as wrong:
            raise AssertionError(f"{name}: {line}: {wrong}") from None
    with story.line() as opened:
        ends = {each.state for each in opened.ledger.requests()}
        batches = {each.state for each in opened.ledger.batches()}
    assert ends >= {"completed", "no_match", "already_erased", "denied", "cancelled"}
    assert batches >= {"finished", "failed"}


@pytest.mark.parametrize("line", OF_PREFECT)
def test_prefect_has_the_commands_and_options_that_need_its_server(line: str) -> None:
    from prefect.cli._app import _app  # what `prefect` calls

    words = [word for word in shlex.split(line)[1:] if word != "--no-prompt"]  # of any command
    command, *_ = _app.parse_args(words, exit_on_error=False, print_error=False)
    assert callable(command)


def test_every_alert_has_its_page_and_every_page_that_an_alert_names_exists() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    index = (FOLDER / "README.md").read_text()
    for rule in group["rules"]:
        named = rule["annotations"]["runbook"]
        dashed = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", rule["alert"]).lower()
        assert named == f"docs/runbooks/{dashed}.md"
        assert f"Alert `{rule['alert']}`" in (REPOSITORY / named).read_text()
        assert f"| {rule['alert']} | [{dashed}.md]({dashed}.md) |" in index


@pytest.mark.parametrize("name", STORY)
def test_a_page_has_the_six_parts(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (FOLDER / name).read_text(), flags=re.DOTALL | re.MULTILINE)
    if name != "end-states.md":
        assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == PARTS
        return
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert tuple(re.findall(r"^- \*\*(.+?)\.\*\*", section, re.MULTILINE)) == PARTS_OF_AN_END


def test_the_story_has_every_page() -> None:
    assert {*STORY, "README.md"} == {each.name for each in FOLDER.iterdir()}
