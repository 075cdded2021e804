"""The run of a batch in a real MLflow store, and the plots read back for its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expunge.lineage import Candidate, Registry
from expunge.lineage.batch_runs import BatchRun, BatchRuns

KEY = "report:b-20261121-3f9a1c"
MADE = BatchRun(
    effect_key=KEY,
    batch_id="b-20261121-3f9a1c",
    dataset="digits",
    description="- digits-cnn: version 2 replaces version 1.",
    files={"report.html": "<p>ε</p>", "report.json": "{}"},
    metrics={"rows": 560, "seconds.unlearn": 10.5},
    tags={"expunge.state": "finished"},
)


@pytest.fixture
def runs(registry: Registry) -> BatchRuns:
    return BatchRuns(registry.uri, registry.artifacts)


def logged(runs: BatchRuns) -> list[Any]:
    experiment = runs.client.get_experiment_by_name("expunge/batches/digits")
    return list(runs.client.search_runs([experiment.experiment_id]))


def test_a_run_holds_the_files_metrics_and_the_decision_on_its_page(runs: BatchRuns) -> None:
    made = runs.log_run(MADE)
    (run,) = logged(runs)
    assert (run.info.run_id, run.info.run_name, run.info.status) == (
        made.run_id,
        MADE.batch_id,
        "FINISHED",
    )
    assert run.data.metrics == MADE.metrics
    assert run.data.tags["mlflow.note.content"] == MADE.description
    assert run.data.tags["expunge.state"] == "finished"
    folder = Path(made.artifacts.removeprefix("file://"))
    assert (folder / "report.html").read_text() == "<p>ε</p>"
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]


def test_logging_again_under_the_same_key_makes_nothing(runs: BatchRuns) -> None:
    assert runs.find_run(KEY, "digits") is None
    first = runs.log_run(MADE)
    assert runs.log_run(MADE) == first == runs.find_run(KEY, "digits")
    assert len(logged(runs)) == 1


@pytest.mark.parametrize("step", ["log_batch", "log_text", "set_terminated"])
def test_an_attempt_that_died_is_deleted_and_done_again(
    runs: BatchRuns, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(type(runs.client), step, die)
        runs.log_run(MADE)
    assert runs.find_run(KEY, "digits") is None
    made = runs.log_run(MADE)
    assert [run.info.run_id for run in logged(runs)] == [made.run_id]


def test_plots_are_read_back_as_they_were_and_none_of_a_run_that_is_gone(
    runs: BatchRuns, registry: Registry, candidate: Callable[..., Candidate]
) -> None:
    drawn = registry.register(candidate(figures={"roc.png": b"\x89PNG", "scores.png": b"\x89PNG2"}))
    plain = registry.register(candidate("train:digits-cnn:2"))
    assert runs.plots(drawn.run_id) == {"roc.png": b"\x89PNG", "scores.png": b"\x89PNG2"}
    assert runs.plots(plain.run_id) == {}
    assert runs.plots("0" * 32) == {}


def test_only_a_server_has_pages(runs: BatchRuns) -> None:
    assert runs.pages is None
    assert BatchRuns("https://mlflow.example/", None).pages == "https://mlflow.example"
