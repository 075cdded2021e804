"""A real workspace per test: git, DVC, keys and ledger, copied from one made per session."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from expunge.cli.app import app
from expunge.requests import Filing, Ledger
from expunge.workspace import Workspace, init_workspace

DATASET = """
name: people
classes: 2
features: {columns: [a, b, c, d]}
shards: 4
min_held_out_subjects: 5
roles: {T: 0.6, V: 0.05, R: 0.15, F: 0.05, E: 0.15}
expectations: {min_rows: 50, min_rows_per_role: 1}
"""
MODEL = """
name: judge
dataset: people
factory: mlp.py:MLP
args: {inputs: 4, classes: 2}
recipe: {epochs: 3, lr: 0.01, batch_size: 32}
device: cpu
references: {models: 2}
ladder:
  - {strategy: exact_retrain}
"""
SUBJECTS, ROWS_EACH = 80, 6


@dataclass(frozen=True)
class Expunge:
    """The command line over one workspace."""

    root: Path

    def __call__(self, *arguments: str, stdin: str | bytes | None = None) -> Any:
        runner = CliRunner(env={"EXPUNGE_WORKSPACE": str(self.root), "COLUMNS": "80"})
        return runner.invoke(app, list(arguments), input=stdin)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same as a process of its own: Prefect keeps one API per process."""
        command = [sys.executable, "-m", "expunge.cli", *arguments, "--workspace", str(self.root)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)

    def ledger(self) -> Ledger:
        workspace = Workspace.open(self.root)
        return Ledger.open(workspace.settings.ledger.url.get_secret_value(), workspace.keys)

    def file(self, *subjects: str, datasets: tuple[str, ...] = ("people",)) -> list[str]:
        """File a request for each; their ids."""
        filings = [
            Filing("test", f"t-{subject}", subject, "gdpr", None, datasets) for subject in subjects
        ]
        with self.ledger() as ledger:
            return [filed.request_id for filed in ledger.file(filings)]


def _write_spec(folder: Path, text: str) -> None:
    text = textwrap.dedent(text).lstrip()
    name = text.split("\n", 1)[0].removeprefix("name: ")
    (folder / f"{name}.yaml").write_text(text)


def _moved(template: Path, root: Path) -> Path:
    """A copy of a workspace; the DVC remote of a fresh one is an absolute path."""
    shutil.copytree(template, root, symlinks=True)
    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(template), str(root)))
    return root


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "workspace"
    workspace = init_workspace(root)
    workspace.keys.reference()
    # With a random one, an erasure may leave the smallest role without anyone.
    placement = workspace.settings.folders.keys / "placement-people.key"
    placement.write_bytes(hashlib.sha256(b"expunge tests: placement 1").digest())
    placement.chmod(0o600)
    for folder in ("data", "models"):
        for spec in (root / folder).glob("*.yaml"):
            spec.unlink()
    _write_spec(root / "data", DATASET)
    with Ledger.open(workspace.settings.ledger.url.get_secret_value(), workspace.keys):
        pass
    return root


@pytest.fixture
def expunge(template: Path, tmp_path: Path) -> Expunge:
    return Expunge(_moved(template, tmp_path / "workspace"))


@pytest.fixture
def second_dataset(expunge: Expunge) -> Expunge:
    _write_spec(expunge.root / "data", DATASET.replace("people", "others"))
    return expunge


def people_csv(path: Path) -> Path:
    """Rows of `SUBJECTS` people, with a pattern that a small network learns."""
    draw = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["record_id", "subject_id", "label", "a", "b", "c", "d"])
        for row in range(SUBJECTS * ROWS_EACH):
            label = row % 2
            features = draw.normal(loc=label * 1.5, size=4).round(4)
            writer.writerow([f"row-{row}", f"person-{row // ROWS_EACH}", label, *features])
    return path


@pytest.fixture
def subject_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "subject.txt"
        path.write_text(text)
        return path

    return write


@dataclass(frozen=True)
class Erased:
    """A workspace after one batch: who was erased, and what the commands said."""

    run: Expunge
    requests: tuple[str, ...]
    said: dict[str, Any]


@pytest.fixture(scope="session")
def erased(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Erased:
    """Rows in, a champion, eleven requests (one of a stranger), one batch; each by its command."""
    folder = tmp_path_factory.mktemp("erased")
    run = Expunge(_moved(template, folder / "workspace"))
    _write_spec(run.root / "models", MODEL)
    said = {"ingest": run.json("ingest", "people", "--from", str(people_csv(folder / "rows.csv")))}
    said["train"] = run.json("train", "judge")
    requests = run.file(*(f"person-{number}" for number in range(10)), "a stranger")
    said["run"] = run.process("run", "people", "--json")
    return Erased(run, tuple(requests), said)
