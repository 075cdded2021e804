"""One batch from end to end, in the worker's own process: what is there when it is finished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from expunge.dataset import look_up
from expunge.line import BatchReport, Line, open_line, run_batch
from expunge.line.report import STATIONS
from expunge.lineage import Tree, trace_dataset, trace_model, trace_request
from expunge.requests import DatasetVersion
from tests.line.conftest import restored
from tests.line.small import PEOPLE, ROWS, file, git, people_in, person, run, states

TRAINED, HELD_OUT = 5, 2


@dataclass(frozen=True)
class Ran:
    """A finished batch and who was in it: requests of people in T, in E, one twice, one unknown."""

    line: Line
    report: BatchReport
    erased: list[str]
    trained: list[str]
    held_out: list[str]
    again: str
    unknown: str

    @property
    def versions(self) -> tuple[DatasetVersion, ...]:
        return self.line.ledger.versions("small")


@pytest.fixture(scope="module")
def ran(_trained: tuple[Path, Path]) -> Iterator[Ran]:
    with open_line(restored(_trained)) as line:
        trained, held_out = people_in(line, "T", TRAINED), people_in(line, "E", HELD_OUT)
        requests = file(line, *trained, *held_out, trained[0], "a person who never was there")
        yield Ran(
            line=line,
            report=run(line),
            erased=[*trained, *held_out],
            trained=requests[:TRAINED],
            held_out=requests[TRAINED:-2],
            again=requests[-2],
            unknown=requests[-1],
        )


def test_every_request_ends_in_the_state_of_its_person(ran: Ran) -> None:
    assert set(states(ran.line, [*ran.trained, *ran.held_out, ran.again])) == {"completed"}
    assert states(ran.line, [ran.unknown]) == ["no_match"]


def test_people_in_training_rows_are_settled_by_the_new_version(ran: Ran) -> None:
    for request in [*ran.trained, ran.again]:
        (target,) = ran.line.ledger.request(request).targets
        assert [(s.state, s.version) for s in target.settlements] == [("settled", "2")]


def test_people_who_were_only_held_out_need_no_unlearning(ran: Ran) -> None:
    for request in ran.held_out:
        (target,) = ran.line.ledger.request(request).targets
        assert target.rows == ROWS
        assert [(s.state, s.version) for s in target.settlements] == [("not_needed", None)]


def test_the_second_request_of_a_person_cites_the_first_and_erases_nothing(ran: Ran) -> None:
    (target,) = ran.line.ledger.request(ran.again).targets
    assert (target.cites, target.rows) == (ran.trained[0], 0)


def test_the_report_keeps_its_json_contract(ran: Ran) -> None:
    told = json.loads(json.dumps(ran.report.to_json()))
    before, after = ran.versions
    assert told["batch_id"] == ran.line.ledger.batches()[0].id
    assert told["state"] == "finished"
    assert told["requests"] == {"completed": len(ran.erased) + 1, "no_match": 1}
    assert told["dataset"] == {
        "name": "small",
        "version_before": before.md5,
        "version_after": after.md5,
        "rows_erased": ROWS * len(ran.erased),
        "shards_rewritten": told["dataset"]["shards_rewritten"],
        "shards_total": 8,
    }
    assert 1 <= told["dataset"]["shards_rewritten"] <= 8
    (model,) = told["models"]
    assert (model["version_before"], model["version_after"]) == ("1", "2")
    assert (model["name"], model["decision"]) == ("small-mlp", "retrained")
    assert model["strategy"] == "exact_retrain"
    assert {"forgetting_rate", "hard_row_auc", "generalisation"} <= set(model["metrics"])
    assert set(told["seconds"]) == set(STATIONS)


def test_the_erased_are_gone_from_the_shards_and_the_others_are_all_there(ran: Ran) -> None:
    everyone = [person(number) for number in range(PEOPLE)]
    store = ran.line.store(ran.line.workspace.dataset("small"))
    holdings = look_up(store, ran.line.workspace.keys.placement("small"), everyone)
    assert set(holdings) == set(everyone) - set(ran.erased)
    assert {holding.rows for holding in holdings.values()} == {ROWS}


def test_the_erasure_is_one_tagged_commit_of_the_new_pointer(ran: Ran) -> None:
    after = ran.versions[-1]
    assert git(ran.line, "rev-parse", "HEAD") == after.commit
    assert after.md5.removesuffix(".dir") in git(ran.line, "show", "HEAD:data/small.dvc")
    assert f"Expunge-Effect: publish:{ran.report.batch_id}" in git(ran.line, "log", "-1")
    assert ran.report.batch_id in git(ran.line, "tag", "--points-at", "HEAD")
    assert git(ran.line, "status", "--porcelain", "data/small.dvc", "data/.gitignore") == ""


def test_mlflow_has_batch_data_and_evidence_of_the_new_champion(ran: Ran) -> None:
    client = ran.line.registry.client
    version = client.get_model_version_by_alias("small-mlp", "champion")
    run = client.get_run(version.run_id)
    before, after = ran.versions
    assert str(version.version) == "2"
    assert version.tags["expunge.batch_id"] == ran.report.batch_id
    assert version.tags["expunge.gate"] == "pass"
    digests = {given.dataset.digest for given in run.inputs.dataset_inputs}
    assert {each.removesuffix(".dir") for each in digests} == {
        each.md5.removesuffix(".dir") for each in (before, after)
    }
    names = set(_artifacts(client, version.run_id))
    assert {"edit.json", "gate.json", "validation.json", "metrics.json"} <= names
    assert {"scores.png", "accuracy.png", "sparsity.png"} <= names


def test_a_request_is_traced_to_the_versions_that_forgot_it(ran: Ran) -> None:
    found = _titles(trace_request(ran.line.ledger, ran.trained[0]))
    assert ("batch", ran.report.batch_id) in found
    assert ("settlement", "small-mlp") in found
    settled = [
        tree
        for tree in trace_request(ran.line.ledger, ran.trained[0]).walk()
        if tree.kind == "settlement"
    ]
    assert [tree.fact("version") for tree in settled] == ["2"]


def test_a_model_version_is_traced_to_the_requests_that_it_absorbed(ran: Ran) -> None:
    found = _titles(trace_model(ran.line.ledger, "small-mlp", "2"))
    assert ("model version", "small-mlp 1") in found
    assert {("request", request) for request in ran.trained} <= found


def test_a_dataset_version_is_traced_to_its_batch_and_its_models(ran: Ran) -> None:
    found = _titles(trace_dataset(ran.line.ledger, "small", "2"))
    assert ("batch", ran.report.batch_id) in found
    assert ("model version", "small-mlp 2") in found


def test_nothing_outside_dataset_and_vault_names_a_person(ran: Ran) -> None:
    private = ran.line.workspace.root / ".expunge"
    kept = [private / "ledger.db", private / "ledger.db-wal", private / "mlflow.db"]
    kept += [path for path in (private / "mlartifacts").rglob("*") if path.is_file()]
    text = b"".join(path.read_bytes() for path in kept if path.exists())
    assert ran.trained[0].encode() in text
    assert not [one for one in ran.erased if one.encode() in text]
    assert not [one for one in ran.erased if one in json.dumps(ran.report.to_json())]


def test_only_sealed_rows_and_what_is_used_again_are_kept(ran: Ran) -> None:
    state = ran.line.workspace.state()
    assert [path.name for path in (state / "sealed").iterdir()] == [f"{ran.report.batch_id}.sealed"]
    assert not list((state / "staging").iterdir())
    assert not list((state / "jobs").iterdir())
    scratch = [path.name for path in (state / "scratch" / "small").iterdir()]
    assert scratch == [ran.versions[-1].md5.removesuffix(".dir")]


def test_a_run_with_nothing_pending_does_nothing(ran: Ran) -> None:
    events = len(list(ran.line.ledger.events()))
    assert run_batch(ran.line, "small") is None
    assert len(list(ran.line.ledger.events())) == events


def _titles(tree: Tree) -> set[tuple[str, str]]:
    return {(each.kind, each.title) for each in tree.walk()}


def _artifacts(client: Any, run_id: str) -> Iterator[str]:
    for item in client.list_artifacts(run_id):
        below = client.list_artifacts(run_id, item.path) if item.is_dir else [item]
        yield from (Path(each.path).name for each in below)
