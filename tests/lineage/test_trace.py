"""Traces over a real ledger that one batch has gone through: a refusal, then a promotion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from expunge.errors import TerminalError
from expunge.keys import KeyRing
from expunge.lineage import (
    NothingToTraceError,
    Tree,
    render,
    to_json,
    trace_dataset,
    trace_model,
    trace_request,
)
from expunge.lineage.tree import facts, from_json
from expunge.requests import Derived, Fence, Filing, Ledger, ModelSight, ModelVersion

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PEOPLE = ("writer-0007", "writer-0311", "writer-9999")
MODEL = "digits-cnn"


@dataclass(frozen=True)
class Story:
    """A ledger after one batch: the first two people erased, the third never there."""

    ledger: Ledger
    requests: tuple[str, ...]
    batch_id: str


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder: Path = tmp_path_factory.mktemp("ledger")
    url, keys = f"sqlite:///{folder / 'ledger.db'}", KeyRing(folder / "keys")
    with Ledger.open(url, keys, clock=lambda: NOW) as ledger, ledger.lock("digits") as fence:
        yield _told(ledger, fence)


def _told(ledger: Ledger, fence: Fence) -> Story:
    ledger.record_ingest(
        fence,
        dataset="digits",
        md5="a" * 32 + ".dir",
        commit="c" * 40,
        ingest=1,
        rows=8000,
        shards=64,
    )
    _record(ledger, fence, "1", dataset_ordinal=1, clean_as_of=1)
    ledger.record_promotion(fence, MODEL, "1")
    _derive(ledger, fence)
    filings = [
        Filing("crm", f"ticket-{n}", person, "gdpr", NOW, ("digits",))
        for n, person in enumerate(PEOPLE)
    ]
    requests = tuple(filed.request_id for filed in ledger.file(filings))
    batch = ledger.claim(fence, champions={MODEL: "1"}, limit=10)
    assert batch is not None
    targets = {claim.request_id: claim.target_id for claim in ledger.claims(batch.id)}
    first, second, unknown = (targets[request] for request in requests)
    ledger.dispose(fence, batch.id, absent=[unknown], blocked={}, rows={first: 20, second: 20})
    ledger.conclude(fence, batch.id, "stage", {"rows_erased": 40}, state="staged")
    ledger.conclude(fence, batch.id, "validate", {"success": True}, state="validated")
    ledger.record_erasure(
        fence,
        batch.id,
        md5="b" * 32 + ".dir",
        commit="d" * 40,
        rows=7960,
        shards=64,
        shards_rewritten=2,
        trained={first: {1: 20}, second: {}},
        models={MODEL: ModelSight(1)},
    )
    _judge(ledger, fence, batch.id, 0, "top_k", "fail", 0.71)
    _judge(ledger, fence, batch.id, 1, "random_k", "pass", 0.52)
    _record(
        ledger,
        fence,
        "2",
        dataset_ordinal=2,
        clean_as_of=2,
        kind="unlearned",
        parent="1",
        batch_id=batch.id,
        strategy="random_k",
        edits=1,
    )
    ledger.record_promotion(fence, MODEL, "2")
    ledger.settle(fence, batch.id, MODEL, decision="promoted", version="2")
    ledger.conclude(fence, batch.id, "promote", {"version_after": "2"}, part=f"{MODEL}/1/1")
    return Story(ledger, requests, batch.id)


def _record(ledger: Ledger, fence: Fence, version: str, **values: Any) -> None:
    defaults: dict[str, Any] = {
        "kind": "trained",
        "parent": None,
        "batch_id": None,
        "strategy": None,
        "edits": 0,
    }
    made = ModelVersion(
        model=MODEL,
        version=version,
        dataset="digits",
        ingest_seen=1,
        run_id=f"run{version}",
        created_at=NOW,
        **{**defaults, **values},
    )
    ledger.record_model(fence, made)


def _derive(ledger: Ledger, fence: Fence) -> None:
    made = Derived("ref-0", "reference", "digits", 1, "R", "refs/0", "e" * 64, "valid", NOW)
    ledger.record_derived(fence, made)


def _judge(
    ledger: Ledger, fence: Fence, batch_id: str, rung: int, strategy: str, outcome: str, auc: float
) -> None:
    criterion = {
        "name": "hard_row_auc",
        "estimate": auc,
        "reference": 0.5,
        "margin": 0.15,
        "outcome": outcome,
    }
    verdict = {"strategy": strategy, "outcome": outcome, "why": "", "criteria": [criterion]}
    ledger.conclude(fence, batch_id, "gate", verdict, part=f"{MODEL}/1/{rung}")


def found(tree: Tree, kind: str) -> list[Tree]:
    return [each for each in tree.walk() if each.kind == kind]


def printed(tree: Tree) -> str:
    console = Console(file=StringIO(), width=400)
    console.print(render(tree))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_request_leads_to_data_rungs_and_the_model_that_forgot(story: Story) -> None:
    tree = trace_request(story.ledger, story.requests[0])
    assert tree.fact("state") == "completed"
    (settlement,) = found(tree, "settlement")
    assert settlement.facts == (("state", "settled"), ("version", "2"))
    places = {each.fact("place"): each.title for each in found(tree, "dataset version")}
    assert places == {"before": "digits@1", "after": "digits@2"}
    rungs = [(each.title, each.fact("outcome")) for each in found(tree, "rung")]
    assert rungs == [("1: top_k", "fail"), ("2: random_k", "pass")]
    assert [each.fact("estimate") for each in found(tree, "criterion")] == [0.71, 0.52]
    (promotion,) = found(tree, "promotion")
    assert promotion.title == f"{MODEL} 2"
    assert promotion.fact("promoted_at") == "2026-11-21T12:00:00+00:00"
    history = [each.title for each in found(tree, "event")]
    assert history[0] == "received"
    assert history[-1] == "completed"


def test_a_person_who_never_was_there_has_no_model_behind_it(story: Story) -> None:
    tree = trace_request(story.ledger, story.requests[2])
    assert tree.fact("state") == "no_match"
    assert found(tree, "settlement") == found(tree, "promotion") == []
    assert [each.title for each in found(tree, "batch")] == [story.batch_id]


def test_a_model_version_leads_back_to_its_parent_data_and_requests(story: Story) -> None:
    tree = trace_model(story.ledger, MODEL, "2")
    assert (tree.fact("champion"), tree.fact("strategy"), tree.fact("may_serve")) == (
        True,
        "random_k",
        True,
    )
    chain = [each for each in tree.children if each.kind == "model version"]
    assert [each.title for each in chain] == [f"{MODEL} 1"]
    assert chain[0].fact("may_serve") is False, "it saw rows that were erased since"
    (absorbed,) = found(tree, "requests")
    assert absorbed.fact("count") == 2
    assert {each.title for each in absorbed.children} == set(story.requests[:2])


def test_a_parent_names_what_was_made_from_it(story: Story) -> None:
    (made,) = found(trace_model(story.ledger, MODEL, "1"), "derived")
    assert [each.title for each in made.children] == [f"{MODEL} 2"]


def test_a_model_lists_its_versions_champion_and_floor(story: Story) -> None:
    tree = trace_model(story.ledger, MODEL)
    assert (tree.fact("champion"), tree.fact("rollback_floor")) == ("2", "2")
    assert [each.title for each in tree.children] == [f"{MODEL} 1", f"{MODEL} 2"]


def test_a_dataset_version_leads_to_its_batch_models_and_derived_files(story: Story) -> None:
    first, second = trace_dataset(story.ledger, "digits").children
    assert [each.title for each in found(first, "model version")] == [f"{MODEL} 1"]
    assert [each.title for each in found(first, "derived")] == ["reference"]
    assert [each.title for each in found(second, "batch")] == [story.batch_id]
    assert second.fact("rows") == 7960
    full = trace_dataset(story.ledger, "digits", "2")
    assert {each.title for each in found(full, "request")} == set(story.requests[:2])


@pytest.mark.parametrize("version", ["1", "a" * 32 + ".dir", "aaaaaaaa", "c" * 12])
def test_a_dataset_version_is_found_by_ordinal_md5_or_commit(story: Story, version: str) -> None:
    assert trace_dataset(story.ledger, "digits", version).title == "digits@1"


def test_what_the_ledger_does_not_know_is_a_clear_error(story: Story) -> None:
    ledger = story.ledger
    with pytest.raises(TerminalError, match="no request r-0000"):
        trace_request(ledger, "r-0000")
    with pytest.raises(NothingToTraceError, match="no version of a model 'other'"):
        trace_model(ledger, "other")
    with pytest.raises(NothingToTraceError, match="no version '7'; it has 1, 2"):
        trace_model(ledger, MODEL, "7")
    with pytest.raises(NothingToTraceError, match="no version of a dataset"):
        trace_dataset(ledger, "other")
    for version in ("7", "a", "ffffffff"):
        with pytest.raises(NothingToTraceError, match="0 versions"):
            trace_dataset(ledger, "digits", version)


def test_no_trace_names_a_person_and_a_reference_is_shortened(story: Story) -> None:
    trees = [
        *(trace_request(story.ledger, each) for each in story.requests),
        trace_model(story.ledger, MODEL, "2"),
        trace_dataset(story.ledger, "digits"),
    ]
    reference = story.ledger.request(story.requests[0]).subject_ref
    for tree in trees:
        said = printed(tree) + json.dumps(to_json(tree))
        assert not any(person in said for person in PEOPLE)
        assert reference not in said
    assert f"{reference[:12]}…" in printed(trees[0])
    assert trees[0].fact("key_id") == story.ledger.request(story.requests[0]).key_id


def test_the_printed_tree_says_what_was_decided(story: Story) -> None:
    said = printed(trace_request(story.ledger, story.requests[0]))
    assert "rung 1: top_k  outcome fail" in said
    assert f"promotion {MODEL} 2" in said


values = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
trees = st.recursive(
    st.builds(Tree, st.text(max_size=5), st.text(max_size=5)),
    lambda below: st.builds(
        Tree,
        st.text(max_size=5),
        st.text(max_size=5),
        st.dictionaries(st.text(max_size=5), values, max_size=3).map(lambda d: tuple(d.items())),
        st.lists(below, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


@given(trees)
def test_json_holds_the_whole_tree(tree: Tree) -> None:
    assert from_json(json.loads(json.dumps(to_json(tree)))) == tree


@given(trees)
def test_every_tree_can_be_printed(tree: Tree) -> None:
    assert sum(1 for _ in tree.walk()) <= printed(tree).count("\n")


def test_facts_leave_out_what_is_not_known() -> None:
    assert facts(rows=0, reason=None, at=NOW) == (("rows", 0), ("at", "2026-11-21T12:00:00+00:00"))
