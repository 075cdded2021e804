"""The stages of dvc.yaml by DVC itself, on the dataset that takes seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
PARTS = ("benchmarks", "expunge", "models", "data", ".dvc", "dvc.yaml", "params.yaml", ".gitignore")
QUICKLY = ("-S", "bench.seeds=[0]", "-S", "bench.shadows=8", "-S", "bench.workers=1")
LEFT_OUT = ("writers", "spoken")
"""Datasets that the copy does not have: each stage is a process of its own, and `fashion`, which is
absent without real data, shows what absence looks like."""


def dvc(folder: Path, *arguments: str) -> str:
    """What DVC prints; it has to succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "EXPUNGE_DATA"}
    environment |= {"PYTHONPATH": ".", "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    ran = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own in which the experiment ran once."""
    folder = tmp_path_factory.mktemp("experiment")
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            kept = shutil.ignore_patterns("__pycache__", "tmp", "cache")
            shutil.copytree(source, folder / part, ignore=kept)
        else:
            shutil.copy(source, folder / part)
    _leave_out(folder)
    who = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "The experiment")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    dvc(folder, "exp", "run", *QUICKLY)
    return folder


def _leave_out(folder: Path) -> None:
    """Take datasets out of dvc.yaml and params.yaml."""
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())
    for name in ("ingest", "shadows", "compare"):
        kept = [each for each in stages["stages"][name]["foreach"] if each not in LEFT_OUT]
        stages["stages"][name]["foreach"] = kept
    report = stages["stages"]["report"]
    report["deps"] = [each for each in report["deps"] if not any(n in each for n in LEFT_OUT)]
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages))
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


def test_nothing_runs_again_and_dvc_shows_metrics_and_plots(ran: Path) -> None:
    assert "up to date" in dvc(ran, "repro")
    shown = json.loads(dvc(ran, "metrics", "show", "--json"))
    (metrics,) = shown[""]["data"].values()
    assert "ssd" in metrics["data"]["digits"]["random-5"]
    changed = json.loads(dvc(ran, "metrics", "diff", "--json", "HEAD"))
    assert "digits.random-5.champion.hard_row_auc" in changed["docs/benchmarks.json"]
    dvc(ran, "plots", "show", "-o", "plots")
    assert "Forgetting against cost" in (ran / "plots/index.html").read_text()
