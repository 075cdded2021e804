"""Which rungs a batch tries: the order of the records, and the budget of edits."""

from __future__ import annotations

import math

import pytest

from expunge.evaluation import Evaluation, Metric, WorstSubject
from expunge.evaluation.metric import undefined
from expunge.line import Line
from expunge.line.attempt import Attempt
from expunge.line.budget import Spent, after_edit, over_budget
from expunge.line.plan import plan
from expunge.requests import ModelVersion
from expunge.specs import BudgetSpec, GateSpec
from tests.line.small import RETRAIN, file, people_in, respec, run
from tests.line.test_qualification import POLISH, UNDECIDED, qualify

FINER = {**POLISH, "repair": {"epochs": 1, "lr": 0.002}}
GATE = GateSpec(hard_row_auc=0.15, held_out=0.01, min_hard_rows=50)
NAN = math.nan


@pytest.mark.usefixtures("quick")
def test_a_spent_budget_sends_the_next_batch_to_exact_retrain_and_says_why(line: Line) -> None:
    respec(line, ladder=[POLISH, RETRAIN], gate=UNDECIDED, budget={"edits": 1})
    record = qualify(line)
    people = people_in(line, "T", 2)
    file(line, people[0])
    (model,) = run(line).models
    assert (model.decision, model.plan) == ("promoted", "")
    assert model.rungs[0].qualification == record.id

    file(line, people[1], first=20)
    (model,) = run(line).models
    assert [rung.strategy for rung in model.rungs] == ["exact_retrain"]
    assert "edits 1 of 1" in model.plan
    champion = line.ledger.champion("small-mlp")
    assert champion is not None
    assert (champion.edits, champion.held_out_loss, champion.hard_row_excess) == (0, 0.0, 0.0)


@pytest.mark.usefixtures("quick")
def test_rungs_are_tried_in_the_order_of_their_records_under_their_own_numbers(line: Line) -> None:
    respec(line, ladder=[POLISH, FINER, RETRAIN], gate=UNDECIDED, ladder_order="audit")
    qualify(line, rung=0, outcome="fail")
    record = qualify(line, rung=1)
    file(line, *people_in(line, "T", 2))
    report = run(line)
    (model,) = report.models
    assert [rung.qualification for rung in model.rungs] == [record.id]
    assert line.ledger.parts(report.batch_id, "gate") == ("small-mlp/1/1",)
    judged = line.ledger.outcome(report.batch_id, "gate", "small-mlp/1/1")
    assert judged is not None
    assert (judged["rung"], judged["rungs"]) == (2, 3)
    assert "order of the audit records" in model.plan


def test_an_audit_that_ends_meanwhile_does_not_change_the_plan_of_a_batch(line: Line) -> None:
    respec(line, ladder=[POLISH, FINER, RETRAIN], ladder_order="audit")
    file(line, *people_in(line, "T", 1))
    with line.lock("small") as fence:
        batch = line.ledger.claim(fence, champions={"small-mlp": "1"}, limit=1)
        assert batch is not None
        first = Attempt(batch.id, "small-mlp", "1", 0)
        assert plan(line, fence, first) == (0, 1, 2)
        qualify(line, rung=0, outcome="fail")
        assert plan(line, fence, first) == (0, 1, 2)


def evaluation(gen: Metric, hard: Metric) -> Evaluation:
    worst = WorstSubject(NAN, NAN, NAN, 0, 0, 0)
    return Evaluation((gen, hard), worst, "subjects", 0, 1)


def gen(value: float) -> Metric:
    return Metric("generalisation", value, 0.01, NAN, NAN, 500, 0.0)


def hard(value: float, n: int = 80) -> Metric:
    return Metric("hard_row_auc", value, 0.01, NAN, NAN, n, 0.5)


def version(edits: int, loss: float | None = None, excess: float | None = None) -> ModelVersion:
    return ModelVersion(
        model="m",
        version="1",
        dataset="d",
        dataset_ordinal=1,
        ingest_seen=1,
        clean_as_of=1,
        kind="unlearned" if edits else "trained",
        parent=None,
        batch_id=None,
        run_id="r",
        strategy=None,
        edits=edits,
        created_at=None,  # type: ignore[arg-type]
        held_out_loss=loss,
        hard_row_excess=excess,
    )


@pytest.mark.parametrize(
    ("base", "measured", "spent"),
    [
        (version(0), (gen(-0.02), hard(0.56)), Spent(1, 0.02, 0.06)),
        (version(2, 0.03, 0.1), (gen(0.01), hard(0.44)), Spent(3, 0.02, 0.1)),
        (version(1, 0.0, 0.0), (gen(0.0), hard(0.5, n=49)), Spent(2, 0.0, 0.15)),
        (
            version(0),
            (undefined("generalisation", "no rows"), undefined("hard_row_auc", "none")),
            Spent(1, 0.01, 0.15),
        ),
        (version(4), (gen(-0.02), hard(0.56)), Spent(5, None, None)),
    ],
)
def test_costs_add_up_and_what_was_not_measured_counts_as_the_margin(
    base: ModelVersion, measured: tuple[Metric, Metric], spent: Spent
) -> None:
    found = after_edit(base, evaluation(*measured), GATE)
    assert found.edits == spent.edits
    for own, expected in (
        (found.held_out_loss, spent.held_out_loss),
        (found.hard_row_auc, spent.hard_row_auc),
    ):
        assert own == (None if expected is None else pytest.approx(expected))


def test_a_budget_is_over_where_any_limit_is_reached() -> None:
    budget = BudgetSpec(edits=3, held_out_loss=0.02, hard_row_auc=0.3)
    assert over_budget(budget, Spent(2, 0.019, 0.2)) is None
    assert over_budget(budget, Spent(2, None, None)) is None
    assert over_budget(BudgetSpec(), Spent(99, 1.0, 9.0)) is None
    assert over_budget(budget, Spent(3, 0.0, 0.0)) == "edits 3 of 3"
    both = over_budget(budget, Spent(1, 0.05, 0.31))
    assert both == "held-out loss 0.05 of 0.02, hard-row AUC above its reference 0.31 of 0.3"
