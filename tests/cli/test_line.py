"""`expunge ingest`, `train`, `run`, and what is read afterwards, on one real batch."""

from __future__ import annotations

import json

from tests.cli.conftest import ROWS_EACH, SUBJECTS, people_csv

ERASED = 10


def test_ingest_tells_rows_and_version(erased):
    told = erased.said["ingest"]
    assert told["rows_in"] == told["rows_added"] == told["rows_total"] == SUBJECTS * ROWS_EACH
    assert (told["ordinal"], told["duplicates"], told["suppressed"]) == (1, 0, 0)
    assert told["version"].endswith(".dir")


def test_train_tells_the_new_champion(erased):
    told = erased.said["train"]
    assert (told["model"], told["version"]) == ("judge", "1")
    assert told["dataset_version"] == erased.said["ingest"]["version"]
    assert 0.5 < told["train_accuracy"] <= 1


def test_run_prints_its_json_contract_and_nothing_else(erased):
    assert erased.said["run"].returncode == 0, erased.said["run"].stderr
    told = json.loads(erased.said["run"].stdout)
    assert told["state"] == "finished"
    assert told["requests"]["no_match"] == 1
    assert sum(told["requests"].values()) == ERASED + 1
    dataset = told["dataset"]
    assert dataset["name"] == "people"
    assert dataset["version_before"] == erased.said["ingest"]["version"]
    assert dataset["version_after"] not in (None, dataset["version_before"])
    assert dataset["rows_erased"] == ERASED * ROWS_EACH
    assert 1 <= dataset["shards_rewritten"] <= dataset["shards_total"] == 4
    (model,) = told["models"]
    assert model["name"] == "judge"
    assert model["version_before"] == "1"
    assert (model["version_after"], model["decision"]) == ("2", "retrained")
    assert model["strategy"] == "exact_retrain"
    assert {"value", "se", "reference"} <= set(next(iter(model["metrics"].values())))
    assert set(told["seconds"]) == {
        *("claim", "stage", "validate", "publish", "unlearn", "evaluate", "gate", "promote")
    }


def test_no_command_named_an_erased_person(erased):
    assert "person-3" not in erased.said["run"].stdout + erased.said["run"].stderr
    for arguments in (("status",), ("request", "list"), ("model", "list", "--versions")):
        assert "person-3" not in erased.run(*arguments).output


def test_status_sums_requests_models_and_datasets(erased):
    told = erased.run.json("status")
    assert sum(told["requests"]["by_state"].values()) == ERASED + 1
    assert told["requests"]["by_deadline"] == {"on_time": 0, "due_in_5_days": 0, "past_due": 0}
    assert told["batches"]["by_state"] == {"finished": 1}
    (model,) = told["models"]
    assert model["aliases"]["champion"] == model["champion"] == model["floor"] == "2"
    assert model["debts"] == []
    (dataset,) = told["datasets"]
    assert (dataset["ordinal"], dataset["suppressed"]) == (2, ERASED)
    assert dataset["rows"] == (SUBJECTS - ERASED) * ROWS_EACH


def test_rollback_never_crosses_the_floor(erased):
    refused = erased.run("model", "rollback", "judge", "1")
    assert refused.exit_code == 1
    assert "erased since" in refused.stderr
    (model,) = erased.run.json("model", "list")
    assert model["champion"]["version"] != "1"
    serves = {each["version"]: each["may_serve"] for each in model["versions"]}
    assert serves["1"] is False
    assert serves[model["champion"]["version"]] is True


def test_trace_follows_a_request_to_dataset_and_model(erased):
    tree = erased.run.json("trace", "request", erased.requests[0])
    text = json.dumps(tree)
    batch = json.loads(erased.said["run"].stdout)["batch_id"]
    assert tree["kind"] == "request"
    assert batch in text
    assert "judge" in text
    shown = erased.run("trace", "request", erased.requests[0])
    assert batch in shown.stdout


def test_trace_reads_models_and_datasets_by_version(erased):
    for arguments in (("model", "judge"), ("model", "judge", "1"), ("dataset", "people", "2")):
        assert erased.run.json("trace", *arguments)["children"]
    assert erased.run("trace", "model", "nobody").exit_code == 1


def test_an_erased_person_does_not_come_back_in(erased, tmp_path):
    rows = str(people_csv(tmp_path / "rows.csv"))
    told = erased.run("ingest", "people", "--from", rows)
    assert told.exit_code == 0, told.output
    assert f"{ERASED * ROWS_EACH} left out" in told.stdout
    assert "nothing new, still version 2" in told.stdout


def test_tables_fit_80_columns(erased):
    for arguments in (("status",), ("model", "list", "--versions"), ("request", "list")):
        lines = erased.run(*arguments).stdout.splitlines()
        assert max(map(len, lines)) <= 80, arguments
