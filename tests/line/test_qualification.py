"""`inconclusive: qualified`: when an audit record speaks for a candidate, and when it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from expunge.line import Line
from expunge.line.qualification import audited_order, settings_digest, standing
from expunge.requests import Qualification
from tests.line.small import RETRAIN, file, people_in, respec, run

pytestmark = pytest.mark.usefixtures("quick")

POLISH = {"strategy": "fine_tune", "repair": {"epochs": 1, "lr": 0.001}}
RUIN = {"strategy": "ssd", "alpha": 1e-6, "dampening": 1e-6}
UNDECIDED = {
    "held_out": 1.0,
    "hard_row_auc": 0.5,
    "over_forgetting": 1.0,
    "min_hard_rows": 1000,
    "inconclusive": "qualified",
}
"""A gate on which the rows of these requests do not decide, and that asks the records."""


def qualify(line: Line, rung: int = 0, **values: Any) -> Qualification:
    """A record of the settings of a rung, as an audit would have written it."""
    settings = line.workspace.model("small-mlp").ladder[rung]
    defaults: dict[str, Any] = {
        "model": "small-mlp",
        "version": "1",
        "dataset_ordinal": 1,
        "strategy": settings.strategy,
        "settings": settings_digest(settings),
        "request": "subjects",
        "metrics": {"metrics": {"cost": {"mean": 100.0}}},
        "outcome": "pass",
    }
    return line.ledger.qualify(**(defaults | values))


def words(line: Line, base: str = "1", later: timedelta = timedelta()) -> str:
    """What the records say of an inconclusive candidate of the first rung."""
    spec = line.workspace.model("small-mlp")
    found = standing(line, spec, spec.ladder[0], base, datetime.now(UTC) + later)
    assert (found.record is not None) == found.words.startswith("Qualified")
    return found.words


def test_a_record_that_passed_promotes_an_inconclusive_candidate_and_is_cited(line: Line) -> None:
    respec(line, ladder=[POLISH, RETRAIN], gate=UNDECIDED)
    qualify(line, outcome="fail")
    record = qualify(line)
    file(line, *people_in(line, "T", 5))
    (model,) = run(line).models
    (rung,) = model.rungs
    assert (rung.outcome, rung.qualification) == ("inconclusive", record.id)
    assert f"audit record {record.id} of" in rung.why
    assert "1000 needed" in rung.why
    assert (model.decision, model.strategy, model.version_after) == ("promoted", "fine_tune", "2")

    file(line, *people_in(line, "T", 8)[5:], first=20)
    (model,) = run(line).models
    assert [each.qualification for each in model.rungs] == [record.id]
    champion = line.ledger.champion("small-mlp")
    assert champion is not None
    assert (champion.parent, champion.edits) == ("2", 2)
    assert champion.hard_row_excess == pytest.approx(2 * UNDECIDED["hard_row_auc"])


def test_neither_a_failed_criterion_nor_a_missing_record_is_made_good(line: Line) -> None:
    respec(line, ladder=[RUIN, POLISH, RETRAIN], gate={**UNDECIDED, "held_out": 0.02})
    qualify(line, rung=0)
    qualify(line, rung=2)
    qualify(line, rung=1, request="rows")
    file(line, *people_in(line, "T", 5))
    (model,) = run(line).models
    ruined, polished, retrained = model.rungs
    assert (ruined.outcome, ruined.qualification) == ("fail", None)
    assert (polished.outcome, polished.qualification) == ("inconclusive", None)
    assert polished.why.endswith("no audit on record: expunge audit small-mlp.")
    assert (retrained.outcome, model.decision) == ("pass", "retrained")


def test_only_the_newest_record_counts_and_only_for_its_days(line: Line) -> None:
    respec(line, ladder=[POLISH, RETRAIN], gate={**UNDECIDED, "qualification_days": 10})
    record = qualify(line)
    assert f"audit record {record.id} of" in words(line)
    assert "Qualified" in words(line, later=timedelta(days=9))
    assert "older than 10 days" in words(line, later=timedelta(days=11))
    newer = qualify(line, outcome="inconclusive")
    assert f"audit record {newer.id}" in words(line)
    assert "says inconclusive" in words(line)


def test_a_record_counts_for_what_was_edited_from_its_version_only(line: Line) -> None:
    respec(line, ladder=[POLISH, RETRAIN], gate=UNDECIDED)
    (first,) = line.ledger.model_versions("small-mlp")
    with line.lock("small") as fence:
        for version, kind, parent in (("2", "unlearned", "1"), ("3", "retrained", "2")):
            made = replace(first, version=version, kind=kind, parent=parent, promoted_at=None)
            line.ledger.record_model(fence, made)
    qualify(line)
    assert "Qualified" in words(line, base="2")
    assert "is of version 1, which version 3 does not come from" in words(line, base="3")
    qualify(line, version="3")
    assert "Qualified" in words(line, base="3")


def test_records_order_the_ladder_and_exact_retrain_stays_last(line: Line) -> None:
    polish = [{**POLISH, "repair": {"epochs": 1, "lr": lr}} for lr in (0.1, 0.2, 0.3, 0.4, 0.5)]
    respec(line, ladder=[*polish, RETRAIN])
    spec = line.workspace.model("small-mlp")
    assert audited_order(line, spec) == (0, 1, 2, 3, 4, 5)
    qualify(line, rung=0, outcome="fail")
    qualify(line, rung=1, outcome="inconclusive")
    qualify(line, rung=2, metrics={"metrics": {"cost": {"mean": 900.0}}})
    qualify(line, rung=4, metrics={"metrics": {"cost": {"mean": 90.0}}})
    assert audited_order(line, spec) == (4, 2, 1, 3, 0, 5)
    qualify(line, rung=4, outcome="fail")
    assert audited_order(line, spec) == (2, 1, 3, 0, 4, 5)
