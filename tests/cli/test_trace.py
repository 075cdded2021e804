"""`expunge trace`: as a tree, as JSON, as a diagram; a person by an id that is only read."""

from __future__ import annotations

import json

from tests.cli.conftest import ROWS_EACH, Erased, Expunge


def test_an_erased_person_is_told_of_without_a_name(erased: Erased) -> None:
    shown = erased.run("trace", "subject", "--dataset", "people", stdin="person-3\n")
    assert shown.exit_code == 0, shown.output
    assert "erased in people@2" in shown.stdout
    assert "in current version no" in shown.stdout
    assert "person-3" not in shown.output


def test_json_has_the_tree_and_the_graph(erased: Erased) -> None:
    shown = erased.run("trace", "subject", "--dataset", "people", "--json", stdin="person-3")
    told = json.loads(shown.stdout)
    batch = json.loads(erased.said["run"].stdout)["batch_id"]
    assert told["kind"] == told["nodes"][0]["kind"] == "subject"
    assert (told["facts"]["erased_in"], told["facts"]["erased_by"]) == ("people@2", batch)
    assert told["facts"]["rows_erased"] == ROWS_EACH
    names = [each["name"] for each in told["nodes"]]
    held = {names[each["to"]] for each in told["edges"] if each["label"] == "held by"}
    assert "people@1" in held
    assert "people@2" not in held
    assert "person-3" not in shown.stdout


def test_someone_who_was_not_erased_is_counted_by_role(erased: Erased) -> None:
    shown = erased.run("trace", "subject", "--dataset", "people", "--json", stdin="person-42")
    told = json.loads(shown.stdout)
    assert told["facts"]["in_current_version"] is True
    (rows,) = [each for each in told["children"] if each["kind"] == "rows"]
    assert rows["facts"]["rows"] == ROWS_EACH
    assert any(name.startswith("role_") for name in rows["facts"])


def test_someone_unknown_is_said_to_be_unknown(erased: Erased) -> None:
    shown = erased.run("trace", "subject", "--dataset", "people", stdin="nobody at all")
    assert shown.exit_code == 0
    assert "known no" in shown.stdout


def test_an_id_is_needed_on_standard_input_and_not_as_an_argument(erased: Erased) -> None:
    assert erased.run("trace", "subject", "--dataset", "people", stdin="").exit_code == 2
    assert erased.run("trace", "subject", "person-3", "--dataset", "people").exit_code == 2
    unknown = erased.run("trace", "subject", "--dataset", "nowhere", stdin="person-3")
    assert unknown.exit_code == 1
    assert "person-3" not in unknown.output


def test_a_trace_is_drawn_for_mermaid_and_graphviz(erased: Erased) -> None:
    request = erased.requests[0]
    drawn = erased.run("trace", "request", request, "--format", "mermaid").stdout
    assert drawn.startswith("flowchart LR\n")
    assert request in drawn
    drawn = erased.run("trace", "model", "judge", "2", "--format", "dot", "--depth", "3").stdout
    assert drawn.startswith("digraph trace {\n")
    assert request in drawn


def test_depth_direction_and_limit_bound_what_is_shown(erased: Erased) -> None:
    def nodes(*options: str) -> set[str]:
        told = erased.run.json("trace", "model", "judge", "2", *options)
        return {each["kind"] for each in told["nodes"]}

    assert nodes("--depth", "0") == {"model version"}
    assert "request" in nodes("--direction", "up")
    assert "request" not in nodes("--direction", "down")
    told = erased.run.json("trace", "model", "judge", "2", "--most", "3")
    assert [each["count"] for each in told["not_shown"] if each["kind"] == "request"] == ["7"]


def test_a_run_leads_to_its_model_version(erased: Erased) -> None:
    told = erased.run.json("trace", "model", "judge", "2", "--depth", "0")
    same = erased.run.json("trace", "run", told["facts"]["mlflow_run"], "--depth", "0")
    assert same == told


def test_a_dataset_without_a_version_knows_nobody(expunge: Expunge) -> None:
    shown = expunge("trace", "subject", "--dataset", "people", stdin="person-3")
    assert shown.exit_code == 0
    assert "known no" in shown.stdout
