"""What `expunge run` tells a person about a batch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from expunge.cli.run import decision, show, show_nothing
from expunge.cli.session import Session
from expunge.line import BatchReport, ModelReport
from expunge.line.report import DatasetReport, RungReport

REFUSED = RungReport("top_k", "fail", "hard-row AUC .65, .15 above its reference of .50", {})
PASSED = RungReport("random_k", "pass", "every criterion passes", {"FR": {"value": 1.0}})
RETRAINED = RungReport("exact_retrain", "pass", "utility only", {})


def model(which: str, *rungs: RungReport) -> ModelReport:
    after = "1" if which == "held" else "2"
    strategy = None if which == "held" else rungs[-1].strategy
    return ModelReport("digits", "1", after, which, strategy, {}, rungs)


def batch(*models: ModelReport) -> BatchReport:
    dataset = DatasetReport("digits", "a" * 32 + ".dir", "b" * 32 + ".dir", 500, 24, 64)
    stations = ("claim", "stage", "validate", "publish", "unlearn", "evaluate", "gate", "promote")
    seconds = dict.fromkeys(stations, 123.456)
    return BatchReport(
        "b-20261121-3f9a1c", "finished", {"completed": 25, "no_match": 1}, dataset, models, seconds
    )


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            model("promoted", REFUSED, PASSED),
            "Promoted: digits version 2 (by random_k, after 1 refusal) replaces version 1.",
        ),
        (
            model("retrained", REFUSED, REFUSED, RETRAINED),
            "Promoted: digits version 2 (retrained from scratch, after 2 refusals) replaces "
            "version 1.",
        ),
        (
            model("held", REFUSED),
            "Held: none of 1 rung passed, so digits version 1 keeps its debt; the next batch, or "
            "`expunge train digits`, pays it.",
        ),
    ],
)
def test_the_decision_is_one_sentence(made, sentence):
    assert decision(made) == sentence


def test_the_summary_tells_rungs_reasons_and_seconds_in_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show(Session(Path()), batch(model("promoted", REFUSED, PASSED)))
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(" ".join(lines).split())
    assert "25 completed, 1 no_match" in text
    assert "500 rows erased, 24 of 64 shards rewritten" in text
    assert "hard-row AUC .65" in text
    assert "987.6" in text
    assert max(map(len, lines)) <= 80


def test_a_batch_that_no_model_saw_says_so(capsys):
    show(Session(Path()), batch())
    assert "no governed model saw these rows" in capsys.readouterr().out


def test_a_dataset_in_which_nobody_of_those_asked_about_is_says_so(capsys):
    nobody = DatasetReport("digits", None, None, 0, 0, 0)
    show(Session(Path()), replace(batch(), requests={"pending": 6}, dataset=nobody))
    told = capsys.readouterr().out
    assert "digits: nobody of those asked about has rows here" in told
    assert "none → none" not in told


def test_json_is_one_line_of_the_contract(capsys):
    show(Session(Path(), json=True), batch(model("held", REFUSED)))
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert {"batch_id", "state", "requests", "dataset", "models", "seconds"} <= set(told)
    assert told["models"][0]["decision"] == "held"


def test_nothing_to_do_is_told_in_words_and_in_the_same_json_shape(capsys):
    show_nothing(Session(Path()), "digits")
    assert capsys.readouterr().out == "Nothing to do in digits: no pending request.\n"
    show_nothing(Session(Path(), json=True), None)
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"batch_id", "state", "requests", "dataset", "models", "seconds"}
    assert told["batch_id"] is None


def test_requests_that_wait_for_more_are_not_told_as_nothing(capsys):
    show_nothing(Session(Path()), "digits", 2)
    assert capsys.readouterr().out.startswith("Postponed in digits: 2 requests pending, too few")
    show_nothing(Session(Path(), json=True), None, 2)
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["requests"]) == ("postponed", {"pending": 2})


def test_a_locked_dataset_does_not_keep_the_others_waiting(second_dataset):
    with second_dataset.ledger() as ledger, ledger.lock("others"):
        ended = second_dataset.process("run", "--json")
    assert ended.returncode == 75, ended.stderr
    assert ended.stdout == ""
    errors = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert [error["error"] for error in errors] == ["DatasetLockedError"]
    assert "people: the orchestrator" in ended.stderr
