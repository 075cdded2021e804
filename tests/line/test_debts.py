"""Debts: a model that no rung makes fit keeps what it owes until a later batch or train pays."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expunge.line import BatchReport, Line, ingest, run_batch, train
from tests.line.small import (
    HELD,
    PEOPLE,
    RETRAIN,
    ROWS,
    file,
    forget_rows,
    people_in,
    respec,
    run,
    states,
    table,
)

pytestmark = pytest.mark.usefixtures("quick")


def held(line: Line, *subjects: str, **changes: object) -> tuple[list[str], BatchReport]:
    """A batch whose model no rung makes fit."""
    respec(line, **HELD, **changes)
    requests = file(line, *subjects)
    return requests, run(line)


def test_a_held_model_keeps_its_debt_and_the_next_batch_pays_it(line: Line) -> None:
    first, second, third = people_in(line, "T", 3)
    requests, report = held(line, first, second)
    (model,) = report.models
    assert (report.state, model.decision, model.strategy) == ("finished", "held", None)
    assert (model.version_before, model.version_after) == ("1", "1")
    assert report.dataset.rows_erased == 2 * ROWS
    assert states(line, requests) == ["erased_model_pending"] * 2
    assert line.ledger.debts("small-mlp") == (report.batch_id,)
    assert line.registry.alias("small-mlp", "champion") == "1"
    assert line.sealed(report.batch_id).exists()

    again = file(line, first, first=50)
    assert run_batch(line, "small") is not None
    assert states(line, again) == ["erased_model_pending"]
    (target,) = line.ledger.request(again[0]).targets
    assert (target.batch_id, target.cites) == (report.batch_id, requests[0])

    respec(line, ladder=[RETRAIN])
    late = file(line, third, first=60)
    paid = run(line)
    assert forget_rows(line, paid.batch_id) == {"small-mlp/1/0": 3 * ROWS}
    assert states(line, [*requests, *again, *late]) == ["completed"] * 4
    assert line.ledger.debts("small-mlp") == ()
    assert line.ledger.batch(report.batch_id).state == "finished"


def test_a_held_model_is_withdrawn_where_its_spec_says_so_and_train_pays(line: Line) -> None:
    requests, report = held(line, *people_in(line, "T", 2), while_held="withdraw")
    assert report.models[0].decision == "held"
    assert line.registry.alias("small-mlp", "champion") is None
    trained = train(line, "small-mlp")
    assert line.registry.alias("small-mlp", "champion") == trained.version
    assert line.registry.alias("small-mlp", "withdrawn") is None
    assert states(line, requests) == ["completed"] * 2
    assert line.ledger.debts("small-mlp") == ()
    assert line.ledger.floor("small-mlp") == trained.version


def test_the_forget_split_holds_only_rows_that_the_model_saw(line: Line, tmp_path: Path) -> None:
    (one,) = people_in(line, "T", 1)
    known = table(range(PEOPLE))
    later = known.filter(pa.compute.equal(known["subject_id"], one))
    renamed = pa.array([f"later-{row}" for row in range(len(later))])
    pq.write_table(later.set_column(0, "record_id", renamed), tmp_path / "later.parquet")
    assert ingest(line, "small", tmp_path / "later.parquet").rows_added == ROWS
    requests = file(line, one)
    report = run(line)
    assert report.dataset.rows_erased == 2 * ROWS
    assert forget_rows(line, report.batch_id) == {"small-mlp/1/0": ROWS}
    assert states(line, requests) == ["completed"]
    made = line.ledger.champion("small-mlp")
    assert made is not None
    assert (made.ingest_seen, made.clean_as_of) == (2, 3)


def test_a_person_whom_the_model_never_saw_needs_no_unlearning(line: Line, tmp_path: Path) -> None:
    pq.write_table(table(range(PEOPLE, PEOPLE + 20)), tmp_path / "later.parquet")
    ingest(line, "small", tmp_path / "later.parquet")
    new = people_in(line, "T", 1, among=range(PEOPLE, PEOPLE + 20))
    requests = file(line, *new)
    report = run(line)
    assert report.models == ()
    assert report.dataset.rows_erased == ROWS
    assert states(line, requests) == ["completed"]
    assert line.registry.champion("small-mlp") == "1"
    assert line.ledger.may_serve("small-mlp", "1")
