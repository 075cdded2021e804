"""docs/experiments.md: its commands by DVC itself, in a repository of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from benchmarks.experiment.params import STRATEGIES, Params, ParamsError
from tests.benchmarks.conftest import commit, copy_repository, stage_environment
from tests.documented import REPOSITORY, Shell, page

QUICK = {"dataset": "digits", "request": {"kind": "rows", "rows": 300, "draw": 0}}
"""What the page's own dataset takes a minute for, in seconds."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_compares_two_strategies_on_one_mock_request(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["experiment"] |= QUICK
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    commit(folder)
    shell = Shell(folder, variables=stage_environment())
    shell.follow(page("experiments.md"))
    changed = {words[1] for words in map(str.split, _table(shell, "dvc metrics diff")) if words}
    assert {"hard_row_auc", "forget_accuracy", "cost"} <= changed
    metrics = json.loads((folder / "build/experiment/results/metrics.json").read_text())
    assert metrics["forget_accuracy"] < 1
    assert metrics["cost"] == pytest.approx(0.28, abs=0.03)
    assert metrics["gate"] in ("pass", "fail", "inconclusive")
    plots = (folder / "dvc_plots/index.html").read_text()
    assert "Who is known again" in plots
    assert not (folder / "data/digits").exists()


def _table(shell: Shell, command: str) -> list[str]:
    (said,) = (said for line, said in shell.said.items() if line.startswith(command))
    return said.splitlines()


def test_each_strategy_takes_from_the_parameters_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for strategy in STRATEGIES:
        _write(tmp_path, strategy=strategy)
        assert Params.read().unlearn.rung.strategy == strategy


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"strategy": "amnesia"}, "the strategy 'amnesia'"),
        ({"fraction": 2.0}, "fraction"),
        ({"epoch": 3}, "experiment.unlearn.epoch"),
    ],
)
def test_a_wrong_parameter_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, **changed)
    with pytest.raises(ParamsError, match=told):
        Params.read()


def _write(folder: Path, **changed: object) -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["experiment"]["unlearn"] |= changed
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
