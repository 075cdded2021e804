"""The ladder: rungs are tried in order, the gate decides, exact retrain comes last."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expunge.errors import TerminalError
from expunge.line import Line, ingest, rollback, train
from tests.line.small import PEOPLE, RETRAIN, WILD, file, people_in, respec, run, states, table

pytestmark = pytest.mark.usefixtures("quick")

RUIN = {"strategy": "ssd", "alpha": 1e-6, "dampening": 1e-6}
POLISH = {"strategy": "fine_tune", "repair": {"epochs": 1, "lr": 0.001}}
LENIENT = {"held_out": 1.0, "hard_row_auc": 0.5, "over_forgetting": 1.0, "min_hard_rows": 2}


def test_a_refused_rung_is_logged_and_the_next_one_promoted(line: Line) -> None:
    respec(line, ladder=[RUIN, RETRAIN], gate={"held_out": 0.05})
    requests = file(line, *people_in(line, "T", 5))
    (model,) = run(line).models
    assert [(rung.strategy, rung.outcome) for rung in model.rungs] == [
        ("ssd", "fail"),
        ("exact_retrain", "pass"),
    ]
    assert "damaged" in model.rungs[0].why
    assert (model.decision, model.version_after) == ("retrained", "3")
    assert states(line, requests) == ["completed"] * 5

    client = line.registry.client
    refused, promoted = (client.get_model_version("small-mlp", each) for each in "23")
    assert refused.tags["expunge.gate"] == "fail"
    assert promoted.tags["expunge.gate"] == "pass"
    assert refused.aliases == []
    logged = client.get_run(refused.run_id)
    assert logged.info.run_name == "ssd: fail (small@2)"
    assert refused.description == logged.data.tags["mlflow.note.content"]
    assert refused.description.startswith("**Refused: `ssd`** on version 1")
    assert "so it is damaged" in refused.description
    assert line.registry.champion("small-mlp") == "3"
    assert [known.version for known in line.ledger.model_versions("small-mlp")] == ["1", "3"]
    with pytest.raises(TerminalError, match="never champion"):
        rollback(line, "small-mlp", "2")
    assert line.registry.champion("small-mlp") == "3"


def test_a_rung_that_passes_is_promoted_and_no_further_one_is_tried(
    line: Line, tmp_path: Path
) -> None:
    pq.write_table(table(range(PEOPLE, 4 * PEOPLE)), tmp_path / "more.parquet")
    ingest(line, "small", tmp_path / "more.parquet")
    train(line, "small-mlp")
    respec(line, ladder=[POLISH, RETRAIN], gate=LENIENT)
    file(line, *people_in(line, "T", 20))
    (model,) = run(line).models
    tried = [(rung.strategy, rung.outcome) for rung in model.rungs]
    assert tried == [("fine_tune", "pass")], model.rungs[0].why
    assert (model.decision, model.strategy) == ("promoted", "fine_tune")
    made = line.ledger.champion("small-mlp")
    assert made is not None
    assert (made.version, made.kind, made.parent, made.edits) == ("3", "unlearned", "2", 1)


def test_an_inconclusive_rung_is_not_promoted(line: Line) -> None:
    respec(line, ladder=[POLISH, RETRAIN], gate={**LENIENT, "min_hard_rows": 1000})
    file(line, *people_in(line, "T", 5))
    (model,) = run(line).models
    assert [rung.outcome for rung in model.rungs] == ["inconclusive", "pass"]
    assert "1000 needed" in model.rungs[0].why
    assert model.decision == "retrained"


def test_a_rung_that_diverges_is_refused_and_the_next_one_tried(line: Line) -> None:
    wild = {"strategy": "fine_tune", "repair": WILD}
    respec(line, ladder=[wild, RETRAIN], factory="fragile.py:Fragile")
    file(line, *people_in(line, "T", 5))
    (model,) = run(line).models
    assert [rung.outcome for rung in model.rungs] == ["fail", "pass"]
    assert model.rungs[0].metrics == {}
    assert "diverged" in model.rungs[0].why
    assert (model.decision, model.version_after) == ("retrained", "2")
