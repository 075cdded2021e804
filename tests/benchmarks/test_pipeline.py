"""The benchmark's stages by DVC itself, on the dataset that takes seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.benchmarks.conftest import commit, copy_repository, dvc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STAGES = "benchmarks/dvc.yaml"
QUICKLY = ("-S", "bench.seeds=[0]", "-S", "bench.shadows=8", "-S", "bench.workers=1")
LEFT_OUT = ("writers", "spoken")
"""Datasets that the copy does not have: each stage is a process of its own, and `fashion`, which is
absent without real data, shows what absence looks like."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own in which the benchmark ran once."""
    folder = copy_repository(tmp_path_factory.mktemp("benchmark"))
    _leave_out(folder)
    commit(folder)
    dvc(folder, "exp", "run", *QUICKLY, STAGES)
    return folder


def _leave_out(folder: Path) -> None:
    """Take datasets out of the stages and params.yaml."""
    stages = yaml.safe_load((folder / STAGES).read_text())
    for name in ("ingest", "shadows", "compare"):
        kept = [each for each in stages["stages"][name]["foreach"] if each not in LEFT_OUT]
        stages["stages"][name]["foreach"] = kept
    report = stages["stages"]["report"]
    report["deps"] = [each for each in report["deps"] if not any(n in each for n in LEFT_OUT)]
    (folder / STAGES).write_text(yaml.safe_dump(stages))
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for name in LEFT_OUT:
        del params["bench"]["requests"][name]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def test_the_page_rests_on_the_cells_that_were_asked_for(ran: Path) -> None:
    page = (ran / "docs/benchmarks.md").read_text()
    assert "It rests on 1 cells" in page or "It rests on 1 cell," in page
    assert "Fashion-MNIST, synthetic subjects\n\nSkipped: fashion_mnist.npz is not in" in page
    means = json.loads((ran / "docs/benchmarks.json").read_text())
    digits = means["digits"]["random-5"]
    assert digits["champion"]["forget_accuracy"] > digits["exact retrain"]["forget_accuracy"]
    assert (ran / "docs/benchmarks/digits-random-5.png").stat().st_size > 10_000


def test_nothing_runs_again_and_dvc_shows_numbers_and_plots(ran: Path) -> None:
    assert "up to date" in dvc(ran, "repro", STAGES)
    changed = json.loads(
        dvc(ran, "metrics", "diff", "--json", "HEAD", "--targets", "docs/benchmarks.json")
    )
    assert "digits.random-5.champion.hard_row_auc" in changed["docs/benchmarks.json"]
    dvc(ran, "plots", "show", "-o", "plots")
    assert "forgetting against cost" in (ran / "plots/index.html").read_text()
