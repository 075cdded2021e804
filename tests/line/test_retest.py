"""Earlier batches are tested again: on sealed rows while they may be read, by digests after."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import expunge.line.retest
import expunge.line.unlearn
from expunge.evaluation import Evaluation
from expunge.evaluation.earlier import load_kept
from expunge.line import Line, ingest, open_line
from expunge.line.attempt import Attempt
from expunge.line.edits import Edit, earlier_edits, edits_of
from expunge.line.kept import kept_of
from expunge.line.recover import sweep
from expunge.line.retest import sealed_rows
from tests.line.conftest import restored
from tests.line.kill import in_process
from tests.line.small import (
    MANY,
    RETRAIN,
    ROWS,
    file,
    fill,
    make_workspace,
    people_in,
    respec,
    respec_dataset,
    run,
    table,
    work_here,
)

POLISH = {"strategy": "fine_tune", "repair": {"epochs": 1, "lr": 0.001}}
LENIENT = {"held_out": 1.0, "hard_row_auc": 0.5, "over_forgetting": 1.0, "min_hard_rows": 2}
SHARES = {"T": 0.45, "V": 0.05, "R": 0.12, "F": 0.08, "E": 0.3}
FIRST = 12


@dataclass(frozen=True)
class Edited:
    """A workspace whose champion, version 2, is an edit that forgot a first batch."""

    root: Path
    saved: Path


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """The first batch is killed after its promotion, and finished by a second process."""
    os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"  # as in conftest.py
    folder = tmp_path_factory.mktemp("retest")
    root, saved, trace = folder / "workspace", folder / "saved", folder / "trace"
    make_workspace(root, ladder=[POLISH, RETRAIN], gate=LENIENT)
    with open_line(root) as line:
        respec_dataset(line, roles=SHARES)
        fill(line, folder, MANY)
        file(line, *people_in(line, "T", FIRST))
    assert in_process(root, trace, at="after record_promotion 1") == -signal.SIGKILL
    assert not list((root / ".expunge/earlier").rglob("*.npz"))
    assert in_process(root, trace) == 0
    shutil.copytree(root, saved, symlinks=True)
    return Edited(root, saved)


@pytest.fixture
def line(edited: Edited, quick: None) -> Iterator[Line]:
    with open_line(restored((edited.root, edited.saved))) as opened:
        yield opened


@dataclass(frozen=True)
class Again:
    """A second batch on top of the edit, with the rows of two erased people in others' names."""

    first: str
    outcome: dict[str, Any]
    criteria: dict[str, dict[str, Any]]
    measured_then: Evaluation
    edits: tuple[Edit, ...]
    kept: set[str]

    @property
    def evaluation(self) -> Evaluation:
        return Evaluation.from_json(self.outcome["evaluation"])


@pytest.fixture(scope="module")
def again(edited: Edited, tmp_path_factory: pytest.TempPathFactory) -> Again:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expunge.line.unlearn, "_work", work_here)
        with open_line(restored((edited.root, edited.saved))) as line:
            (first,) = line.ledger.batches()
            respec_dataset(line, retest_days=30)
            _come_back(line, tmp_path_factory.mktemp("back") / "back.parquet")
            file(line, *_others(line), first=100)
            batch, part = run(line).batch_id, "small-mlp/2/0"
            then = line.found(first.id, "evaluate", "small-mlp/1/0")["evaluation"]
            return Again(
                first=first.id,
                outcome=dict(line.found(batch, "evaluate", part)),
                criteria={
                    each["name"]: each for each in line.found(batch, "gate", part)["criteria"]
                },
                measured_then=Evaluation.from_json(then),
                edits=edits_of(line, "small-mlp", "3"),
                kept={path.stem for path in _kept(line)},
            )


def _others(line: Line) -> list[str]:
    """Ten people of the training rows who are not in the first batch."""
    return people_in(line, "T", FIRST + 10, range(MANY))[FIRST:]


def _come_back(line: Line, source: Path) -> None:
    """Ingest the rows of two people of the first batch under the names of two others."""
    erased = people_in(line, "T", 2)
    others = people_in(line, "T", 2, among=range(1000, 1100))
    whole = table(range(MANY))
    rows = pa.concat_tables(
        whole.filter(pa.compute.equal(whole["subject_id"], one)) for one in erased
    )
    names = np.repeat(others, ROWS).tolist()
    rows = rows.set_column(1, "subject_id", pa.array(names))
    rows = rows.set_column(0, "record_id", pa.array([f"again-{row}" for row in range(len(rows))]))
    pq.write_table(rows, source)
    ingest(line, "small", source)


def _attempt(line: Line) -> Attempt:
    return Attempt("batch-to-come", "small-mlp", "2", 0)


def _kept(line: Line) -> list[Path]:
    return sorted(line.workspace.state("earlier").rglob("*.npz"))


def test_a_promotion_that_was_killed_leaves_scores_and_digests_when_it_is_finished(
    line: Line,
) -> None:
    (batch,) = line.ledger.batches()
    (path,) = _kept(line)
    assert path.relative_to(line.workspace.state()) == Path(f"earlier/small-mlp/{batch.id}.npz")
    kept = load_kept(path)
    assert len(kept) == FIRST * ROWS
    assert set(kept.people.tolist()) == set(range(FIRST))
    assert kept.digests.shape == (FIRST * ROWS, 16)
    with np.load(path) as arrays:
        names = set(arrays.files)
    assert names == {"margin", "reference_margin", "labels", "people", "digests"}


def test_the_first_edit_has_nothing_to_test_again_and_is_probed(line: Line) -> None:
    (batch,) = line.ledger.batches()
    outcome = line.found(batch.id, "evaluate", "small-mlp/1/0")
    found = Evaluation.from_json(outcome["evaluation"])
    assert outcome["earlier"] is None
    assert not [metric for metric in found.metrics if metric.name.startswith("earlier")]
    for name in ("probe_hard_row_auc", "probe_hard_row_auc_before"):
        metric = found.metric(name)
        assert (metric.reference_kind, metric.undefined) == ("leave_subject_out", None)
        assert metric.n == found.metric("hard_row_auc").n


def test_the_next_candidate_is_measured_on_the_rows_of_the_earlier_batch(again: Again) -> None:
    earlier, own = (
        again.evaluation.metric(name) for name in ("earlier_hard_row_auc", "hard_row_auc")
    )
    assert (earlier.undefined, earlier.reference_kind) == (None, "leave_subject_out")
    assert 2 <= earlier.n <= FIRST * ROWS
    assert 0 < earlier.value < 1
    assert earlier.value != own.value
    assert again.evaluation.metric("earlier_hard_row_auc_before").n == earlier.n
    assert again.outcome["earlier"]["tested_again"] == [again.first]
    assert again.outcome["earlier"]["not_tested"] == []


def test_the_gate_judges_the_earlier_batch_too(again: Again) -> None:
    assert again.criteria["earlier"]["outcome"] == "pass"
    assert "earlier batches" in again.criteria["earlier"]["words"]


def test_rows_that_are_back_under_another_person_are_counted(again: Again) -> None:
    found = again.outcome["earlier"]
    assert (found["rows"], found["rows_back"], found["rows_copied"]) == (FIRST * ROWS, 2 * ROWS, 0)
    said = f"Of {FIRST * ROWS} rows forgotten earlier {2 * ROWS} stand in the training data"
    assert [note for note in again.evaluation.notes if note.startswith(said)]


def test_the_last_known_auc_is_that_of_the_evaluation_then(again: Again) -> None:
    (last,) = again.outcome["earlier"]["last_known"]
    assert (last["version"], last["batches"], last["source"]) == ("2", [again.first], "kept scores")
    then = again.measured_then.metric("hard_row_auc").value
    assert last["hard_row_auc"] == pytest.approx(then)


def test_two_edits_leave_two_files_and_one_lineage(again: Again) -> None:
    assert [edit.version for edit in again.edits] == ["2", "3"]
    assert again.edits[0].batches == (again.first,)
    assert {edit.batch_id for edit in again.edits} == again.kept


def test_sealed_rows_are_read_again_only_for_the_days_of_the_spec(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = _attempt(line)
    (batch,) = line.ledger.batches()

    def found() -> tuple[list[str], dict[str, str]]:
        rows, closed = sealed_rows(line, attempt, earlier_edits(line, attempt))
        return [*rows], closed

    assert found() == ([], {batch.id: _reason(found()[1])})
    assert "retest_days is 0" in _reason(found()[1])
    respec_dataset(line, retest_days=7)
    assert found() == ([batch.id], {})
    clock = _Later(timedelta(days=8))
    with monkeypatch.context() as later:
        later.setattr(expunge.line.retest, "datetime", clock)
        assert "more than 7 days ago" in _reason(found()[1])
    line.workspace.keys.destroy(batch.id)
    assert "not in the key folder" in _reason(found()[1])
    line.sealed(batch.id).unlink()
    assert "gone" in _reason(found()[1])


def _reason(closed: dict[str, str]) -> str:
    (why,) = closed.values()
    return why


class _Later:
    """A clock that runs ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def now(self, zone: Any) -> Any:
        return datetime.now(zone) + self.ahead


def test_without_rows_the_metric_is_undefined_and_gates_nothing_and_a_retrain_ends_it(
    line: Line,
) -> None:
    respec(line, gate={**LENIENT, "min_hard_rows": 1000})
    file(line, *_others(line), first=100)
    report = run(line)
    (model,) = report.models
    assert [rung.outcome for rung in model.rungs] == ["inconclusive", "pass"]
    polish, exact = (
        line.found(report.batch_id, "evaluate", f"small-mlp/2/{rung}") for rung in (0, 1)
    )
    metric = Evaluation.from_json(polish["evaluation"]).metric("earlier_hard_row_auc")
    assert "retest_days is 0" in str(metric.undefined)
    judged = line.found(report.batch_id, "gate", "small-mlp/2/0")
    assert "earlier" not in {each["name"] for each in judged["criteria"]}
    assert polish["earlier"]["rows_back"] == exact["earlier"]["rows_back"] == 0
    assert "earlier_hard_row_auc" not in model.metrics
    assert model.decision == "retrained"
    assert _kept(line) == []


def test_a_sweep_keeps_what_the_champion_comes_from_and_removes_the_rest(line: Line) -> None:
    (path,) = _kept(line)
    stray = path.with_name("batch-of-nobody.npz")
    shutil.copyfile(path, stray)
    sweep(line, "small")
    assert _kept(line) == [path]


def test_a_file_that_was_cut_off_is_no_digest_and_stops_no_batch(line: Line) -> None:
    (path,) = _kept(line)
    path.write_bytes(path.read_bytes()[:100])
    (edit,) = earlier_edits(line, _attempt(line))
    assert kept_of(line, "small-mlp", edit) is None
