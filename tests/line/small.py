"""A workspace small enough to run the whole line in seconds: 90 people, 10 rows each, 6 numbers."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from sqlalchemy import update

from expunge.dataset import ROLES
from expunge.line import BatchReport, Line, Stations, ingest, run_batch, train
from expunge.requests import Filing
from expunge.requests.schema import approvals
from expunge.worker import JOB, Job, work
from expunge.workspace import Workspace, init_workspace

PEOPLE, ROWS, CLASSES = 90, 10, 3
MANY = 160
"""People enough that a mock request of them leaves as many."""
COLUMNS = [f"x{number}" for number in range(6)]

DATASET = {
    "name": "small",
    "classes": CLASSES,
    "features": {"columns": COLUMNS},
    "shards": 8,
    "min_held_out_subjects": 3,
    "expectations": {"max_label_drift": 0.2, "min_rows": 50, "min_rows_per_role": 5},
}
MODEL = {
    "name": "small-mlp",
    "dataset": "small",
    "factory": "mlp.py:MLP",
    "args": {"inputs": len(COLUMNS), "classes": CLASSES, "hidden": [16]},
    "recipe": {"epochs": 4, "lr": 0.01, "batch_size": 64},
    "ladder": [{"strategy": "exact_retrain"}],
    "gate": {"held_out": 0.5},
    "references": {"models": 2, "epochs": 1, "shadows": 4},
    "device": "cpu",
}
FRAGILE = '''

class Fragile(MLP):
    """Gives infinities once its weights have grown large."""

    def forward(self, x):
        norm = sum(weights.square().sum() for weights in self.parameters())
        return super().forward(x) + torch.where(norm > 10_000, torch.inf, 0.0)
'''
WILD = {"epochs": 4, "lr": 10, "schedule": "constant"}
"""A recipe that makes the network of `FRAGILE` diverge."""
RETRAIN = {"strategy": "exact_retrain"}
HELD: dict[str, object] = {
    "factory": "fragile.py:Fragile",
    "ladder": [{"strategy": "exact_retrain", "recipe": WILD}],
}
"""Fields of a model's spec with which no rung passes."""


def person(number: int) -> str:
    """Id of a person of the small dataset."""
    return f"person-{number:04d}-of-the-small-set"


def table(people: range, seed: int = 0) -> pa.Table:
    """Rows of some people: three overlapping clouds, each person a little off."""
    columns: dict[str, list[object]] = {"record_id": [], "subject_id": [], "label": []}
    points = []
    for number in people:
        draw = np.random.default_rng([seed, number])
        labels = draw.integers(0, CLASSES, ROWS)
        own = draw.normal(0, 0.7, len(COLUMNS))
        points.append(draw.normal(0, 1, (ROWS, len(COLUMNS))) + labels[:, None] * 1.2 + own)
        columns["record_id"] += [f"record-{number:04d}-{row}" for row in range(ROWS)]
        columns["subject_id"] += [person(number)] * ROWS
        columns["label"] += labels.tolist()
    values = np.concatenate(points).astype(np.float32)
    features = {name: values[:, at] for at, name in enumerate(COLUMNS)}
    return pa.table({**columns, **features})


def make_workspace(root: Path, **model: object) -> Workspace:
    """An initialised workspace with the small specs alone; nothing ingested."""
    workspace = init_workspace(root)
    for spec in [*root.glob("data/*.yaml"), *root.glob("models/*.yaml")]:
        spec.unlink()
    (root / "data/small.yaml").write_text(yaml.safe_dump(DATASET))
    (root / "models/small-mlp.yaml").write_text(yaml.safe_dump({**MODEL, **model}))
    (root / "models/fragile.py").write_text((root / "models/mlp.py").read_text() + FRAGILE)
    # The same people in the same roles in every session.
    workspace.settings.folders.keys.mkdir(exist_ok=True, mode=0o700)
    (workspace.settings.folders.keys / "placement-small.key").write_bytes(bytes(range(32)))
    return workspace


def respec(line: Line, **changes: object) -> None:
    """Write the model's spec anew, with other values for some fields."""
    _respec(line.workspace.root / "models/small-mlp.yaml", changes)


def respec_dataset(line: Line, **changes: object) -> None:
    """Write the dataset's spec anew, with other values for some fields."""
    _respec(line.workspace.root / "data/small.yaml", changes)


def _respec(path: Path, changes: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def fill(line: Line, folder: Path, people: int = PEOPLE) -> None:
    """Ingest the people and train the champion."""
    source = folder / "people.parquet"
    pq.write_table(table(range(people)), source)
    ingest(line, "small", source)
    train(line, "small-mlp")


def people_in(line: Line, role: str, count: int, among: range = range(PEOPLE)) -> list[str]:
    """The first `count` people whom the placement key puts in `role`."""
    placement = line.store(line.workspace.dataset("small")).placement(
        line.workspace.keys.placement("small")
    )
    everyone = [person(number) for number in among]
    roles = [ROLES[code] for code in placement.place(everyone).role]
    return [one for one, its in zip(everyone, roles, strict=True) if its == role][:count]


def file(
    line: Line,
    *subjects: str,
    source: str = "portal",
    first: int = 1,
    received: datetime = datetime(2026, 11, 1, tzinfo=UTC),
) -> list[str]:
    """File one GDPR request for each subject; the request ids."""
    filings = [
        Filing(source, f"ticket-{first + number}", subject, "gdpr", received, ("small",))
        for number, subject in enumerate(subjects)
    ]
    return [filed.request_id for filed in line.ledger.file(filings)]


def end_approvals(line: Line) -> None:
    """Let the time to answer be over, for every question."""
    with line.ledger._store.write() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(approvals).values(expires_at=past))


def run(line: Line, stations: Stations | None = None) -> BatchReport:
    """Run a batch that has something to do."""
    report = run_batch(line, "small", stations)
    assert report is not None
    return report


def states(line: Line, requests: list[str]) -> list[str]:
    """The state of each request."""
    return [line.ledger.request(each).state for each in requests]


def forget_rows(line: Line, batch_id: str) -> dict[str, int]:
    """Rows of the forget split of each attempt of a batch."""
    parts = line.ledger.parts(batch_id, "unlearn")
    outcomes = {part: line.ledger.outcome(batch_id, "unlearn", part) for part in parts}
    return {part: outcome["forget_rows"] for part, outcome in outcomes.items() if outcome}


def settled(line: Line, request_id: str) -> dict[str, str]:
    """State of a request's settlement in each model."""
    (target,) = line.ledger.request(request_id).targets
    return {settlement.model: settlement.state for settlement in target.settlements}


def git(line: Line, *words: str) -> str:
    """What git says of the workspace."""
    command = ["git", "-C", str(line.workspace.root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def shards(line: Line) -> dict[str, str]:
    """Digest of each file of the dataset."""
    files = sorted((line.workspace.root / "data/small").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def work_here(line: Line, folder: Path) -> dict[str, Any]:
    """What the worker does, in this process."""
    return work(Job(**json.loads((folder / JOB).read_text())), folder)
