"""Train: on clean data only; what goes wrong leaves the champion as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from expunge.errors import ExpungeError
from expunge.line import Line, train
from expunge.line.crowning import DirtyVersionError
from expunge.training import DivergedError
from tests.line.small import HELD, WILD, file, git, people_in, respec, run, shards

RAISES = "def MLP(**_):\n    raise ValueError('no such width')\n"


def versions(line: Line) -> tuple[str | None, int]:
    """The champion, and how many versions MLflow and the ledger hold together."""
    made = line.registry.client.search_model_versions("name = 'small-mlp'")
    return line.registry.champion("small-mlp"), len(made) + len(
        line.ledger.model_versions("small-mlp")
    )


def test_shards_that_hold_an_erased_person_are_refused_and_the_error_mends_them(line: Line) -> None:
    file(line, *people_in(line, "E", 1))
    run(line)
    before, clean = versions(line), shards(line)
    first, root = line.ledger.versions("small")[0], line.workspace.root
    _shell(f"git checkout {first.commit} -- data/small.dvc && dvc checkout data/small.dvc", root)
    with pytest.raises(DirtyVersionError, match="hold 1 erased person") as caught:
        train(line, "small-mlp")
    assert versions(line) == before
    _shell(caught.value.fix, root)
    assert shards(line) == clean
    assert git(line, "status", "--porcelain", "data/small.dvc") == ""
    assert train(line, "small-mlp").version == "2"


def _shell(command: str, root: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        command,
        shell=True,
        cwd=root,
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": path},
    )


def test_a_model_whose_people_were_erased_while_it_trained_is_dropped(line: Line) -> None:
    file(line, *people_in(line, "E", 1))

    def run_a_batch(
        station: str, text: str, done: float | None = None, total: float | None = None
    ) -> None:
        if (station, done) == ("train", 1):
            run(line)

    before = versions(line)
    with pytest.raises(DirtyVersionError, match="while the model was training"):
        train(replace(line, progress=run_a_batch), "small-mlp")
    assert len(line.ledger.versions("small")) == 2
    assert versions(line) == before


def test_a_factory_that_raises_is_named_and_the_champion_stays(line: Line) -> None:
    (line.workspace.root / "models/raises.py").write_text(RAISES)
    respec(line, factory="raises.py:MLP")
    before = versions(line)
    with pytest.raises(ExpungeError, match=r"raises\.py:MLP raised ValueError: no such width"):
        train(line, "small-mlp")
    assert versions(line) == before


def test_training_that_diverges_leaves_the_champion(line: Line) -> None:
    respec(line, factory=HELD["factory"], recipe=WILD)
    before = versions(line)
    with pytest.raises(DivergedError):
        train(line, "small-mlp")
    assert versions(line) == before
