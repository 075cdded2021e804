"""`expunge report`: a terminal summary, JSON, and one page."""

from __future__ import annotations

import json

REPORT = {
    *("batch_id", "dataset", "state", "reason", "opened_at", "ended_at", "asked", "requests"),
    *("erasure", "models", "seconds"),
}


def test_the_newest_batch_is_told_in_80_columns_with_its_decision_first(erased) -> None:
    shown = erased.run("report")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    batch = json.loads(erased.said["run"].stdout)["batch_id"]
    assert lines[0] == f"Batch {batch} of people: finished"
    assert " ".join(lines[2:4]).startswith("judge: version 2, retrained from scratch, passed")
    assert "10 completed, 1 no_match" in shown.stdout
    assert "60 rows of 10 people" in shown.stdout
    assert "exact_retrain" in shown.stdout
    assert max(map(len, lines)) <= 80
    assert "person-3" not in shown.output


def test_json_is_the_report_that_was_logged(erased) -> None:
    batch = json.loads(erased.said["run"].stdout)["batch_id"]
    told = erased.run.json("report", batch)
    assert set(told) == REPORT
    assert told["batch_id"] == batch
    (asked,) = told["asked"]
    assert (asked["regulation"], asked["requests"], asked["overdue"]) == ("gdpr", 11, 0)
    (model,) = told["models"]
    assert (model["name"], model["decision"]) == ("judge", "retrained")
    assert [each["name"] for each in model["rungs"][0]["criteria"]] == ["held_out"]
    (logged,) = (erased.run.root / ".expunge" / "mlartifacts").rglob("report.json")
    assert json.loads(logged.read_text()) == told


def test_html_is_one_page_with_its_pictures(erased, tmp_path) -> None:
    file = tmp_path / "report.html"
    said = erased.run("report", "--html", str(file))
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith(f"{file}: batch b-")
    text = file.read_text()
    assert "data:image/png;base64," in text
    assert "judge: version 2" in text
    assert "http" not in text
    assert "person-" not in text


def test_an_unknown_batch_and_a_workspace_without_one_say_so(erased, expunge) -> None:
    unknown = erased.run("report", "b-19991231-000000")
    assert unknown.exit_code == 1
    assert "no batch b-19991231-000000" in unknown.stderr
    assert unknown.stdout == ""
    none = expunge("report")
    assert none.exit_code == 1
    assert "no batch to report on yet" in none.stderr
    assert "expunge run" in none.stderr
