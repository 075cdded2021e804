"""The demo from start to end, as a process: what it shows, and where it leaves people's ids."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from expunge.cli.demo.writers import WRITERS, subject_of
from expunge.line import open_line
from tests.cli.search import found_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DATA = ("data/digits/", ".dvc/cache/", ".expunge/remote/")


@dataclass(frozen=True)
class Demo:
    root: Path
    output: str
    status: int


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    root = tmp_path_factory.mktemp("demo") / "workspace"
    command = [sys.executable, "-m", "expunge.cli", "demo", "--workspace", str(root)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return Demo(root, told.stdout + told.stderr, told.returncode)


@pytest.fixture(scope="module")
def erased(demo: Demo) -> list[str]:
    """Ids of the people that the ledger says are erased."""
    with open_line(demo.root) as line:
        suppressed = line.ledger.suppressed("digits")
        return sorted(suppressed.contains([subject_of(writer) for writer in range(WRITERS)]))


def test_the_demo_refuses_one_candidate_and_promotes_another(demo: Demo) -> None:
    assert demo.status == 0, demo.output[-4000:]
    (report,) = (demo.root / ".expunge/reports").glob("*.json")
    (model,) = json.loads(report.read_text())["models"]
    assert model["decision"] == "promoted"
    assert model["strategy"] == "random_k"
    assert [rung["strategy"] for rung in model["rungs"]] == ["top_k", "random_k"]
    assert model["rungs"][0]["outcome"] in ("fail", "inconclusive")


def test_everyone_in_the_batch_is_gone_from_the_dataset(demo: Demo, erased: list[str]) -> None:
    assert len(erased) >= 25
    assert not found_in(demo.root / "data/digits", erased)


def test_no_id_of_an_erased_person_is_outside_dataset_and_vault(
    demo: Demo, erased: list[str]
) -> None:
    places = found_in(demo.root, erased)
    outside = [place for place in places if not place.startswith(DATA)]
    assert outside == []
    assert not [subject for subject in erased if subject in demo.output]


def test_the_search_finds_what_is_there(demo: Demo, erased: list[str], tmp_path: Path) -> None:
    """The positive control: old versions in cache and remote still hold everyone (issue: purge),
    and what is planted in each kind of store is found.
    """
    places = found_in(demo.root, erased)
    for store in (".dvc/cache/", ".expunge/remote/"):
        assert {s for place, hits in places.items() if place.startswith(store) for s in hits} == {
            *erased
        }
    planted = "a planted person's id"
    copy = tmp_path / "copy"
    shutil.copytree(demo.root / ".expunge", copy, symlinks=True)
    (copy / "mlartifacts" / "note.json").write_text(json.dumps({"who": planted}))
    found = found_in(copy, [planted])
    assert set(found) == {"mlartifacts/note.json"}


def test_the_ledger_and_mlflow_name_the_batch_that_the_search_reads(demo: Demo) -> None:
    """A second positive control: the search does read the tables that it clears of ids."""
    with open_line(demo.root) as line:
        (batch,) = line.ledger.batches("digits")
    places = " ".join(found_in(demo.root, [batch.id]))
    assert "ledger.db!events" in places
    assert "mlflow.db!" in places
    assert ".git/objects" in places
